//! The flattened tree of schema elements: whether it is one tree, of columns that every reader takes for the same.

use super::thrift::{Cursor, Field, ThriftError};

/// Deepest nesting of a schema.
const DEPTH_MAX: usize = 32;
/// Longest value of a column of fixed length: also a null of it takes that many bytes in memory.
const FIXED_BYTES_MAX: i64 = 1 << 20;
/// `Type::FIXED_LEN_BYTE_ARRAY`.
const FIXED: i64 = 7;
/// `ConvertedType::MAP`, `MAP_KEY_VALUE` and `LIST`, which a group may have.
const GROUP_CONVERTED: [i64; 3] = [1, 2, 3];
/// `LogicalType::MAP`, `LIST` and `VARIANT`, which a group may have.
const GROUP_LOGICAL: [i16; 3] = [2, 3, 16];

#[derive(Default)]
struct Element {
    physical: Option<i64>,
    length: Option<i64>,
    repeated: bool,
    children: i64,
    converted: Option<i64>,
    logical: Option<i16>,
}

/// Checks the list of schema elements `field`. The walk by shape has been through it already.
pub(super) fn check(cursor: &mut Cursor<'_>, field: Field) -> Result<(), ThriftError> {
    let elements = cursor.structures(field)?;
    // Children still to come of every group that is open.
    let mut open: Vec<i64> = Vec::new();
    for number in 0..elements {
        let start = cursor.clone();
        let element = Element::read(cursor)?;
        let fault = |what| Err(start.error(what));
        let root = number == 0;
        if root != open.is_empty() {
            return fault("has a schema that is not one tree");
        }
        if usize::try_from(element.children).map_or(true, |children| children >= elements - number) {
            return fault("has a group of more columns than follow");
        }
        if !root && !element.repeated {
            return fault("has a column that is neither required nor optional nor repeated");
        }
        if let Err(what) = element.consistent() {
            return fault(what);
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        if element.children > 0 {
            open.push(element.children);
        }
        while open.last().is_some_and(|left| *left <= 0) {
            open.pop();
        }
        if open.len() > DEPTH_MAX {
            return fault("has a schema that is nested too deeply");
        }
    }
    if open.is_empty() { Ok(()) } else { Err(cursor.error("has a schema that is not one tree")) }
}

impl Element {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, ThriftError> {
        let mut element = Self::default();
        cursor.each_field(|cursor, field| {
            match field.id {
                1 => element.physical = Some(cursor.integer(field)?),
                2 => element.length = Some(cursor.integer(field)?),
                5 => element.children = cursor.integer(field)?,
                6 => element.converted = Some(cursor.integer(field)?),
                10 => {
                    // A union: its only field is the type.
                    cursor.structure(field)?;
                    cursor.each_field(|cursor, member| {
                        element.logical = Some(member.id);
                        cursor.skip(member)
                    })?;
                }
                id => {
                    element.repeated |= id == 3;
                    cursor.skip(field)?;
                }
            }
            Ok(())
        })?;
        Ok(element)
    }

    /// Whether its fields agree. What a leaf's logical type may stand on is the reader's to check.
    fn consistent(&self) -> Result<(), &'static str> {
        match (self.physical, self.children) {
            (Some(_), 1..) => return Err("has a column that is a group and has a type"),
            (None, ..=0) => return Err("has a group without columns"),
            _ => {}
        }
        if self.physical == Some(FIXED) && !self.length.is_some_and(|length| (1..=FIXED_BYTES_MAX).contains(&length)) {
            return Err("has a column of fixed length whose length is not 1 to 1048576");
        }
        if self.physical.is_some() {
            return Ok(());
        }
        let converted = self.converted.is_none_or(|id| GROUP_CONVERTED.contains(&id));
        let logical = self.logical.is_none_or(|id| GROUP_LOGICAL.contains(&id));
        let agree = match (self.converted, self.logical) {
            (Some(1 | 2), Some(kind)) => kind == 2,
            (Some(3), Some(kind)) => kind == 3,
            _ => true,
        };
        if converted && logical && agree { Ok(()) } else { Err("has a group with a type that none may have") }
    }
}
