//! Plots as geometry: where each bar of an inline SVG stands. The templates draw them, and escape their texts.

/// Horizontal bars, one a line, each with its label before it and its value after it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bars {
    /// Height of the drawing.
    pub(crate) height: u64,
    /// From top to bottom.
    pub(crate) bars: Vec<Bar>,
}

/// One bar.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    /// What it stands for.
    pub(crate) name: String,
    /// That, clipped to what fits.
    pub(crate) label: String,
    /// Its value in words.
    pub(crate) value: String,
    /// Top edge.
    pub(crate) y: u64,
    /// Base line of its texts.
    pub(crate) text_y: u64,
    /// Length.
    pub(crate) width: u64,
    /// Where the value is written.
    pub(crate) value_x: u64,
    /// Class of its colour.
    pub(crate) tone: &'static str,
}

/// Left edge of horizontal bars; labels end before it.
pub(crate) const BARS_LEFT: u64 = 190;
/// Length of a whole horizontal bar.
pub(crate) const BARS_WIDTH: u64 = 400;
const BAR_STEP: u64 = 24;
/// Characters of a label before its bar; an ideograph is as wide as two.
const LABEL_WIDTH: usize = 26;

impl Bars {
    /// Bars of `(label, value in words, part, tone)`, where a whole bar is `whole`.
    pub(crate) fn new(rows: impl IntoIterator<Item = (String, String, u64, &'static str)>, whole: u64) -> Self {
        let mut bars = Vec::new();
        let mut y = 0;
        for (name, value, part, tone) in rows {
            let width = scaled(part, whole, BARS_WIDTH);
            let label = clipped(&name, LABEL_WIDTH);
            bars.push(Bar {
                name,
                label,
                value,
                y: y + 4,
                text_y: y + 16,
                width,
                value_x: BARS_LEFT + width + 8,
                tone,
            });
            y += BAR_STEP;
        }
        Self { height: y, bars }
    }
}

/// One bar made of parts.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// What it stands for.
    pub(crate) label: String,
    /// Its share in words.
    pub(crate) value: String,
    /// Left edge.
    pub(crate) x: u64,
    /// Length.
    pub(crate) width: u64,
    /// Class of its colour.
    pub(crate) tone: &'static str,
}

/// Length of a bar made of parts.
pub(crate) const PARTS_WIDTH: u64 = 720;

/// Parts of `(label, value in words, parts per million, tone)` side by side.
pub(crate) fn parts(rows: impl IntoIterator<Item = (String, String, u64, &'static str)>) -> Vec<Part> {
    let mut sum = 0u64;
    rows.into_iter()
        .map(|(label, value, ppm, tone)| {
            let x = scaled(sum, 1_000_000, PARTS_WIDTH);
            sum = sum.saturating_add(ppm);
            // Edges are scaled, not lengths: no gaps from rounding.
            let width = scaled(sum, 1_000_000, PARTS_WIDTH).saturating_sub(x).max(1);
            Part { label, value, x, width, tone }
        })
        .collect()
}

/// A histogram: upright bars side by side, with the bounds below them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Columns {
    /// Width of the drawing.
    pub(crate) width: u64,
    /// From left to right.
    pub(crate) columns: Vec<Column>,
}

/// One upright bar.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// Its bounds in words.
    pub(crate) label: String,
    /// Its value in words.
    pub(crate) value: String,
    /// Left edge.
    pub(crate) x: u64,
    /// Middle.
    pub(crate) middle: u64,
    /// Top edge.
    pub(crate) y: u64,
    /// Height.
    pub(crate) height: u64,
    /// Its upper bound, written below it.
    pub(crate) tick: String,
    /// Whether there is room for that.
    pub(crate) is_marked: bool,
}

/// Height of the tallest upright bar.
pub(crate) const COLUMNS_HEIGHT: u64 = 96;
/// Width of the drawing of upright bars.
const COLUMNS_WIDTH: u64 = 336;

impl Columns {
    /// Bars of `(bounds, value in words, value)`.
    pub(crate) fn new(rows: &[(String, String, u64)]) -> Self {
        let most = rows.iter().map(|(_, _, value)| *value).max().unwrap_or(0);
        let number = rows.len().max(1) as u64;
        let step = (COLUMNS_WIDTH / number).clamp(4, 42);
        // Labels need room: with many bars only some are written.
        let every = rows.len().div_ceil(8).max(1);
        let columns = rows
            .iter()
            .enumerate()
            .map(|(place, (label, value, part))| {
                let x = place as u64 * step;
                let height = scaled(*part, most, COLUMNS_HEIGHT);
                Column {
                    label: label.clone(),
                    tick: label.rsplit('–').next().unwrap_or_default().to_owned(),
                    value: value.clone(),
                    x,
                    middle: x + (step - 2) / 2,
                    y: COLUMNS_HEIGHT - height,
                    height,
                    is_marked: place % every == 0,
                }
            })
            .collect();
        Self { width: step * number, columns }
    }

    /// Width of one bar.
    pub(crate) fn bar(&self) -> u64 {
        (self.width / (self.columns.len().max(1) as u64)).saturating_sub(2).max(1)
    }
}

/// `part` of `whole` as a length of at most `length`; what is there is at least one unit long.
pub(crate) fn scaled(part: u64, whole: u64, length: u64) -> u64 {
    if part == 0 || whole == 0 {
        return 0;
    }
    let scaled = u128::from(part) * u128::from(length) / u128::from(whole);
    u64::try_from(scaled).unwrap_or(length).clamp(1, length)
}

/// `text` in at most `width` half-width places.
pub(crate) fn clipped(text: &str, width: usize) -> String {
    let places = |letter: char| if u32::from(letter) >= 0x1100 { 2 } else { 1 };
    if text.chars().map(places).sum::<usize>() <= width {
        return text.to_owned();
    }
    let mut clipped = String::new();
    let mut used = 1;
    for letter in text.chars() {
        used += places(letter);
        if used > width {
            break;
        }
        clipped.push(letter);
    }
    clipped.push('…');
    clipped
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn lengths_never_leave_the_drawing() {
        assert_eq!(
            [scaled(0, 10, 100), scaled(1, 1_000_000, 100), scaled(5, 10, 100), scaled(20, 10, 100)],
            [0, 1, 50, 100]
        );
        assert_eq!(scaled(u64::MAX, u64::MAX, 100), 100);
        assert_eq!(scaled(3, 0, 100), 0);
        let parts = parts(
            [("a", 333_333), ("b", 333_333), ("c", 333_334)]
                .map(|(name, ppm)| (name.to_owned(), String::new(), ppm, "t1")),
        );
        assert_eq!(parts.iter().map(|part| part.width).sum::<u64>(), PARTS_WIDTH);
        assert_eq!(parts[1].x, parts[0].width);
        assert!(Columns::new(&[]).columns.is_empty());
        let columns = Columns::new(&(0..64).map(|n| (n.to_string(), String::new(), n)).collect::<Vec<_>>());
        assert_eq!(
            (columns.columns[63].height, columns.columns[63].y, columns.columns[0].height),
            (COLUMNS_HEIGHT, 0, 0)
        );
        assert!(columns.columns.iter().filter(|column| column.is_marked).count() <= 8);
    }

    #[test]
    fn labels_are_clipped_by_width() {
        assert_eq!(clipped("short", 5), "short");
        assert_eq!(clipped("longer text", 6), "longe…");
        assert_eq!(clipped("資料庫資料庫", 7), "資料庫…");
    }
}
