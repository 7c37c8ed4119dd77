//! Aligned columns, wide characters counted as two.

use serde_json::Value;

use super::plain;

/// A table that grows row by row.
#[derive(Debug, Clone, Default)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|name| (*name).to_owned()).collect(), rows: Vec::new() }
    }

    /// One row for each of `items`: its members by JSON pointer.
    pub fn of_values(items: &[Value], columns: &[(&str, &str)]) -> Self {
        let head: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let mut table = Self::new(&head);
        for item in items {
            table.row(columns.iter().map(|(_, pointer)| plain(item.pointer(pointer).unwrap_or(&Value::Null))));
        }
        table
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Headings and rows as lines; the last column is not padded.
    pub fn lines(&self) -> Vec<String> {
        let mut widths: Vec<usize> = Vec::new();
        for row in std::iter::once(&self.head).chain(&self.rows) {
            for (column, cell) in row.iter().enumerate() {
                match widths.get_mut(column) {
                    Some(widest) => *widest = (*widest).max(width(cell)),
                    None => widths.push(width(cell)),
                }
            }
        }
        let render = |row: &Vec<String>| {
            let mut line = String::new();
            for (cell, widest) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', widest.saturating_sub(width(cell)) + 2));
            }
            line.trim_end().to_owned()
        };
        std::iter::once(&self.head).chain(&self.rows).map(render).collect()
    }
}

/// Names and values below each other, aligned; pairs without a value are left out.
pub fn fields<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> Vec<String> {
    let pairs: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let widest = pairs.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    pairs.into_iter().map(|(name, value)| format!("{name:<widest$}  {value}")).collect()
}

/// Columns of a terminal that `text` takes: East Asian wide and full-width characters take two.
pub fn width(text: &str) -> usize {
    text.chars()
        .map(|c| match u32::from(c) {
            0x1100..=0x115F
            | 0x2E80..=0x303E
            | 0x3041..=0xA4CF
            | 0xAC00..=0xD7A3
            | 0xF900..=0xFAFF
            | 0xFE30..=0xFE6F
            | 0xFF00..=0xFF60
            | 0xFFE0..=0xFFE6
            | 0x1F300..=0x1FAFF
            | 0x20000..=0x3FFFD => 2,
            _ => 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_line_up_with_wide_characters() {
        let items = [json!({"id": "a", "title": {"en": "词典"}}), json!({"id": "bcd", "title": {"en": "x"}})];
        let table = Table::of_values(&items, &[("ID", "/id"), ("TITLE", "/title/en"), ("NONE", "/none")]);
        assert_eq!(table.lines(), ["ID   TITLE  NONE", "a    词典", "bcd  x"]);
        assert_eq!(
            fields([("a", "1".to_owned()), ("none", String::new()), ("long", "2".to_owned())]),
            ["a     1", "long  2"]
        );
    }
}
