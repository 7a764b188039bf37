//! Walks the batches of a segment file, in big reads when all bytes are wanted and in hops when headers are enough.

use std::io;

use crate::env::File;
use crate::record::batch::HEADER_SIZE;
use crate::record::{Batch, BatchError, Header};

/// Bytes per read when every byte is wanted: big enough to amortise the call, small enough to stay in cache.
pub(super) const WHOLE: usize = 512 * 1024;
/// Bytes per read when only headers are.
pub(super) const HOP: usize = 8 * 1024;

/// A cursor over the batches from a position on.
pub(super) struct Scanner<'f, F> {
    file: &'f F,
    /// Where the next batch begins.
    position: u64,
    end: u64,
    buffer: Vec<u8>,
    /// File position of the buffer's first byte, and how many bytes of it are valid.
    from: u64,
    filled: usize,
    chunk: usize,
}

impl<'f, F: File> Scanner<'f, F> {
    /// Over `position..end` of `file`, reading `chunk` bytes at a time.
    pub fn new(file: &'f F, position: u64, end: u64, chunk: usize) -> Self {
        let size = usize::try_from(end.saturating_sub(position)).unwrap_or(chunk).min(chunk);
        Self { file, position, end, buffer: vec![0; size.max(HEADER_SIZE)], from: position, filled: 0, chunk }
    }

    /// Where the next batch begins.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next batch's header; `None` at the end. Does not move.
    pub fn header(&mut self) -> io::Result<Option<Result<Header, BatchError>>> {
        if self.position >= self.end {
            return Ok(None);
        }
        let bytes = self.window(HEADER_SIZE)?;
        let header = Header::parse(bytes);
        let have = self.end - self.position;
        Ok(Some(header.and_then(|header| {
            if header.size as u64 <= have {
                return Ok(header);
            }
            Err(BatchError::Truncated { need: header.size, have: usize::try_from(have).unwrap_or(usize::MAX) })
        })))
    }

    /// All of the next batch, whose header was just seen. Does not move.
    pub fn batch(&mut self, header: &Header) -> io::Result<Result<Batch<'_>, BatchError>> {
        let bytes = self.window(header.size)?;
        Ok(Batch::split(bytes).map(|(batch, _)| batch))
    }

    /// Moves past the batch whose header was just seen.
    pub fn skip(&mut self, header: &Header) {
        self.position += header.size as u64;
    }

    /// The bytes at the position, at least `want` of them if the file has them.
    fn window(&mut self, want: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let want = want.min(left);
        let skip = usize::try_from(self.position - self.from).unwrap_or(usize::MAX);
        if skip.saturating_add(want) <= self.filled {
            return Ok(&self.buffer[skip..self.filled]);
        }
        let kept = self.filled.saturating_sub(skip);
        if kept > 0 {
            self.buffer.copy_within(skip..self.filled, 0);
        }
        if self.buffer.len() < want {
            self.buffer.resize(want.max(self.chunk.min(left)), 0);
        }
        let most = self.buffer.len().min(left);
        let got = self.file.read_at(&mut self.buffer[kept..most], self.position + kept as u64)?;
        self.from = self.position;
        self.filled = kept + got;
        Ok(&self.buffer[..self.filled])
    }
}
