//! Framing: a big-endian `int32` length, then that many bytes. Cuts whole frames out of whatever pieces a socket
//! delivers, and holds at most one frame and one read's worth of bytes beyond it.

use bytes::{Buf, BytesMut};

/// Bytes of the length prefix.
pub const PREFIX: usize = 4;
/// Room offered for one read.
const READ_ROOM: usize = 16 << 10;

/// Why a connection's bytes cannot be framed. Nothing that follows on it can be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A negative length.
    #[error("a frame of negative length {0}")]
    Negative(i32),
    /// A length above `socket.request.max.bytes`.
    #[error("a frame of {length} bytes, {max} allowed")]
    TooLong {
        /// The length stated.
        length: usize,
        /// `socket.request.max.bytes`.
        max: usize,
    },
}

/// The received bytes of one connection that are not handled yet.
#[derive(Debug)]
pub struct FrameBuffer {
    bytes: BytesMut,
    max: usize,
}

impl FrameBuffer {
    /// An empty buffer for frames of at most `max` bytes (`socket.request.max.bytes`).
    pub fn new(max: u32) -> Self {
        Self { bytes: BytesMut::new(), max: max as usize }
    }

    /// Where to append what a socket delivers. Always has room; grows with what has arrived, not with what a length
    /// prefix promises, so that a peer pays for the memory it takes.
    pub fn room(&mut self) -> &mut BytesMut {
        let wanted = match self.bytes.first_chunk() {
            Some(prefix) => usize::try_from(i32::from_be_bytes(*prefix)).unwrap_or(0).saturating_add(PREFIX),
            None => 0,
        };
        let missing = wanted.saturating_sub(self.bytes.len());
        let free = self.bytes.capacity() - self.bytes.len();
        if free < missing.clamp(READ_ROOM / 4, READ_ROOM) {
            self.bytes.reserve(missing.clamp(READ_ROOM, self.bytes.len().max(READ_ROOM)));
        }
        &mut self.bytes
    }

    /// Bytes received and not taken.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether [`FrameBuffer::take`] has something to say: a whole frame, or an error.
    pub fn has_frame(&self) -> bool {
        let Some(prefix) = self.bytes.first_chunk() else { return false };
        match usize::try_from(i32::from_be_bytes(*prefix)) {
            Ok(length) => length > self.max || self.bytes.len() - PREFIX >= length,
            Err(_) => true,
        }
    }

    /// The first bytes of the next frame, as far as they are there.
    pub fn peek(&self) -> &[u8] {
        self.bytes.get(PREFIX..).unwrap_or(&[])
    }

    /// Takes the next whole frame, without its prefix; `None` until all of it is there.
    pub fn take(&mut self) -> Result<Option<BytesMut>, FrameError> {
        let Some(prefix) = self.bytes.first_chunk() else { return Ok(None) };
        let length = i32::from_be_bytes(*prefix);
        let length = usize::try_from(length).map_err(|_| FrameError::Negative(length))?;
        if length > self.max {
            return Err(FrameError::TooLong { length, max: self.max });
        }
        if self.bytes.len() - PREFIX < length {
            return Ok(None);
        }
        self.bytes.advance(PREFIX);
        Ok(Some(self.bytes.split_to(length)))
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;
    use proptest::prelude::*;

    use super::*;

    fn framed(bodies: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        for body in bodies {
            out.put_i32(i32::try_from(body.len()).unwrap());
            out.put_slice(body);
        }
        out
    }

    proptest! {
        #[test]
        fn frames_come_out_whole_however_they_were_split(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
            cuts in prop::collection::vec(1usize..97, 1..40),
        ) {
            let stream = framed(&bodies);
            let mut buffer = FrameBuffer::new(300);
            let (mut out, mut rest, mut cut) = (Vec::new(), &stream[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let n = (*cut.next().unwrap()).min(rest.len());
                let room = buffer.room();
                prop_assert!(room.capacity() > room.len());
                room.put_slice(&rest[..n]);
                rest = &rest[n..];
                while let Some(frame) = buffer.take().unwrap() {
                    out.push(frame.to_vec());
                }
            }
            prop_assert!(buffer.is_empty());
            prop_assert_eq!(out, bodies);
        }
    }

    #[test]
    fn impossible_lengths_are_refused_at_once() {
        let mut buffer = FrameBuffer::new(100);
        buffer.room().put_i32(101);
        assert_eq!(buffer.take(), Err(FrameError::TooLong { length: 101, max: 100 }));
        let mut buffer = FrameBuffer::new(100);
        buffer.room().put_i32(-1);
        assert_eq!(buffer.take(), Err(FrameError::Negative(-1)));
    }

    #[test]
    fn a_promise_of_bytes_takes_no_memory() {
        let mut buffer = FrameBuffer::new(1 << 30);
        buffer.room().put_i32(1 << 30);
        assert_eq!(buffer.take(), Ok(None));
        assert!(buffer.room().capacity() <= 4 * READ_ROOM);
    }
}
