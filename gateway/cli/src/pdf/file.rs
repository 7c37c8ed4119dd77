//! The file: pages, fonts and the objects that hold them together.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::font::{Embedded, Face, Script};
use crate::error::CommandError;

/// A document in the making. Lengths are points, from the left and the top of a page.
#[derive(Debug)]
pub struct Document<'a> {
    size: (f32, f32),
    /// Simplified, then traditional.
    faces: [Face<'a>; 2],
    pages: Vec<String>,
}

/// Name of a face in page contents.
const fn name(script: Script) -> &'static str {
    match script {
        Script::Simplified => "S",
        Script::Traditional => "T",
    }
}

impl<'a> Document<'a> {
    /// A document with pages of `size`, written with the font in `data`.
    pub fn new(size: (f32, f32), data: &'a [u8]) -> Result<Self, CommandError> {
        let faces = [Face::open(data, Script::Simplified)?, Face::open(data, Script::Traditional)?];
        Ok(Self { size, faces, pages: Vec::new() })
    }

    /// Begins a page.
    pub fn page(&mut self) {
        self.pages.push(String::new());
    }

    /// How many pages there are.
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    fn face(&mut self, script: Script) -> &mut Face<'a> {
        let [simplified, traditional] = &mut self.faces;
        if script == Script::Simplified { simplified } else { traditional }
    }

    /// How wide `text` is.
    #[expect(clippy::cast_precision_loss, reason = "widths of a line are far below 2^23")]
    pub fn width(&self, script: Script, size: f32, text: &str) -> f32 {
        let [simplified, traditional] = &self.faces;
        let face = if script == Script::Simplified { simplified } else { traditional };
        face.width(text) as f32 * size / 1000.0
    }

    /// Writes `text` with its base line at `at`, on page `page` (from 0).
    pub fn text(&mut self, page: usize, script: Script, size: f32, at: (f32, f32), text: &str) {
        let (x, y) = (at.0, self.size.1 - at.1);
        let mut hex = String::new();
        for glyph in self.face(script).take(text) {
            // A string takes everything, here and below.
            let _ = write!(hex, "{glyph:04x}");
        }
        if let Some(content) = self.pages.get_mut(page) {
            let _ = writeln!(content, "BT /{} {size} Tf {x:.2} {y:.2} Td <{hex}> Tj ET", name(script));
        }
    }

    /// Draws a line.
    pub fn line(&mut self, page: usize, from: (f32, f32), to: (f32, f32)) {
        let height = self.size.1;
        if let Some(content) = self.pages.get_mut(page) {
            let (y, z) = (height - from.1, height - to.1);
            let _ = writeln!(content, "0.5 w {:.2} {y:.2} m {:.2} {z:.2} l S", from.0, to.0);
        }
    }

    /// The file. `title` is shown by readers, `id` identifies it (32 hexadecimal digits).
    pub fn finish(self, title: &str, id: &str) -> Result<Vec<u8>, CommandError> {
        let mut objects = Objects::default();
        let (catalog, tree) = (objects.reserve(), objects.reserve());
        let mut fonts = String::new();
        for (face, script) in self.faces.iter().zip([Script::Simplified, Script::Traditional]) {
            if !face.used().is_empty() {
                let font = objects.font(face, name(script))?;
                let _ = write!(fonts, "/{} {font} 0 R ", name(script));
            }
        }
        let (width, height) = self.size;
        let mut kids = String::new();
        for content in &self.pages {
            let stream = objects.stream("", content.as_bytes())?;
            let page = objects.reserve();
            objects.set(
                page,
                format!(
                    "<</Type/Page/Parent {tree} 0 R/MediaBox[0 0 {width} {height}]/Contents {stream} 0 R\
                     /Resources<</Font<<{fonts}>>>>>>"
                )
                .into_bytes(),
            );
            let _ = write!(kids, "{page} 0 R ");
        }
        let count = self.pages.len();
        objects.set(tree, format!("<</Type/Pages/Count {count}/Kids[{kids}]>>").into_bytes());
        let pages =
            format!("<</Type/Catalog/Pages {tree} 0 R/Lang(zh-Hans)/ViewerPreferences<</DisplayDocTitle true>>>>");
        objects.set(catalog, pages.into_bytes());
        let info = objects.reserve();
        objects.set(info, format!("<</Title<{}>/Producer(Kouan)>>", utf16(title)).into_bytes());
        Ok(objects.file(catalog, info, id))
    }
}

/// UTF-16BE with its mark, in hexadecimal: a PDF text string.
fn utf16(text: &str) -> String {
    let mut hex = "feff".to_owned();
    for unit in text.encode_utf16() {
        let _ = write!(hex, "{unit:04x}");
    }
    hex
}

