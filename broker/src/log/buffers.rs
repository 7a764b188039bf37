//! Read buffers that come back: fresh pages cost more than the read itself, so a fetch reads into memory that an
//! earlier fetch has given up.

use std::cell::RefCell;

use bytes::Bytes;

/// Buffers are handed out in powers of two from here.
const SMALLEST: usize = 64 * 1024;
/// A larger buffer is not kept.
const LARGEST: usize = 16 << 20;
/// Bytes of idle buffers kept by a thread.
const KEPT: usize = 64 << 20;

thread_local! {
    static IDLE: RefCell<Idle> = const { RefCell::new(Idle { buffers: Vec::new(), bytes: 0 }) };
}

struct Idle {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

/// A buffer on loan: initialised memory whose content is left over from earlier reads until it is overwritten. Goes
/// back to the thread that drops it.
pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    /// At least `size` bytes.
    pub fn take(size: usize) -> Self {
        let size = if size > LARGEST { size } else { size.max(SMALLEST).next_power_of_two() };
        let found = IDLE.with_borrow_mut(|idle| {
            let at = idle.buffers.iter().rposition(|buffer| buffer.len() == size)?;
            idle.bytes -= size;
            Some(idle.buffers.swap_remove(at))
        });
        Self(found.unwrap_or_else(|| vec![0; size]))
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// The first `size` bytes, shared; the memory comes back when the last clone is gone.
    pub fn freeze(self, size: usize) -> Bytes {
        if size * 4 < self.0.len() {
            // A small answer must not pin a big buffer while it waits in a socket's queue.
            return Bytes::copy_from_slice(&self.0[..size]);
        }
        Bytes::from_owner(self).slice(..size)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        // During a thread's end its pool may be gone; then the memory is simply freed.
        let _ = IDLE.try_with(|idle| {
            let mut idle = idle.borrow_mut();
            if buffer.len() <= LARGEST && idle.bytes + buffer.len() <= KEPT {
                idle.bytes += buffer.len();
                idle.buffers.push(buffer);
            }
        });
    }
}
