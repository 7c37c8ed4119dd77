//! The RLE / bit-packed hybrid of levels and dictionary indices, decoded as far as counting needs.

/// Values that may pad a bit-packed run: fewer than eight by the format, up to a block of 256 by DuckDB,
/// which leaves what stood there before.
const PADDING_MAX: u64 = 256;

/// What a run of levels says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// Levels that equal the target.
    pub(super) equal: u64,
    /// The longest stretch without the target, the one that goes on from before included.
    pub(super) stretch_max: u64,
    /// The stretch that has not ended yet.
    pub(super) stretch: u64,
    /// The first level, if there was one.
    pub(super) first: Option<u64>,
}

impl Counted {
    fn add(&mut self, level: u64, times: u64, target: u64) {
        self.first = self.first.or(Some(level));
        if level == target {
            self.equal += times;
            self.stretch = 0;
        } else {
            self.stretch = self.stretch.saturating_add(times);
            self.stretch_max = self.stretch_max.max(self.stretch);
        }
    }
}

/// What a run of levels or indices should hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// Bits of one.
    pub(super) width: u32,
    /// How many.
    pub(super) values: u64,
    /// The largest that may be.
    pub(super) max: u64,
    /// The one that is counted.
    pub(super) target: u64,
}

/// Counts the levels; `stretch` goes on from the page before. `None` if the bytes end too soon, hold more than the
/// levels, or one that is too large. What pads the last bit-packed run cannot be told from nothing: it stays.
pub(super) fn count(bytes: &[u8], expected: Expected, stretch: u64) -> Option<Counted> {
    let Expected { width, values, max, target } = expected;
    let mut counted = Counted { stretch, ..Counted::default() };
    let mut rest = bytes;
    let mut left = values;
    while left > 0 {
        let (header, after) = varint(rest)?;
        rest = after;
        let runs = header >> 1;
        if header & 1 == 0 {
            // One value, repeated.
            let length = usize::try_from(width.div_ceil(8)).ok()?;
            let (value, after) = rest.split_at_checked(length)?;
            rest = after;
            let level = value.iter().rev().fold(0, |level, byte| level << 8 | u64::from(*byte));
            // A run that is longer than the values hides nothing: it is one value and a number.
            if runs == 0 || level > max {
                return None;
            }
            let times = runs.min(left);
            counted.add(level, times, target);
            left -= times;
        } else {
            // Groups of eight values.
            let length = usize::try_from(runs.checked_mul(u64::from(width))?).ok()?;
            let (packed, after) = rest.split_at_checked(length)?;
            rest = after;
            let packed_values = runs.checked_mul(8)?;
            let held = packed_values.min(left);
            if held == 0 || packed_values - held > PADDING_MAX {
                return None;
            }
            left -= held;
            let mut buffer = 0u64;
            let mut bits = 0;
            let mut bytes = packed.iter();
            for _ in 0..held {
                while bits < width {
                    buffer |= u64::from(*bytes.next()?) << bits;
                    bits += 8;
                }
                let level = buffer & ((1 << width) - 1);
                if level > max {
                    return None;
                }
                counted.add(level, 1, target);
                buffer >>= width;
                bits -= width;
            }
        }
    }
    rest.is_empty().then_some(counted)
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (number, byte) in bytes.iter().take(9).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * number);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(number + 1..)?));
        }
    }
    None
}

/// Bits that a level up to `max` takes.
pub(super) fn width(max: i16) -> u32 {
    u16::BITS - max.unsigned_abs().leading_zeros()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(width: u32, values: u64, max: u64) -> Expected {
        Expected { width, values, max, target: 0 }
    }

    #[test]
    fn counts_runs_and_packed_groups() {
        // Five times 1, then a group of eight alternating bits of which five count.
        let bytes = [5 << 1, 1, 1 << 1 | 1, 0b1010_1010];
        let counted = count(&bytes, of(1, 10, 1), 2).unwrap();
        assert_eq!((counted.equal, counted.stretch_max, counted.first), (3, 7, Some(1)));
        assert_eq!(count(&bytes, of(1, 10, 0), 2), None, "a level too large");
        assert_eq!(count(&bytes[2..], of(1, 5, 0), 2), None, "one in a packed run");
        assert_eq!(count(&[5 << 1], of(1, 5, 1), 0), None);
        assert_eq!(count(&[5 << 1, 1, 0], of(1, 5, 1), 0), None, "a byte that belongs to no level");
        assert_eq!((width(0), width(1), width(2), width(7)), (0, 1, 2, 3));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, width in 0u32..40, values in 0u64..10_000, max: u64) {
            let _ = count(&bytes, of(width, values, max), 0);
        }
    }
}
