//! Expands one page, never to more than it declares.

use std::io::Read;

use parquet::basic::Compression;

/// Why a page does not expand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExpandError {
    /// The bytes are not of the declared codec.
    Damaged,
    /// They expand to another size than declared.
    Size,
    /// We cannot read this codec.
    Codec,
}

/// Whether pages of `codec` can be expanded here.
pub(super) const fn known(codec: Compression) -> bool {
    !matches!(codec, Compression::LZO | Compression::LZ4)
}

/// Expands `bytes` into `into`, which holds exactly `size` bytes afterwards. Memory grows with what comes out, not with
/// what is declared.
pub(super) fn expand(
    codec: Compression,
    bytes: &[u8],
    size: usize,
    into: &mut Vec<u8>,
) -> Result<(), ExpandError> {
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
            let written = snap::raw::Decoder::new()
                .decompress(bytes, into)
                .map_err(|_| ExpandError::Damaged)?;
            into.truncate(written);
        }
        Compression::LZ4_RAW => {
            // A block expands at most 255 times.
            if size > bytes.len().saturating_mul(255) {
                return Err(ExpandError::Size);
            }
            into.resize(size, 0);
            let written =
                lz4_flex::block::decompress_into(bytes, into).map_err(|_| ExpandError::Damaged)?;
            into.truncate(written);
        }
        Compression::GZIP(_) => read(flate2::read::MultiGzDecoder::new(bytes), size, into)?,
        Compression::BROTLI(_) => read(brotli::Decompressor::new(bytes, 4096), size, into)?,
        Compression::ZSTD(_) => {
            let decoder = zstd::stream::read::Decoder::with_buffer(bytes)
                .map_err(|_| ExpandError::Damaged)?;
            read(decoder, size, into)?;
        }
        Compression::LZO | Compression::LZ4 => return Err(ExpandError::Codec),
    }
    if into.len() == size {
        Ok(())
    } else {
        Err(ExpandError::Size)
    }
}

fn read(decoder: impl Read, size: usize, into: &mut Vec<u8>) -> Result<(), ExpandError> {
    // One byte more than declared shows that there is more.
    let limit = u64::try_from(size).unwrap_or(u64::MAX).saturating_add(1);
    decoder
        .take(limit)
        .read_to_end(into)
        .map(drop)
        .map_err(|_| ExpandError::Damaged)
}
