//! The program's allocator: the system's, and a count of what each thread asks of it, for the exact costs that the gate holds.
//!
//! Ours, because the crate that counts leaves `realloc` and `alloc_zeroed` to their defaults: each growth of a vector is then
//! a copy, and each zeroed page is written twice.
#![expect(unsafe_code, reason = "an allocator cannot be put around another without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What a thread asked for since it began: how often, and how many bytes. What it gave back is not taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Allocations, and changes of an allocation's size.
    pub times: u64,
    /// Their sizes, summed, in bytes.
    pub bytes: u64,
}

thread_local! {
    static ASKED: Cell<Asked> = const { Cell::new(Asked { times: 0, bytes: 0 }) };
}

/// What this thread asked for while it did `work`.
pub fn counted<T>(work: impl FnOnce() -> T) -> (T, Asked) {
    let before = ASKED.get();
    let done = work();
    let after = ASKED.get();
    (done, Asked { times: after.times - before.times, bytes: after.bytes - before.bytes })
}

fn count(bytes: usize) {
    // A cell that needs no destructor is there as long as its thread is.
    let Asked { times, bytes: before } = ASKED.get();
    ASKED.set(Asked { times: times + 1, bytes: before.wrapping_add(bytes as u64) });
}

struct Counting;

#[global_allocator]
static HEAP: Counting = Counting;

// SAFETY: each call is handed to the system's allocator as it came; counting touches a cell of the thread, and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises are those that it asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as above; what `old` is of was made by the same allocator.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(old, layout) }
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::{Asked, counted};

    #[test]
    fn what_a_thread_asks_for_is_counted_and_no_other() {
        let (grown, asked) = counted(|| {
            let mut grown = Vec::<u8>::with_capacity(black_box(100));
            grown.push(1);
            grown.reserve_exact(black_box(999));
            drop(black_box(vec![0_u64; black_box(10)]));
            grown
        });
        assert_eq!(asked, Asked { times: 3, bytes: 100 + 1000 + 80 });
        let ((), asked) = counted(|| drop(black_box(grown)));
        assert_eq!(asked, Asked { times: 0, bytes: 0 });
        let asked = std::thread::scope(|scope| {
            let other = scope.spawn(|| drop(black_box(vec![0_u8; black_box(1 << 20)])));
            counted(|| while !other.is_finished() {}).1
        });
        assert_eq!(asked, Asked { times: 0, bytes: 0 });
    }
}
