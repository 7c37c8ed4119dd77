//! Fonts: found on this machine or named, mapped, and subset to what a document uses.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use subsetter::GlyphRemapper;
use ttf_parser::{RawFace, Tag};

use crate::error::CommandError;

/// Largest font file, in bytes.
const FONT_BYTES_MAX: u64 = 256 << 20;

/// Folders of a font tree that are looked into.
const DEPTH_MAX: usize = 4;

/// Files with both Traditional and Simplified Chinese, the best first.
const KNOWN: [&str; 10] = [
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "SourceHanSans-Regular.ttc",
    "SourceHanSansSC-Regular.otf",
    "NotoSerifCJK-Regular.ttc",
    "NotoSerifCJKsc-Regular.otf",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "DroidSansFallback.ttf",
];

/// A script with letter forms of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// Latin, and Chinese as the mainland writes it.
    Simplified,
    /// Chinese as Hong Kong writes it.
    Traditional,
}

/// Reads the font `named`, or the best that is installed.
///
/// # Errors
/// The named file cannot be read; none is installed, with the package that has one.
pub fn find(named: Option<&Path>, home: Option<&Path>) -> Result<Vec<u8>, CommandError> {
    if let Some(path) = named {
        return crate::files::read(path, FONT_BYTES_MAX);
    }
    let mut roots = vec![PathBuf::from("/usr/share/fonts"), PathBuf::from("/usr/local/share/fonts")];
    roots.extend(home.map(|home| home.join(".local/share/fonts")));
    roots.extend(home.map(|home| home.join(".fonts")));
    crate::files::read(&installed(&roots)?, FONT_BYTES_MAX)
}

/// The best known file under `roots`.
fn installed(roots: &[PathBuf]) -> Result<PathBuf, CommandError> {
    let mut best: Option<(usize, PathBuf)> = None;
    let mut folders: Vec<(PathBuf, usize)> = roots.iter().map(|root| (root.clone(), 0)).collect();
    while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let place = KNOWN.iter().position(|known| name == *known);
            if let Some(place) = place.filter(|place| best.as_ref().is_none_or(|(found, _)| place < found)) {
                best = Some((place, path));
            } else if depth < DEPTH_MAX && path.is_dir() {
                folders.push((path, depth + 1));
            }
        }
    }
    let none =
        "no font with Chinese characters is installed: apt-get install fonts-noto-cjk, or name a font with --font FILE";
    best.map(|(_, path)| path).ok_or_else(|| CommandError::NotFound(none.to_owned()))
}

/// One face of a font file, and the glyphs of it that a document uses.
pub struct Face<'a> {
    data: &'a [u8],
    index: u32,
    parsed: ttf_parser::Face<'a>,
    glyphs: GlyphRemapper,
    /// Character and width of each used glyph, by its number in the subset.
    used: BTreeMap<u16, (char, i32)>,
}

impl std::fmt::Debug for Face<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Face").field("index", &self.index).field("used", &self.used.len()).finish_non_exhaustive()
    }
}

/// What is embedded of a face.
#[derive(Debug)]
pub(super) struct Embedded {
    /// The font program.
    pub program: Vec<u8>,
    /// Whether it is a bare CFF table rather than TrueType.
    pub cff: bool,
    /// Ascent, descent and cap height, in thousandths.
    pub heights: [i32; 3],
    /// Bounding box, in thousandths.
    pub bbox: [i32; 4],
}

impl<'a> Face<'a> {
    /// The face of `data` for `script`: of a Noto or Source Han collection its own, else the first.
    pub fn open(data: &'a [u8], script: Script) -> Result<Self, CommandError> {
        let wanted = if ttf_parser::fonts_in_collection(data).is_some_and(|faces| faces >= 5) {
            // Japanese, Korean, Simplified, Traditional (Taiwan), Traditional (Hong Kong).
            if script == Script::Simplified { 2 } else { 4 }
        } else {
            0
        };
        let wrong = |why: &str| CommandError::Input(format!("the font {why}; give another with --font FILE"));
        let face = ttf_parser::Face::parse(data, wanted).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
        // One letter of each: a font without them would print boxes.
        if let Some(missing) = ['A', '结', '結', '数', '數'].into_iter().find(|c| face.glyph_index(*c).is_none()) {
            return Err(wrong(&format!("has no `{missing}`")));
        }
        Ok(Self { data, index: wanted, parsed: face, glyphs: GlyphRemapper::new(), used: BTreeMap::new() })
    }

