//! Zip files that are always the same for the same files: stored, sorted by name, dated 1980-01-01.

use std::collections::BTreeMap;

use super::Fault;

/// The files of a bundle by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What a zip without its 64-bit extension can hold, with room for headers.
const BYTES_MAX: usize = 0xF000_0000;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_BYTES: usize = 22;
const CENTRAL_BYTES: usize = 46;
/// Names are UTF-8.
const FLAGS: u16 = 0x0800;
/// 1980-01-01, the first day that MS-DOS knows.
const DAY: u16 = 0x0021;

/// The numbers of one file that both of its headers hold.
struct Entry<'a> {
    name: &'a str,
    crc: u32,
    size: u32,
    offset: u32,
}

impl Entry<'_> {
    /// The members that both headers share: version, flags, method, time, day, checksum, sizes, lengths.
    fn shared(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(26);
        for short in [20, FLAGS, 0, 0, DAY] {
            bytes.extend(short.to_le_bytes());
        }
        for long in [self.crc, self.size, self.size] {
            bytes.extend(long.to_le_bytes());
        }
        bytes.extend(u16::try_from(self.name.len()).unwrap_or(u16::MAX).to_le_bytes());
        bytes.extend(0_u16.to_le_bytes());
        bytes
    }

    fn local(&self) -> Vec<u8> {
        [LOCAL.to_le_bytes().as_slice(), &self.shared(), self.name.as_bytes()].concat()
    }

    fn central(&self) -> Vec<u8> {
        let made_by = 20_u16.to_le_bytes();
        // Comment length, disk, internal and external attributes.
        let rest = [0_u8; 10];
        let head = [CENTRAL.to_le_bytes().as_slice(), &made_by, &self.shared(), &rest].concat();
        [head.as_slice(), &self.offset.to_le_bytes(), self.name.as_bytes()].concat()
    }
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn fault(file: &str, why: impl Into<String>) -> Fault {
    Fault { file: file.to_owned(), why: why.into() }
}

/// Packs `files`.
///
/// # Errors
/// They are more than a plain zip holds.
pub fn pack(files: &Files) -> Result<Vec<u8>, Fault> {
    let all: usize = files.iter().map(|(name, bytes)| name.len() * 2 + bytes.len() + 128).sum();
    let count = u16::try_from(files.len()).map_err(|_| fault("the archive", "it holds at most 65535 files"))?;
    if all > BYTES_MAX || files.keys().any(|name| name.len() > 200) {
        return Err(fault("the archive", "it holds at most 3.75 GiB, and names of at most 200 bytes"));
    }
    // They fit: their sum does.
    let offset = |archive: &[u8]| u32::try_from(archive.len()).unwrap_or(u32::MAX);
    let (mut archive, mut directory) = (Vec::with_capacity(all), Vec::new());
    for (name, bytes) in files {
        let entry = Entry { name, crc: crc(bytes), size: offset(bytes), offset: offset(&archive) };
        archive.extend(entry.local());
        archive.extend(bytes);
        directory.extend(entry.central());
    }
    let (at, length) = (offset(&archive), offset(&directory));
    archive.extend(directory);
    archive.extend(END.to_le_bytes());
    archive.extend([0; 4]);
    archive.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    archive.extend([length.to_le_bytes(), at.to_le_bytes()].concat());
    archive.extend([0; 2]);
    Ok(archive)
}

/// A little-endian number of `bytes` bytes.
fn number(archive: &[u8], at: usize, bytes: usize) -> Option<usize> {
    let found = archive.get(at..at.checked_add(bytes)?)?;
    Some(found.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

/// Takes an archive apart that [`pack`] made.
///
/// # Errors
/// The file whose bytes or headers are not as [`pack`] writes them.
pub fn unpack(archive: &[u8]) -> Result<Files, Fault> {
    let end = || fault("the archive", "its end is not that of a bundle: it is cut off, or no zip file of ours");
    let directory_end = archive.len().checked_sub(END_BYTES).ok_or_else(end)?;
    let read = |at, bytes| number(archive, directory_end + at, bytes);
    let (Some(count), Some(mut at)) = (read(10, 2), read(16, 4)) else { return Err(end()) };
    let mut files = Files::new();
    let mut name = "the archive".to_owned();
    for _ in 0..count {
        let broken = |why: &str| fault(&name, format!("{why}, or the directory beside it"));
        let member = |offset, bytes| number(archive, at + offset, bytes).filter(|_| at < directory_end);
        let (Some(sum), Some(size), Some(length), Some(offset)) =
            (member(16, 4), member(24, 4), member(28, 2), member(42, 4))
        else {
            return Err(broken("the directory breaks off behind it"));
        };
        let (from, to) = (at + CENTRAL_BYTES, at + CENTRAL_BYTES + length);
        let found = archive.get(from..to).and_then(|name| std::str::from_utf8(name).ok());
        let found = found.filter(|_| to <= directory_end).ok_or_else(|| broken("the next entry has no name"))?;
        let short = |number| u32::try_from(number).unwrap_or(u32::MAX);
        let entry = Entry { name: found, crc: short(sum), size: short(size), offset: short(offset) };
        let data = offset + 30 + length;
        let headers =
            archive.get(offset..data) == Some(&entry.local()) && archive.get(at..to) == Some(&entry.central());
        if !headers {
            let local = number(archive, offset.saturating_add(26), 2) == Some(length)
                && archive.get(offset.saturating_add(30)..data) == Some(found.as_bytes());
            return Err(if local {
                fault(found, "its header in the archive is altered")
            } else {
                fault("the archive", format!("its directory lists `{found}` where another file lies"))
            });
        }
        let bytes = archive.get(data..data.saturating_add(size)).ok_or_else(|| fault(found, "it breaks off"))?;
        if crc(bytes) != entry.crc {
            return Err(fault(found, "its bytes do not have its checksum: it is altered"));
        }
        if files.insert(found.to_owned(), bytes.to_vec()).is_some() {
            return Err(fault(found, "it is there twice"));
        }
        found.clone_into(&mut name);
        at = to;
    }
    // Nothing may hide between the files or behind them.
    if pack(&files)? != archive {
        return Err(fault("the archive", "it is not packed as a bundle is: bytes between the files or at its end"));
    }
    Ok(files)
}
