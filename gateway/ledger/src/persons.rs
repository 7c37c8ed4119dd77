//! Sets of persons: dense numbers that one node gave to keyed hashes of a subject key, in one exporter's year.
//!
//! Numbers mean nothing outside of that node and year. Two hashes never share one, so a set never counts too few.

use std::fmt;

use roaring::RoaringBitmap;

use crate::bitmap;

/// Bytes that are no set of persons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes are no set of persons: {why}")]
pub struct PersonsError {
    bytes: usize,
    why: String,
}

/// A set of persons of one exporter and year.
#[derive(Clone, Default, PartialEq)]
pub struct PersonSet(RoaringBitmap);

impl fmt::Debug for PersonSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PersonSet({} persons)", self.len())
    }
}

impl PersonSet {
    /// Nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether it is nobody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one.
    pub fn insert(&mut self, person: u32) {
        self.0.insert(person);
    }

    /// Whether `person` is in it.
    pub fn contains(&self, person: u32) -> bool {
        self.0.contains(person)
    }

    /// Adds everybody of `other`.
    pub fn union_with(&mut self, other: &Self) {
        self.0 |= &other.0;
    }

    /// How many are in either.
    pub fn union_len(&self, other: &Self) -> u64 {
        self.0.union_len(&other.0)
    }

    /// The stored form (the portable Roaring format), as small as it gets.
    pub fn to_bytes(&self) -> Vec<u8> {
        bitmap::to_bytes(&self.0)
    }

    /// Reads the stored form; no bytes are nobody.
    ///
    /// # Errors
    /// Bytes that are not of that form, or more than one set.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PersonsError> {
        if bytes.is_empty() {
            return Ok(Self::new());
        }
        bitmap::from_bytes(bytes).map(Self).map_err(|why| PersonsError { bytes: bytes.len(), why })
    }
}

impl FromIterator<u32> for PersonSet {
    fn from_iter<I: IntoIterator<Item = u32>>(persons: I) -> Self {
        Self(persons.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn a_set_survives_its_stored_form() {
        for set in [PersonSet::new(), (0..100_000).collect(), (0..1_000_000).step_by(7).collect()] {
            let bytes = set.to_bytes();
            assert_eq!(PersonSet::from_bytes(&bytes).unwrap(), set);
        }
        assert!((0..100_000).collect::<PersonSet>().to_bytes().len() < 100, "a run takes no room");
        assert_eq!(PersonSet::from_bytes(&[]).unwrap(), PersonSet::new());
    }

    #[test]
    fn what_is_no_set_is_refused() {
        let bytes = (0..70_000).step_by(3).collect::<PersonSet>().to_bytes();
        assert!(PersonSet::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        assert!(PersonSet::from_bytes(&[bytes.as_slice(), &[0]].concat()).is_err());
        assert!(PersonSet::from_bytes(b"persons").is_err());
    }
}
