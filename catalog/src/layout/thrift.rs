//! Thrift compact protocol, as much as Parquet needs: a bounds-checked cursor. What a structure may hold is the business
//! of [`super::shape`].

use std::fmt;

/// Deepest nesting that is followed.
const DEPTH_MAX: usize = 32;

/// Bytes that are not the Thrift they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ThriftError {
    /// Offset from the start of the slice.
    pub(super) at: usize,
    pub(super) what: &'static str,
    /// Structure and field, where they are known.
    pub(super) field: Option<(&'static str, &'static str)>,
}

impl fmt::Display for ThriftError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        match self.field {
            Some((structure, field)) => write!(f, ": `{structure}.{field}`"),
            None => Ok(()),
        }
    }
}

/// Wire types of the compact protocol.
pub(super) const TRUE: u8 = 1;
pub(super) const FALSE: u8 = 2;
pub(super) const I8: u8 = 3;
pub(super) const I16: u8 = 4;
pub(super) const I32: u8 = 5;
pub(super) const I64: u8 = 6;
pub(super) const DOUBLE: u8 = 7;
pub(super) const BINARY: u8 = 8;
pub(super) const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
pub(super) const STRUCT: u8 = 12;

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
    pub(super) kind: u8,
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
        ThriftError { at: self.at, what, field: None }
    }

    pub(super) fn byte(&mut self) -> Result<u8, ThriftError> {
        let byte = self.bytes.get(self.at).copied().ok_or(self.error("ends in the middle"))?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn varint(&mut self) -> Result<u64, ThriftError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            // Of a tenth byte only the lowest bit has a place in the value.
            if shift == 63 && byte & 0x7e != 0 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.error("has an integer longer than 64 bits"))
    }

    pub(super) fn signed(&mut self) -> Result<i64, ThriftError> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    pub(super) fn binary(&mut self) -> Result<&'a [u8], ThriftError> {
        let length = usize::try_from(self.varint()?).map_err(|_| self.error("has a length beyond memory"))?;
        let end = self.at.checked_add(length).ok_or(self.error("has a length beyond memory"))?;
        let bytes = self.bytes.get(self.at..end).ok_or(self.error("has a string that runs past its end"))?;
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
        let id = if delta == 0 { i16::try_from(self.signed()?).ok() } else { last.checked_add(delta) };
        let id = id.filter(|id| *id > last).ok_or(self.error("has fields out of order"))?;
        Ok(Some(Field { id, kind: head & 0x0f }))
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
        if field.kind == STRUCT { Ok(()) } else { Err(self.error("has a field of the wrong type")) }
    }

    /// The number of structures of a list field.
    pub(super) fn structures(&mut self, field: Field) -> Result<usize, ThriftError> {
        if field.kind != LIST {
            return Err(self.error("has a field of the wrong type"));
        }
        let (kind, length) = self.list()?;
        if kind == STRUCT || length == 0 { Ok(length) } else { Err(self.error("has a field of the wrong type")) }
    }

    pub(super) fn list(&mut self) -> Result<(u8, usize), ThriftError> {
        let head = self.byte()?;
        let length = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        // An element takes a byte at least, so that a declared length can never ask for more memory than was sent.
        let length = usize::try_from(length).ok().filter(|length| *length <= self.bytes.len().saturating_sub(self.at));
        Ok((head & 0x0f, length.ok_or(self.error("has a list longer than its bytes"))?))
    }

    /// Calls `each` with every field of the structure that begins here; it must read or skip the value.
    pub(super) fn each_field<E: From<ThriftError>>(
        &mut self,
        mut each: impl FnMut(&mut Self, Field) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut last = 0;
        while let Some(field) = self.field(last)? {
            last = field.id;
            each(self, field)?;
        }
        Ok(())
    }

    /// Skips a value.
    pub(super) fn skip(&mut self, field: Field) -> Result<(), ThriftError> {
        self.walk(field.kind, false, DEPTH_MAX)
    }

    fn walk(&mut self, kind: u8, in_list: bool, depth: usize) -> Result<(), ThriftError> {
        let depth = depth.checked_sub(1).ok_or(self.error("is nested too deeply"))?;
        match kind {
            // A boolean in a list takes a byte; as a field its wire type is its value.
            TRUE | FALSE if !in_list => Ok(()),
            TRUE | FALSE | I8 => self.byte().map(drop),
            I16 | I32 | I64 => self.varint().map(drop),
            DOUBLE => (0..8).try_for_each(|_| self.byte().map(drop)),
            BINARY => self.binary().map(drop),
            LIST | SET => {
                let (kind, length) = self.list()?;
                (0..length).try_for_each(|_| self.walk(kind, true, depth))
            }
            MAP => {
                let length = self.varint()?;
                if length == 0 {
                    return Ok(());
                }
                let kinds = self.byte()?;
                for _ in 0..length {
                    self.walk(kinds >> 4, true, depth)?;
                    self.walk(kinds & 0x0f, true, depth)?;
                }
                Ok(())
            }
            STRUCT => self.each_field(|cursor, field| cursor.walk(field.kind, false, depth)),
            _ => Err(self.error("has a value of an unknown type")),
        }
    }
}
