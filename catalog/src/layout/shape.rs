//! What a Thrift structure may hold, and the walk that holds bytes to it: every field that is known must have its wire
//! type and a value in range, or readers would take the same bytes for different things. A field that is not known is
//! looked at by nobody, and is therefore treated like a gap (INV-11).

use super::thrift::{BINARY, Cursor, DOUBLE, FALSE, Field, I8, I16, I32, I64, LIST, STRUCT, TRUE, ThriftError};

/// The type of a value.
#[derive(Debug)]
pub(super) enum Shape {
    Bool,
    I8,
    I16,
    I32,
    I64,
    Double,
    /// A 32-bit integer whose bit is set here.
    Enum(u32),
    Binary,
    /// UTF-8.
    Text,
    /// A list of at most so many.
    List(&'static Shape, usize),
    /// A structure.
    Struct(&'static Structure),
    /// A structure with exactly one field, which must be known: it says what the value means.
    Union(&'static Structure),
    /// Not looked into: what it stands in is refused.
    Any,
}

/// A structure of the format.
#[derive(Debug)]
pub(super) struct Structure {
    pub(super) name: &'static str,
    pub(super) fields: &'static [Known],
}

/// A field of the format.
#[derive(Debug)]
pub(super) struct Known {
    id: i16,
    name: &'static str,
    shape: &'static Shape,
    required: bool,
}

/// A required field.
pub(super) const fn must(id: i16, name: &'static str, shape: &'static Shape) -> Known {
    Known { id, name, shape, required: true }
}

/// An optional field.
pub(super) const fn may(id: i16, name: &'static str, shape: &'static Shape) -> Known {
    Known { id, name, shape, required: false }
}

const WRONG_TYPE: &str = "has a field of the wrong type";
const OUT_OF_RANGE: &str = "has a value out of range";

impl Shape {
    /// Whether a value of wire type `kind` may be of this shape.
    const fn is(&self, kind: u8) -> bool {
        match self {
            Self::Bool => matches!(kind, TRUE | FALSE),
            Self::I8 => kind == I8,
            Self::I16 => kind == I16,
            Self::I32 | Self::Enum(_) => kind == I32,
            Self::I64 => kind == I64,
            Self::Double => kind == DOUBLE,
            Self::Binary | Self::Text => kind == BINARY,
            Self::List(..) => kind == LIST,
            Self::Struct(_) | Self::Union(_) => kind == STRUCT,
            Self::Any => true,
        }
    }
}

impl Cursor<'_> {
    /// Walks a whole `structure`; answers the offsets of fields that it does not know.
    pub(super) fn structure_of(&mut self, structure: &'static Structure) -> Result<Vec<usize>, ThriftError> {
        let mut unknown = Vec::new();
        self.fields_of(structure, &mut unknown)?;
        Ok(unknown)
    }

    /// Answers how many fields there were.
    fn fields_of(&mut self, structure: &'static Structure, unknown: &mut Vec<usize>) -> Result<usize, ThriftError> {
        let (mut seen, mut count, mut last) = (0u32, 0, 0);
        let mut start = self.at();
        while let Some(field) = self.field(last)? {
            last = field.id;
            count += 1;
            let known = structure.fields.iter().find(|known| known.id == field.id);
            match known {
                None => {
                    unknown.push(start);
                    self.skip(field)?;
                }
                Some(known) => {
                    seen |= 1 << (known.id & 31);
                    let name = Some((structure.name, known.name));
                    if !known.shape.is(field.kind) {
                        return Err(ThriftError { at: start, what: WRONG_TYPE, field: name });
                    }
                    self.value_of(field, known.shape, unknown)
                        .map_err(|error| ThriftError { field: error.field.or(name), ..error })?;
                }
            }
            start = self.at();
        }
        let missing = structure.fields.iter().find(|known| known.required && seen & 1 << (known.id & 31) == 0);
        match missing {
            None => Ok(count),
            Some(known) => Err(ThriftError {
                at: start,
                what: "lacks a required field",
                field: Some((structure.name, known.name)),
            }),
        }
    }

    /// Walks the value of `field`, whose wire type fits `shape`.
    fn value_of(&mut self, field: Field, shape: &'static Shape, unknown: &mut Vec<usize>) -> Result<(), ThriftError> {
        let start = self.at();
        let fault = |what| ThriftError { at: start, what, field: None };
        let (out_of_range, not_text, wrong) =
            (fault(OUT_OF_RANGE), fault("has text that is not UTF-8"), fault(WRONG_TYPE));
        match shape {
            // As a field, the wire type of a boolean is its value.
            Shape::Bool => Ok(()),
            Shape::I8 => self.byte().map(drop),
            Shape::I16 => i16::try_from(self.signed()?).map(drop).map_err(|_| out_of_range),
            Shape::I32 => i32::try_from(self.signed()?).map(drop).map_err(|_| out_of_range),
            Shape::I64 => self.signed().map(drop),
            Shape::Double => (0..8).try_for_each(|_| self.byte().map(drop)),
            Shape::Enum(values) => u32::try_from(self.signed()?)
                .ok()
                .and_then(|value| values.checked_shr(value))
                .filter(|bits| bits & 1 == 1)
                .map(drop)
                .ok_or(out_of_range),
            Shape::Binary => self.binary().map(drop),
            Shape::Text => std::str::from_utf8(self.binary()?).map(drop).map_err(|_| not_text),
            Shape::List(inner, max) => {
                let (kind, length) = self.list()?;
                if length > *max {
                    return Err(fault("has a list longer than is allowed"));
                }
                // Some writers give an empty list no type.
                if !inner.is(kind) && (length > 0 || kind != 0) {
                    return Err(wrong);
                }
                let element = Field { id: 0, kind };
                (0..length).try_for_each(|_| {
                    if matches!(inner, Shape::Bool) {
                        let at = self.at();
                        // 2 is false by the specification, 0 by some writers.
                        return if self.byte()? <= 2 { Ok(()) } else { Err(ThriftError { at, ..out_of_range }) };
                    }
                    self.value_of(element, inner, unknown)
                })
            }
            Shape::Struct(structure) => self.fields_of(structure, unknown).map(drop),
            Shape::Union(structure) => {
                let before = unknown.len();
                if self.fields_of(structure, unknown)? == 1 && unknown.len() == before {
                    Ok(())
                } else {
                    Err(fault("has a union that is not one of its known kinds"))
                }
            }
            Shape::Any => self.skip(field),
        }
    }
}
