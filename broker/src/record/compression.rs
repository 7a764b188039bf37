//! The codecs of record batches: by id, to and fro, never inflating beyond a limit.
//!
//! Snappy is written as Java's xerial framing and read as that or raw, because librdkafka writes raw blocks.

use std::io::{self, Read, Write};

use super::BatchError;

/// A compression codec, by Kafka's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Compression {
    /// Stored as they are.
    #[default]
    None = 0,
    /// gzip.
    Gzip = 1,
    /// Snappy, xerial-framed or raw.
    Snappy = 2,
    /// LZ4 frames.
    Lz4 = 3,
    /// Zstandard, level 1.
    Zstd = 4,
}

impl Compression {
    /// Every codec.
    pub const ALL: &[Compression] =
        &[Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    /// The codec with that id.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|codec| codec.id() == id)
    }

    /// Its id, as in a batch's attributes.
    pub fn id(self) -> u8 {
        self as u8
    }
}

/// What xerial's snappy-java writes first: its magic, then version 1, compatible with version 1.
const XERIAL: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
const XERIAL_MAGIC: usize = 8;
/// Bytes per snappy block, as Java's default.
const XERIAL_BLOCK: usize = 32 * 1024;
/// No snappy stream inflates more than this (64 bytes from a 3-byte copy).
const SNAPPY_MAX_RATIO: usize = 22;

/// Appends `input`, compressed, to `out`.
pub fn compress(codec: Compression, input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    match codec {
        Compression::None => out.extend_from_slice(input),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::default());
            encoder.write_all(input)?;
            encoder.finish()?;
        }
        Compression::Snappy => compress_xerial(input, out)?,
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(out);
            encoder.write_all(input)?;
            encoder.finish().map_err(io::Error::other)?;
        }
        Compression::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(out, 1)?;
            encoder.set_pledged_src_size(Some(input.len() as u64))?;
            encoder.write_all(input)?;
            encoder.finish()?;
        }
    }
    Ok(())
}

fn compress_xerial(input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.extend_from_slice(&XERIAL);
    let mut encoder = snap::raw::Encoder::new();
    for block in input.chunks(XERIAL_BLOCK) {
        let length_at = out.len();
        let start = length_at + 4;
        out.resize(start + snap::raw::max_compress_len(block.len()), 0);
        let written = encoder.compress(block, &mut out[start..])?;
        out.truncate(start + written);
        let length = i32::try_from(written).map_err(io::Error::other)?;
        out[length_at..start].copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

/// Appends what `input` inflates to, at most `limit` bytes of it, to `out`. On an error `out` holds a part.
pub fn inflate(codec: Compression, input: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), BatchError> {
    match codec {
        Compression::None if input.len() > limit => Err(BatchError::Inflates { limit }),
        Compression::None => {
            out.extend_from_slice(input);
            Ok(())
        }
        Compression::Gzip => drain(flate2::bufread::MultiGzDecoder::new(input), limit, out),
        Compression::Snappy => inflate_snappy(input, limit, out),
        Compression::Lz4 => drain(lz4_flex::frame::FrameDecoder::new(input), limit, out),
        Compression::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(input).map_err(|_| BatchError::Compressed)?;
            drain(decoder, limit, out)
        }
    }
}

fn drain(decoder: impl Read, limit: usize, out: &mut Vec<u8>) -> Result<(), BatchError> {
    let before = out.len();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(most).read_to_end(out).map_err(|_| BatchError::Compressed)?;
    if out.len() - before > limit { Err(BatchError::Inflates { limit }) } else { Ok(()) }
}

fn inflate_snappy(input: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), BatchError> {
    if !input.starts_with(&XERIAL[..XERIAL_MAGIC]) {
        return inflate_block(input, limit, out);
    }
    let before = out.len();
    let mut rest = input.get(XERIAL.len()..).ok_or(BatchError::Compressed)?;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| BatchError::Compressed)?;
        let block = after.get(..length).ok_or(BatchError::Compressed)?;
        let left = limit - (out.len() - before);
        inflate_block(block, left, out).map_err(|error| match error {
            BatchError::Inflates { .. } => BatchError::Inflates { limit },
            other => other,
        })?;
        rest = &after[length..];
    }
    if rest.is_empty() { Ok(()) } else { Err(BatchError::Compressed) }
}

fn inflate_block(block: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), BatchError> {
    let size = snap::raw::decompress_len(block).map_err(|_| BatchError::Compressed)?;
    if size > limit {
        return Err(BatchError::Inflates { limit });
    }
    if size > block.len().saturating_mul(SNAPPY_MAX_RATIO) {
        return Err(BatchError::Compressed);
    }
    let start = out.len();
    out.resize(start + size, 0);
    let got = snap::raw::Decoder::new().decompress(block, &mut out[start..]).map_err(|_| BatchError::Compressed)?;
    out.truncate(start + got);
    Ok(())
}
