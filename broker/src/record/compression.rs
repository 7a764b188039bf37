//! The codecs of record batches: by id, to and fro, never inflating beyond a limit.
//!
//! Snappy is written as Java's xerial framing and read as that or raw, because librdkafka writes raw blocks.

use std::cell::RefCell;
use std::io::{self, Read, Write};

use flate2::{Compress, Crc, FlushCompress, Status};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::get_frame_content_size;

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

/// Few zstd frames inflate more than this; those that do are read as streams.
const ZSTD_USUAL_RATIO: usize = 256;
/// Header of a gzip member without a name, a time or extra fields, of unknown system (RFC 1952).
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// States that cost far more to make than to use on a small batch: a third of a megabyte and more, fresh from the system.
struct Kept {
    deflate: Compress,
    zstd: Option<(Compressor<'static>, Decompressor<'static>)>,
}

impl Kept {
    fn zstd(&mut self) -> io::Result<&mut (Compressor<'static>, Decompressor<'static>)> {
        if self.zstd.is_none() {
            self.zstd = Some((Compressor::new(1)?, Decompressor::new()?));
        }
        self.zstd.as_mut().ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }
}

thread_local! {
    static KEPT: RefCell<Kept> =
        RefCell::new(Kept { deflate: Compress::new(flate2::Compression::default(), false), zstd: None });
}

/// Appends `input`, compressed, to `out`.
pub fn compress(codec: Compression, input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    match codec {
        Compression::None => out.extend_from_slice(input),
        Compression::Gzip => KEPT.with_borrow_mut(|kept| gzip(&mut kept.deflate, input, out))?,
        Compression::Snappy => compress_xerial(input, out)?,
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(out);
            encoder.write_all(input)?;
            encoder.finish().map_err(io::Error::other)?;
        }
        Compression::Zstd => {
            let compressed = KEPT.with_borrow_mut(|kept| kept.zstd()?.0.compress(input))?;
            out.extend_from_slice(&compressed);
        }
    }
    Ok(())
}

fn gzip(deflate: &mut Compress, input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.extend_from_slice(&GZIP_HEADER);
    deflate.reset();
    loop {
        out.reserve(input.len() / 2 + 64);
        let done = usize::try_from(deflate.total_in()).map_err(io::Error::other)?;
        if deflate.compress_vec(&input[done..], out, FlushCompress::Finish)? == Status::StreamEnd {
            break;
        }
    }
    let mut crc = Crc::new();
    crc.update(input);
    out.extend_from_slice(&crc.sum().to_le_bytes());
    out.extend_from_slice(&crc.amount().to_le_bytes());
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
        Compression::Zstd => inflate_zstd(input, limit, out),
    }
}

/// A frame that says what it holds is inflated at once; others, or more of them, as a stream.
fn inflate_zstd(input: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), BatchError> {
    let size = get_frame_content_size(input).map_err(|_| BatchError::Compressed)?;
    // Room is not made for a size that so few bytes can hardly have.
    let most = limit.min(input.len().saturating_mul(ZSTD_USUAL_RATIO));
    if let Some(size) = size.and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= most) {
        let at_once = KEPT.with_borrow_mut(|kept| kept.zstd()?.1.decompress(input, size));
        if let Ok(whole) = at_once {
            out.extend_from_slice(&whole);
            return Ok(());
        }
    }
    let decoder = zstd::stream::read::Decoder::with_buffer(input).map_err(|_| BatchError::Compressed)?;
    drain(decoder, limit, out)
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