    fn thousandths(&self, units: i32) -> i32 {
        units * 1000 / i32::from(self.parsed.units_per_em().max(1))
    }

    /// Glyph and width of `c`, in thousandths; of a question mark where the font has none.
    fn glyph(&self, c: char) -> (u16, i32) {
        let glyph = self.parsed.glyph_index(c).or_else(|| self.parsed.glyph_index('?')).unwrap_or_default();
        let advance = self.parsed.glyph_hor_advance(glyph).unwrap_or(0);
        (glyph.0, self.thousandths(i32::from(advance)))
    }

    /// How wide `text` is, in thousandths of its size.
    pub fn width(&self, text: &str) -> i32 {
        text.chars().map(|c| self.glyph(c).1).sum()
    }

    /// Numbers of the text's glyphs in the subset.
    pub(super) fn take(&mut self, text: &str) -> Vec<u16> {
        let taken = text.chars().map(|c| {
            let (glyph, width) = self.glyph(c);
            let number = self.glyphs.remap(glyph);
            self.used.entry(number).or_insert((c, width));
            number
        });
        taken.collect()
    }

    /// Character and width of each used glyph.
    pub(super) fn used(&self) -> &BTreeMap<u16, (char, i32)> {
        &self.used
    }

    /// The part of the font that is used.
    pub(super) fn embed(&self) -> Result<Embedded, CommandError> {
        let wrong = |why: &dyn std::fmt::Display| CommandError::Input(format!("the font cannot be embedded: {why}"));
        let subset = subsetter::subset(self.data, self.index, &self.glyphs).map_err(|error| wrong(&error))?;
        let table = RawFace::parse(&subset, 0).map_err(|error| wrong(&error))?.table(Tag::from_bytes(b"CFF "));
        let cff = table.map(<[u8]>::to_vec);
        let bbox = self.parsed.global_bounding_box();
        let height = |units: i16| self.thousandths(i32::from(units));
        Ok(Embedded {
            cff: cff.is_some(),
            program: cff.unwrap_or(subset),
            heights: [
                height(self.parsed.ascender()),
                height(self.parsed.descender()),
                height(self.parsed.capital_height().unwrap_or(self.parsed.ascender())),
            ],
            bbox: [bbox.x_min, bbox.y_min, bbox.x_max, bbox.y_max].map(height),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_best_font_is_found_and_none_is_said_with_its_package() {
        let dir = tempfile::tempdir().unwrap();
        let error = installed(&[dir.path().to_owned(), PathBuf::from("/nonexistent")]).unwrap_err();
        assert!(error.exit() == crate::Exit::NotFound && error.to_string().contains("fonts-noto-cjk"), "{error}");
        let deep = dir.path().join("opentype/noto");
        std::fs::create_dir_all(&deep).unwrap();
        for name in ["wqy-zenhei.ttc", "other.ttf"] {
            std::fs::write(dir.path().join(name), b"").unwrap();
        }
        assert!(installed(&[dir.path().to_owned()]).unwrap().ends_with("wqy-zenhei.ttc"));
        std::fs::write(deep.join("NotoSansCJK-Regular.ttc"), b"").unwrap();
        assert!(installed(&[dir.path().to_owned()]).unwrap().ends_with("NotoSansCJK-Regular.ttc"));
    }

    #[test]
    fn what_is_no_font_is_refused() {
        let error = Face::open(b"no font", Script::Simplified).unwrap_err();
        assert!(error.to_string().contains("--font FILE"), "{error}");
        assert!(find(Some(Path::new("/nonexistent.ttc")), None).is_err());
    }
}
