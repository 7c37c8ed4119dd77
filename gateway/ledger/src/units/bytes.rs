//! The stored form of a unit set: a byte that names the form, the length of the bitmap (LEB128), the bitmap, the other bytes
//! as an interval set. The empty set is no bytes.
//!
//! The bitmap comes first: a bit set in it then changes one page of the database, as long as nothing before it grows.

use catalog::FileIndex;

use super::UnitSet;
use crate::bitmap;
use crate::interval::{IntervalError, IntervalSet, put, take};

/// Intervals of bytes and nothing else: what a store of an earlier release holds. Read, never written.
const BYTES: u8 = 0;

/// Units and parts.
const UNITS: u8 = 1;

/// Bytes that are no unit set of this file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitSetError {
    /// The first byte names no form that this release knows.
    #[error("a unit set of form {0} is unknown")]
    Form(u8),
    /// It is cut off within or before the bitmap.
    #[error("the unit set is cut off: its bitmap of {wanted} bytes has {found}")]
    Cut {
        /// Length that it states.
        wanted: u64,
        /// Bytes that are left.
        found: usize,
    },
    /// The bitmap is none.
    #[error("the unit set's bitmap is damaged: {0}")]
    Bitmap(String),
    /// What is not whole units is no set of bytes.
    #[error("the unit set's parts are damaged: {0}")]
    Parts(#[from] IntervalError),
    /// It holds a unit that the file has not.
    #[error("the unit set holds unit {unit}; the file's have the numbers {first} to {past}, the last excluded")]
    Unit {
        /// Its number.
        unit: u32,
        /// The file's first unit with a byte.
        first: usize,
        /// One past its last.
        past: usize,
    },
    /// It holds a byte beyond the end of the file.
    #[error("the unit set reaches to byte {end} of a file of {bytes}")]
    Beyond {
        /// One past its last byte.
        end: u64,
        /// Length of the file.
        bytes: u64,
    },
    /// The same set has other bytes.
    #[error("the unit set is not spelt as it should be")]
    Spelling,
}

impl UnitSet {
    /// The stored form. Equal sets have equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.is_empty() {
            return Vec::new();
        }
        let units = if self.whole.is_empty() { Vec::new() } else { bitmap::to_bytes(&self.whole) };
        let mut bytes = vec![UNITS];
        put(&mut bytes, units.len() as u64);
        bytes.extend(units);
        bytes.extend(self.parts.to_bytes());
        bytes
    }

    /// Reads the stored form of a set of units of the file with this `index`.
    ///
    /// # Errors
    /// Every set has one spelling: what is not it is refused. Only the form of earlier releases is taken as it comes.
    pub fn from_bytes(bytes: &[u8], index: &FileIndex) -> Result<Self, UnitSetError> {
        let Some((form, rest)) = bytes.split_first() else { return Ok(Self::new()) };
        let within = |parts: &IntervalSet| {
            let end = parts.iter().next_back().map_or(0, |last| last.end);
            if end <= index.bytes { Ok(()) } else { Err(UnitSetError::Beyond { end, bytes: index.bytes }) }
        };
        match *form {
            BYTES => {
                let parts = IntervalSet::from_bytes(rest)?;
                within(&parts)?;
                Ok(Self::of(index, &parts))
            }
            UNITS => {
                let mut at = 0;
                let wanted = take(rest, &mut at)?;
                let rest = rest.get(at..).unwrap_or_default();
                let cut = UnitSetError::Cut { wanted, found: rest.len() };
                let (units, parts) =
                    usize::try_from(wanted).ok().and_then(|length| rest.split_at_checked(length)).ok_or(cut)?;
                let parts = IntervalSet::from_bytes(parts)?;
                within(&parts)?;
                let set = Self::normal(whole(units, index)?, &parts, index);
                if set.to_bytes() == bytes { Ok(set) } else { Err(UnitSetError::Spelling) }
            }
            form => Err(UnitSetError::Form(form)),
        }
    }
}

/// The bitmap, of units that the file has.
fn whole(bytes: &[u8], index: &FileIndex) -> Result<roaring::RoaringBitmap, UnitSetError> {
    if bytes.is_empty() {
        return Ok(roaring::RoaringBitmap::new());
    }
    let whole = bitmap::from_bytes(bytes).map_err(UnitSetError::Bitmap)?;
    // Chunks without bytes stand before all others.
    let first = index.units.iter().take_while(|unit| unit.bytes == 0).count();
    let past = index.units.len();
    for unit in whole.min().into_iter().chain(whole.max()) {
        if !usize::try_from(unit).is_ok_and(|number| (first..past).contains(&number)) {
            return Err(UnitSetError::Unit { unit, first, past });
        }
    }
    Ok(whole)
}
