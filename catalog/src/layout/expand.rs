//! Expands one page, never to more than it declares, and refuses what a compressed stream may carry that no reader looks
//! at: skippable frames, metadata blocks, names and comments, bytes after the end.

use std::io::Read;

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use flate2::bufread::GzDecoder;
use parquet::basic::Compression;
use zstd::zstd_safe::find_frame_compressed_size;

/// First room for what comes out of a stream that does not say how much it will be.
const OUTPUT_BYTES: usize = 64 << 10;

/// Why a page does not expand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExpandError {
    /// The bytes are not of the declared codec.
    Damaged,
    /// They expand to another size than declared.
    Size,
    /// They carry bytes that do not expand to anything.
    Unread,
    /// We cannot read this codec.
    Codec,
}

/// Whether pages of `codec` can be expanded here.
pub(super) const fn known(codec: Compression) -> bool {
    !matches!(codec, Compression::LZO | Compression::LZ4)
}

/// Expands `bytes` into `into`, which holds exactly `size` bytes afterwards. Memory grows with what comes out, not with
/// what is declared.
pub(super) fn expand(codec: Compression, bytes: &[u8], size: usize, into: &mut Vec<u8>) -> Result<(), ExpandError> {
    into.clear();
    if bytes.is_empty() && size == 0 {
        return Ok(());
    }
    match codec {
        Compression::UNCOMPRESSED => into.extend_from_slice(bytes),
        Compression::SNAPPY => {
            // The length is in front; refuse before anything is reserved for it.
            if snap::raw::decompress_len(bytes).map_err(|_| ExpandError::Damaged)? != size {
                return Err(ExpandError::Size);
            }
            into.resize(size, 0);
            let written = snap::raw::Decoder::new().decompress(bytes, into).map_err(|_| ExpandError::Damaged)?;
            into.truncate(written);
        }
        Compression::LZ4_RAW => {
            // A block expands at most 255 times.
            if size > bytes.len().saturating_mul(255) {
                return Err(ExpandError::Size);
            }
            into.resize(size, 0);
            let written = lz4_flex::block::decompress_into(bytes, into).map_err(|_| ExpandError::Damaged)?;
            into.truncate(written);
        }
        Compression::GZIP(_) => gzip(bytes, size, into)?,
        Compression::BROTLI(_) => brotli(bytes, size, into)?,
        Compression::ZSTD(_) => {
            zstd_frames(bytes)?;
            let decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(|_| ExpandError::Damaged)?;
            read(decoder, size, into)?;
        }
        Compression::LZO | Compression::LZ4 => return Err(ExpandError::Codec),
    }
    if into.len() == size { Ok(()) } else { Err(ExpandError::Size) }
}

fn read(decoder: impl Read, size: usize, into: &mut Vec<u8>) -> Result<(), ExpandError> {
    // One byte more than declared shows that there is more.
    let limit = size.saturating_add(1).saturating_sub(into.len());
    decoder.take(u64::try_from(limit).unwrap_or(u64::MAX)).read_to_end(into).map(drop).map_err(|_| ExpandError::Damaged)
}

/// Members one after the other, each with a header that says nothing but its method and time.
fn gzip(bytes: &[u8], size: usize, into: &mut Vec<u8>) -> Result<(), ExpandError> {
    let mut rest = bytes;
    loop {
        let mut decoder = GzDecoder::new(rest);
        read(&mut decoder, size, into)?;
        if into.len() > size {
            return Err(ExpandError::Size);
        }
        let header = decoder.header().ok_or(ExpandError::Damaged)?;
        if header.extra().is_some() || header.filename().is_some() || header.comment().is_some() {
            return Err(ExpandError::Unread);
        }
        rest = decoder.into_inner();
        if rest.is_empty() {
            return Ok(());
        }
        if !rest.starts_with(b"\x1f\x8b") {
            return Err(ExpandError::Unread);
        }
    }
}

/// Whether `bytes` are frames of data and nothing else (RFC 8878, 3.1).
fn zstd_frames(bytes: &[u8]) -> Result<(), ExpandError> {
    let mut rest = bytes;
    while !rest.is_empty() {
        if !rest.starts_with(b"\x28\xb5\x2f\xfd") {
            let first = rest.len() == bytes.len() && !matches!(rest, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
            return Err(if first { ExpandError::Damaged } else { ExpandError::Unread });
        }
        let length = find_frame_compressed_size(rest).map_err(|_| ExpandError::Damaged)?;
        rest = rest.get(length..).ok_or(ExpandError::Damaged)?;
    }
    Ok(())
}

/// Feeds the decoder byte by byte: only then does it show every metadata block, whose bytes it skips (RFC 7932, 9.2).
fn brotli(bytes: &[u8], size: usize, into: &mut Vec<u8>) -> Result<(), ExpandError> {
    let mut state =
        BrotliState::new_strict(StandardAlloc::default(), StandardAlloc::default(), StandardAlloc::default());
    let (mut fed, mut taken, mut written, mut total) = (0, 0, 0, 0);
    loop {
        let mut available = fed - taken;
        let mut room = into.len() - written;
        let result = BrotliDecompressStream(
            &mut available,
            &mut taken,
            bytes.get(..fed).unwrap_or_default(),
            &mut room,
            &mut written,
            into,
            &mut total,
            &mut state,
        );
        if state.is_metadata != 0 && state.meta_block_remaining_len > 0 {
            return Err(ExpandError::Unread);
        }
        match result {
            BrotliResult::ResultSuccess => break,
            BrotliResult::NeedsMoreInput if fed < bytes.len() => fed += 1,
            BrotliResult::NeedsMoreOutput if written <= size => {
                // One byte more than declared shows that there is more.
                let more = (written * 2).max(OUTPUT_BYTES).min(size.saturating_add(1));
                into.resize(more, 0);
            }
            BrotliResult::NeedsMoreOutput => return Err(ExpandError::Size),
            _ => return Err(ExpandError::Damaged),
        }
    }
    into.truncate(written);
    if taken == bytes.len() { Ok(()) } else { Err(ExpandError::Unread) }
}
