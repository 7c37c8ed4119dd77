//! Page headers.

use super::format;
use super::thrift::{Cursor, ThriftError};

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageKind {
    /// Data, levels inside the compressed part.
    DataV1 {
        /// Encoding of the repetition levels.
        repetition_encoding: u32,
        /// Encoding of the definition levels.
        definition_encoding: u32,
    },
    /// Data, levels before the compressed part.
    DataV2 { rows: u32, nulls: u32, definition_bytes: u32, repetition_bytes: u32, compressed: bool },
    /// A dictionary.
    Dictionary,
}

/// `PageHeader` of parquet.thrift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageHeader {
    pub(super) kind: PageKind,
    /// Length of the header itself.
    pub(super) header_bytes: usize,
    pub(super) uncompressed: u32,
    pub(super) compressed: u32,
    pub(super) crc: Option<u32>,
    pub(super) values: u32,
    pub(super) encoding: u32,
    /// Where in the header its statistics begin.
    pub(super) statistics: Option<usize>,
}

/// `Encoding` of parquet.thrift.
pub(super) const PLAIN: u32 = 0;
pub(super) const PLAIN_DICTIONARY: u32 = 2;
pub(super) const RLE: u32 = 3;
pub(super) const DELTA_BINARY_PACKED: u32 = 5;
pub(super) const DELTA_LENGTH_BYTE_ARRAY: u32 = 6;
pub(super) const DELTA_BYTE_ARRAY: u32 = 7;
pub(super) const RLE_DICTIONARY: u32 = 8;
pub(super) const BYTE_STREAM_SPLIT: u32 = 9;

impl PageHeader {
    /// Reads the header at the start of `bytes`.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ThriftError> {
        let mut strict = Cursor::new(bytes);
        if let Some(at) = strict.structure_of(&format::PAGE_HEADER)?.first() {
            return Err(ThriftError { at: *at, what: "has a field that no reader looks at", field: None });
        }
        let header_bytes = strict.at();
        let mut cursor = Cursor::new(bytes);
        let (mut page_type, mut uncompressed, mut compressed, mut crc, mut body) = (None, None, None, None, None);
        let mut last = 0;
        while let Some(field) = cursor.field(last)? {
            last = field.id;
            match field.id {
                1 => page_type = Some(cursor.integer(field)?),
                2 => uncompressed = Some(cursor.size(field)?),
                3 => compressed = Some(cursor.size(field)?),
                4 => {
                    crc = i32::try_from(cursor.integer(field)?).ok().map(i32::cast_unsigned);
                }
                5 | 7 | 8 if body.is_some() => return Err(cursor.error("has two page types")),
                5 => {
                    cursor.structure(field)?;
                    body = Some((0, Body::data(&mut cursor)?));
                }
                7 => {
                    cursor.structure(field)?;
                    body = Some((2, Body::dictionary(&mut cursor)?));
                }
                8 => {
                    cursor.structure(field)?;
                    body = Some((3, Body::data_v2(&mut cursor)?));
                }
                _ => cursor.skip(field)?,
            }
        }
        let incomplete = cursor.error("lacks a required field");
        let (kind, body) = body.ok_or(incomplete)?;
        if page_type != Some(kind) {
            return Err(cursor.error("is of another page type than it says"));
        }
        Ok(Self {
            kind: body.kind,
            header_bytes,
            uncompressed: uncompressed.ok_or(incomplete)?,
            compressed: compressed.ok_or(incomplete)?,
            crc,
            values: body.values,
            encoding: body.encoding,
            statistics: body.statistics,
        })
    }
}

struct Body {
    kind: PageKind,
    values: u32,
    encoding: u32,
    statistics: Option<usize>,
}

impl Body {
    fn data(cursor: &mut Cursor<'_>) -> Result<Self, ThriftError> {
        let mut other = Other::default();
        let [values, encoding, definition_encoding, repetition_encoding] = sizes(cursor, [1, 2, 3, 4], 5, &mut other)?;
        let kind = PageKind::DataV1 { repetition_encoding, definition_encoding };
        Ok(Self { kind, values, encoding, statistics: other.statistics })
    }

    fn dictionary(cursor: &mut Cursor<'_>) -> Result<Self, ThriftError> {
        let [values, encoding] = sizes(cursor, [1, 2], 0, &mut Other::default())?;
        Ok(Self { kind: PageKind::Dictionary, values, encoding, statistics: None })
    }

    fn data_v2(cursor: &mut Cursor<'_>) -> Result<Self, ThriftError> {
        let mut other = Other::default();
        let [values, nulls, rows, encoding, definition_bytes, repetition_bytes] =
            sizes(cursor, [1, 2, 3, 4, 5, 6], 8, &mut other)?;
        let kind = PageKind::DataV2 {
            rows,
            nulls,
            definition_bytes,
            repetition_bytes,
            compressed: other.compressed.unwrap_or(true),
        };
        Ok(Self { kind, values, encoding, statistics: other.statistics })
    }
}

/// Fields of a page header that are no sizes.
#[derive(Default)]
struct Other {
    /// The flag of a version 2 page.
    compressed: Option<bool>,
    statistics: Option<usize>,
}

/// Reads a structure whose required fields `ids` are all sizes, and whose field `statistics` are statistics.
fn sizes<const N: usize>(
    cursor: &mut Cursor<'_>,
    ids: [i16; N],
    statistics: i16,
    other: &mut Other,
) -> Result<[u32; N], ThriftError> {
    let mut found = [None; N];
    cursor.each_field(|cursor, field| {
        let slot = ids.iter().position(|id| *id == field.id).and_then(|number| found.get_mut(number));
        match slot {
            Some(slot) => *slot = Some(cursor.size(field)?),
            None if N == 6 && field.id == 7 => other.compressed = Some(cursor.boolean(field)?),
            None => {
                if field.id == statistics {
                    other.statistics = Some(cursor.at());
                }
                cursor.skip(field)?;
            }
        }
        Ok::<_, ThriftError>(())
    })?;
    let incomplete = cursor.error("lacks a required field");
    let mut sizes = [0; N];
    for (size, found) in sizes.iter_mut().zip(found) {
        *size = found.ok_or(incomplete)?;
    }
    Ok(sizes)
}