/// The numbered objects of a file, from 1.
#[derive(Debug, Default)]
struct Objects(Vec<Vec<u8>>);

impl Objects {
    fn reserve(&mut self) -> usize {
        self.0.push(Vec::new());
        self.0.len()
    }

    fn set(&mut self, number: usize, body: Vec<u8>) {
        if let Some(object) = number.checked_sub(1).and_then(|place| self.0.get_mut(place)) {
            *object = body;
        }
    }

    /// A compressed stream with `members` beside its length.
    fn stream(&mut self, members: &str, bytes: &[u8]) -> Result<usize, CommandError> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        let packed = encoder.write_all(bytes).and_then(|()| encoder.finish());
        let packed = packed.map_err(|error| CommandError::Input(format!("the page cannot be compressed: {error}")))?;
        let mut body = format!("<</Length {}/Filter/FlateDecode{members}>>\nstream\n", packed.len()).into_bytes();
        body.extend(packed);
        body.extend(b"\nendstream");
        let number = self.reserve();
        self.set(number, body);
        Ok(number)
    }

    /// A composite font (ISO 32000-1, 9.7) with the used part of `face`.
    fn font(&mut self, face: &Face<'_>, name: &str) -> Result<usize, CommandError> {
        let Embedded { program, cff, heights, bbox } = face.embed()?;
        let (members, file, subtype, map) = if cff {
            ("/Subtype/CIDFontType0C".to_owned(), "FontFile3", "CIDFontType0", "")
        } else {
            (format!("/Length1 {}", program.len()), "FontFile2", "CIDFontType2", "/CIDToGIDMap/Identity")
        };
        let program = self.stream(&members, &program)?;
        let base = format!("KOUAN{name}+Statement");
        let [ascent, descent, cap] = heights;
        let [left, bottom, right, top] = bbox;
        let descriptor = self.reserve();
        self.set(
            descriptor,
            format!(
                "<</Type/FontDescriptor/FontName/{base}/Flags 4/FontBBox[{left} {bottom} {right} {top}]/ItalicAngle 0\
                 /Ascent {ascent}/Descent {descent}/CapHeight {cap}/StemV 80/{file} {program} 0 R>>"
            )
            .into_bytes(),
        );
        let mut widths = String::new();
        let mut unicode = String::new();
        let used: Vec<(&u16, &(char, i32))> = face.used().iter().collect();
        for group in used.chunks(100) {
            let _ = writeln!(unicode, "{} beginbfchar", group.len());
            for (glyph, (c, width)) in group {
                let _ = write!(widths, "{glyph}[{width}]");
                let _ = writeln!(unicode, "<{glyph:04x}> <{}>", utf16(&c.to_string()).trim_start_matches("feff"));
            }
            unicode.push_str("endbfchar\n");
        }
        let descendant = self.reserve();
        self.set(
            descendant,
            format!(
                "<</Type/Font/Subtype/{subtype}/BaseFont/{base}/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)\
                 /Supplement 0>>/FontDescriptor {descriptor} 0 R/DW 1000/W[{widths}]{map}>>"
            )
            .into_bytes(),
        );
        let unicode = self.stream(
            "",
            format!(
                "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CIDSystemInfo <</Registry (Adobe) \
                 /Ordering (UCS) /Supplement 0>> def\n/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n\
                 1 begincodespacerange\n<0000> <ffff>\nendcodespacerange\n{unicode}endcmap\n\
                 CMapName currentdict /CMap defineresource pop\nend\nend\n"
            )
            .as_bytes(),
        )?;
        let font = self.reserve();
        self.set(
            font,
            format!(
                "<</Type/Font/Subtype/Type0/BaseFont/{base}/Encoding/Identity-H/DescendantFonts[{descendant} 0 R]\
                 /ToUnicode {unicode} 0 R>>"
            )
            .into_bytes(),
        );
        Ok(font)
    }

    fn file(self, catalog: usize, info: usize, id: &str) -> Vec<u8> {
        // The second line tells programs that the file is binary.
        let mut file = b"%PDF-1.7\n%\xe5\x8f\xa3\xe5\xb2\xb8\n".to_vec();
        let mut table = "0000000000 65535 f \n".to_owned();
        for (object, number) in self.0.iter().zip(1..) {
            let _ = writeln!(table, "{:010} 00000 n ", file.len());
            file.extend(format!("{number} 0 obj\n").as_bytes());
            file.extend(object);
            file.extend(b"\nendobj\n");
        }
        let (start, size) = (file.len(), self.0.len() + 1);
        let trailer = format!(
            "xref\n0 {size}\n{table}trailer\n<</Size {size}/Root {catalog} 0 R/Info {info} 0 R/ID[<{id}><{id}>]>>\n\
             startxref\n{start}\n%%EOF\n"
        );
        file.extend(trailer.as_bytes());
        file
    }
}
