//! `DELTA_BINARY_PACKED`: where such a stream ends, and, where it holds lengths, what they are.
//!
//! Format: <https://parquet.apache.org/docs/file-format/data-pages/encodings/>, delta encoding.

/// Most values of a miniblock. The last one is padded with whatever the writer had there; the largest that a known
/// writer uses is 256.
const MINIBLOCK_MAX: u64 = 256;
/// Most miniblocks of a block.
const MINIBLOCKS_MAX: u64 = 64;

/// A stream, as an iterator over lengths: 32-bit integers that are not negative; `None` for any other.
#[derive(Debug, Clone)]
pub(super) struct Deltas<'a> {
    rest: &'a [u8],
    count: u64,
    /// Values still to come.
    left: u64,
    miniblocks: usize,
    miniblock: u64,
    /// Widths of the block's miniblocks still to come.
    widths: &'a [u8],
    packed: &'a [u8],
    width: u64,
    /// Values of `packed` that were taken.
    taken: u64,
    minimum: i64,
    last: i64,
}

impl<'a> Deltas<'a> {
    /// The stream at the start of `bytes`, and what follows it. `None` if it is damaged or cut off.
    pub(super) fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (block, rest) = varint(bytes)?;
        let (miniblocks, rest) = varint(rest)?;
        let (count, rest) = varint(rest)?;
        let (last, rest) = varint(rest)?;
        if miniblocks == 0 || miniblocks > MINIBLOCKS_MAX || block % miniblocks != 0 {
            return None;
        }
        let miniblock = block / miniblocks;
        if miniblock == 0 || miniblock > MINIBLOCK_MAX || miniblock % 8 != 0 {
            return None;
        }
        let deltas = Self {
            rest,
            count,
            left: count,
            miniblocks: usize::try_from(miniblocks).ok()?,
            miniblock,
            widths: &[],
            packed: &[],
            width: 0,
            taken: miniblock,
            minimum: 0,
            last: zigzag(last),
        };
        let mut end = deltas.clone();
        let mut left = count.saturating_sub(1);
        while left > 0 {
            end.advance()?;
            left = left.saturating_sub(miniblock);
        }
        // The widths of miniblocks that are not there say nothing.
        if end.widths.iter().any(|width| *width != 0) {
            return None;
        }
        Some((deltas, end.rest))
    }

    /// How many values it holds.
    pub(super) const fn values(&self) -> u64 {
        self.count
    }

    /// Goes to the next miniblock.
    fn advance(&mut self) -> Option<()> {
        if self.widths.is_empty() {
            let (minimum, rest) = varint(self.rest)?;
            self.minimum = zigzag(minimum);
            (self.widths, self.rest) = rest.split_at_checked(self.miniblocks)?;
        }
        let (width, widths) = self.widths.split_first()?;
        self.widths = widths;
        self.width = u64::from(*width);
        if self.width > 64 {
            return None;
        }
        let bytes = usize::try_from(self.width * self.miniblock / 8).ok()?;
        (self.packed, self.rest) = self.rest.split_at_checked(bytes)?;
        self.taken = 0;
        Some(())
    }

    fn delta(&mut self) -> Option<i64> {
        if self.taken == self.miniblock {
            self.advance()?;
        }
        let start = self.taken * self.width;
        self.taken += 1;
        let bytes = self.packed.get(usize::try_from(start / 8).ok()?..)?;
        // 64 bits that begin anywhere in a byte reach into nine.
        let wide = bytes.iter().take(9).rev().fold(0u128, |wide, byte| wide << 8 | u128::from(*byte));
        let packed = wide >> (start % 8) & ((1 << self.width) - 1);
        let packed = u64::try_from(packed).ok()?.cast_signed();
        Some(self.minimum.wrapping_add(packed))
    }
}

impl Iterator for Deltas<'_> {
    type Item = Option<u32>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        if self.left < self.count {
            let Some(delta) = self.delta() else {
                self.left = 0;
                return Some(None);
            };
            self.last = self.last.wrapping_add(delta);
        }
        self.left -= 1;
        // Writers of 32-bit values let them wrap at 32 bits.
        let length = u32::try_from(self.last & 0xffff_ffff).ok();
        Some(length.filter(|length| i32::try_from(*length).is_ok()))
    }
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (number, byte) in bytes.iter().take(10).enumerate() {
        if number == 9 && *byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(number).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(number + 1..)?));
        }
    }
    None
}

const fn zigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn the_example_of_the_specification_is_read() {
        // 7, 5, 3, 1, 2, 3, 4, 5 in a block of 128 with 4 miniblocks: minimum -2, one miniblock of 2 bits.
        let mut bytes = vec![0x80, 1, 4, 8, 14, 3, 2, 0, 0, 0, 0b1100_0000, 0b0011_1111, 0, 0, 0, 0, 0, 0];
        let (deltas, rest) = Deltas::split(&bytes).unwrap();
        assert_eq!((deltas.values(), rest.len()), (8, 0));
        assert_eq!(deltas.map(Option::unwrap).collect::<Vec<_>>(), [7, 5, 3, 1, 2, 3, 4, 5]);
        bytes.push(9);
        assert_eq!(Deltas::split(&bytes).unwrap().1, [9]);
        assert!(Deltas::split(&bytes[..bytes.len() - 2]).is_none());
        bytes[7] = 1;
        assert!(Deltas::split(&bytes).is_none(), "a width that says nothing");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(head in 0usize..4, bytes: Vec<u8>) {
            let mut all = [&[0x80, 1, 4][..], &[0x80, 2, 4], &[8, 1], &[]][head].to_vec();
            all.extend_from_slice(&bytes);
            if let Some((deltas, _)) = Deltas::split(&all) {
                let _ = deltas.take(10_000).count();
            }
        }
    }
}
