//! The compact form of an interval set: for each interval the gap before it and its length, LEB128.

use super::IntervalSet;

/// Bytes or pairs that are no interval set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntervalError {
    /// The bytes end inside a number, or a number has more than 64 bits.
    #[error("the interval set is cut off or holds a number beyond 64 bits at byte {at}")]
    Number {
        /// Offset of the wrong byte.
        at: usize,
    },
    /// An interval is empty, reversed, or touches or precedes the one before it.
    #[error("interval {start}..{end} is empty or does not come after the one before it")]
    Order {
        /// Its first number.
        start: u64,
        /// One past its last.
        end: u64,
    },
}

impl IntervalSet {
    /// The compact form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.intervals.len() * 6);
        let mut at = 0;
        for range in &self.intervals {
            put(&mut bytes, range.start - at);
            put(&mut bytes, range.end - range.start);
            at = range.end;
        }
        bytes
    }

    /// Reads the compact form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IntervalError> {
        let mut set = Self::new();
        let (mut at, mut end) = (0, 0_u64);
        while at < bytes.len() {
            let gap = take(bytes, &mut at)?;
            let length = take(bytes, &mut at)?;
            let start = end.checked_add(gap).ok_or(IntervalError::Number { at })?;
            end = start.checked_add(length).ok_or(IntervalError::Number { at })?;
            set.push_after(start, end)?;
        }
        Ok(set)
    }

    /// Appends an interval that lies beyond all others with a gap.
    pub(super) fn push_after(&mut self, start: u64, end: u64) -> Result<(), IntervalError> {
        let after = self.intervals.last().is_none_or(|last| last.end < start);
        if start < end && after {
            self.intervals.push(start..end);
            Ok(())
        } else {
            Err(IntervalError::Order { start, end })
        }
    }
}

pub(crate) fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

pub(crate) fn take(bytes: &[u8], at: &mut usize) -> Result<u64, IntervalError> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let wrong = IntervalError::Number { at: *at };
        let byte = *bytes.get(*at).ok_or_else(|| wrong.clone())?;
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit only.
        if bits << shift >> shift != bits {
            return Err(wrong);
        }
        number |= bits << shift;
        *at += 1;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(IntervalError::Number { at: *at })
}
