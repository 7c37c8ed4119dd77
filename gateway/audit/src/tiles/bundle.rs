//! Entry bundles: entries one after the other, each behind its length as a big-endian uint16.

use super::{TileError, TilePath};

/// Longest entry that a bundle's length prefix can state. Our leaves stop far earlier, at
/// [`crate::leaf::LEAF_BYTES_MAX`].
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// Appends `entry` with its length prefix to the bytes of a bundle.
///
/// # Errors
///
/// [`TileError::EntryTooLong`]; `bundle` is then unchanged.
pub fn encode_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), TileError> {
    let length = u16::try_from(entry.len()).map_err(|_| TileError::EntryTooLong { got: entry.len() })?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Splits a bundle into its entries.
///
/// # Errors
///
/// [`TileError::Bundle`] unless the bytes are exactly as many entries as `path` is wide.
pub fn bundle_entries<'a>(path: &TilePath, bytes: &'a [u8]) -> Result<Vec<&'a [u8]>, TileError> {
    let broken = |rest: &[u8]| TileError::Bundle { path: *path, at: bytes.len() - rest.len() };
    let mut entries = Vec::with_capacity(usize::from(path.width()));
    let mut rest = bytes;
    for _ in 0..path.width() {
        let (length, after) = rest.split_first_chunk::<2>().ok_or_else(|| broken(rest))?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, after) = after.split_at_checked(length).ok_or_else(|| broken(rest))?;
        entries.push(entry);
        rest = after;
    }
    if rest.is_empty() { Ok(entries) } else { Err(broken(rest)) }
}
