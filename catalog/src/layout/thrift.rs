//! Thrift compact protocol, as much as Parquet needs: a bounds-checked cursor, and a walk that knows every field a
//! structure may have, so that bytes which no reader looks at are noticed.

/// Deepest nesting that is followed.
const DEPTH_MAX: usize = 32;

/// Bytes that are not the Thrift they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ThriftError {
    /// Offset from the start of the slice.
    pub(super) at: usize,
    pub(super) what: &'static str,
}

/// Wire types of the compact protocol.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const I8: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;

/// A cursor over encoded bytes.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// One field of a structure: its id and wire type; the cursor stands at its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) id: i16,
    kind: u8,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes consumed so far.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) const fn error(&self, what: &'static str) -> ThriftError {
        ThriftError { at: self.at, what }
    }

    fn byte(&mut self) -> Result<u8, ThriftError> {
        let byte = self
            .bytes
            .get(self.at)
            .copied()
            .ok_or(self.error("ends in the middle"))?;
        self.at += 1;
        Ok(byte)
    }

    fn varint(&mut self) -> Result<u64, ThriftError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.error("has an integer longer than 64 bits"))
    }

    fn signed(&mut self) -> Result<i64, ThriftError> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    fn binary(&mut self) -> Result<&'a [u8], ThriftError> {
        let length = usize::try_from(self.varint()?)
            .map_err(|_| self.error("has a length beyond memory"))?;
        let end = self
            .at
            .checked_add(length)
            .ok_or(self.error("has a length beyond memory"))?;
        let bytes = self
            .bytes
            .get(self.at..end)
            .ok_or(self.error("has a string that runs past its end"))?;
        self.at = end;
        Ok(bytes)
    }

    /// The next field after the one with id `last`; `None` at the structure's end.
    pub(super) fn field(&mut self, last: i16) -> Result<Option<Field>, ThriftError> {
        let head = self.byte()?;
        if head == 0 {
            return Ok(None);
        }
        let delta = i16::from(head >> 4);
        let id = if delta == 0 {
            i16::try_from(self.signed()?).ok()
        } else {
            last.checked_add(delta)
        };
        let id = id
            .filter(|id| *id > last)
            .ok_or(self.error("has fields out of order"))?;
        Ok(Some(Field {
            id,
            kind: head & 0x0f,
        }))
    }

    /// The value of an integer field.
    pub(super) fn integer(&mut self, field: Field) -> Result<i64, ThriftError> {
        match field.kind {
            I8 => Ok(i64::from(self.byte()?.cast_signed())),
            I16 | I32 | I64 => self.signed(),
            _ => Err(self.error("has a field of the wrong type")),
        }
    }

    /// [`Self::integer`] as a 32-bit integer that is not negative.
    pub(super) fn size(&mut self, field: Field) -> Result<u32, ThriftError> {
        let value = self.integer(field)?;
        u32::try_from(value)
            .ok()
            .filter(|size| i32::try_from(*size).is_ok())
            .ok_or(self.error("has a size that is negative or too large"))
    }

    /// The value of a boolean field.
    pub(super) fn boolean(&self, field: Field) -> Result<bool, ThriftError> {
        match field.kind {
            TRUE => Ok(true),
            FALSE => Ok(false),
            _ => Err(self.error("has a field of the wrong type")),
        }
    }

    /// The start of a structure field.
    pub(super) fn structure(&self, field: Field) -> Result<(), ThriftError> {
        if field.kind == STRUCT {
            Ok(())
        } else {
            Err(self.error("has a field of the wrong type"))
        }
    }

    /// The number of structures of a list field.
    pub(super) fn structures(&mut self, field: Field) -> Result<usize, ThriftError> {
        if field.kind != LIST {
            return Err(self.error("has a field of the wrong type"));
        }
        let (kind, length) = self.list()?;
        if kind == STRUCT || length == 0 {
            Ok(length)
        } else {
            Err(self.error("has a field of the wrong type"))
        }
    }

    fn list(&mut self) -> Result<(u8, usize), ThriftError> {
        let head = self.byte()?;
        let length = if head >> 4 == 15 {
            self.varint()?
        } else {
            u64::from(head >> 4)
        };
        // An element takes a byte at least, so that a declared length can never ask for more memory than was sent.
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= self.bytes.len().saturating_sub(self.at));
        Ok((
            head & 0x0f,
            length.ok_or(self.error("has a list longer than its bytes"))?,
        ))
    }

    /// Skips a value.
    pub(super) fn skip(&mut self, field: Field) -> Result<(), ThriftError> {
        self.walk(field.kind, false, &Shape::Any, DEPTH_MAX, &mut Vec::new())
    }

    /// Walks a whole structure as `shape`; answers the offsets of fields that `shape` does not know.
    pub(super) fn structure_of(
        &mut self,
        shape: &'static Shape,
    ) -> Result<Vec<usize>, ThriftError> {
        let mut unknown = Vec::new();
        self.walk(STRUCT, false, shape, DEPTH_MAX, &mut unknown)?;
        Ok(unknown)
    }

    fn walk(
        &mut self,
        kind: u8,
        in_list: bool,
        shape: &Shape,
        depth: usize,
        unknown: &mut Vec<usize>,
    ) -> Result<(), ThriftError> {
        let depth = depth
            .checked_sub(1)
            .ok_or(self.error("is nested too deeply"))?;
        match kind {
            // A boolean in a list takes a byte; as a field its wire type is its value.
            TRUE | FALSE if !in_list => Ok(()),
            TRUE | FALSE | I8 => self.byte().map(drop),
            I16 | I32 | I64 => self.varint().map(drop),
            DOUBLE => (0..8).try_for_each(|_| self.byte().map(drop)),
            BINARY => self.binary().map(drop),
            LIST | SET => {
                let (kind, length) = self.list()?;
                let (inner, max) = match shape {
                    Shape::List(inner, max) => (*inner, *max),
                    _ => (&Shape::Any, usize::MAX),
                };
                if length > max {
                    return Err(self.error("has a list longer than is allowed"));
                }
                (0..length).try_for_each(|_| self.walk(kind, true, inner, depth, unknown))
            }
            MAP => {
                let length = self.varint()?;
                if length == 0 {
                    return Ok(());
                }
                let kinds = self.byte()?;
                for _ in 0..length {
                    self.walk(kinds >> 4, true, &Shape::Any, depth, unknown)?;
                    self.walk(kinds & 0x0f, true, &Shape::Any, depth, unknown)?;
                }
                Ok(())
            }
            STRUCT => {
                let mut last = 0;
                let mut start = self.at;
                while let Some(field) = self.field(last)? {
                    last = field.id;
                    let inner = match shape {
                        Shape::Struct(fields) => fields
                            .iter()
                            .find(|(id, _)| *id == field.id)
                            .map(|(_, inner)| *inner),
                        _ => Some(&Shape::Any),
                    };
                    let mistyped = matches!(inner, Some(Shape::Integer))
                        && !matches!(field.kind, I8 | I16 | I32 | I64);
                    if inner.is_none() || mistyped {
                        unknown.push(start);
                    }
                    self.walk(
                        field.kind,
                        false,
                        inner.unwrap_or(&Shape::Any),
                        depth,
                        unknown,
                    )?;
                    start = self.at;
                }
                Ok(())
            }
            _ => Err(self.error("has a value of an unknown type")),
        }
    }
}

/// The fields that a structure of the Parquet format may have.
#[derive(Debug)]
pub(super) enum Shape {
    /// A scalar, or something that is not looked into.
    Any,
    /// An integer; anything else in its place is unknown.
    Integer,
    /// A list of at most so many.
    List(&'static Shape, usize),
    /// A structure by field id.
    Struct(&'static [(i16, &'static Shape)]),
}
