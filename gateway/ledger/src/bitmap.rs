//! Roaring bitmaps as they are stored: the portable format, as small as it gets.

use roaring::RoaringBitmap;

/// The stored form. Equal sets have equal bytes.
pub(crate) fn to_bytes(set: &RoaringBitmap) -> Vec<u8> {
    let mut smallest = set.clone();
    // Where a run takes as much room as what it replaces, `optimize` leaves either: a set that was read and changed would
    // then have other bytes than the same set made anew.
    smallest.remove_run_compression();
    smallest.optimize();
    let mut bytes = Vec::with_capacity(smallest.serialized_size());
    // A vector takes every write.
    let _ = smallest.serialize_into(&mut bytes);
    bytes
}

/// Reads the stored form, or says why these bytes are none. What is read may be spelt in a larger way than [`to_bytes`] does.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<RoaringBitmap, String> {
    let mut rest = bytes;
    let set = RoaringBitmap::deserialize_from(&mut rest).map_err(|error| error.to_string())?;
    if rest.is_empty() { Ok(set) } else { Err(format!("{} bytes follow it", rest.len())) }
}
