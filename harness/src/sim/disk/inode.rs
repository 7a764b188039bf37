//! A file's bytes: what reads show (the page cache) and what a power loss would leave (the durable image).
//!
//! Usually only the difference is kept: the durable length, and the old bytes of what was overwritten below it. An append
//! therefore costs its copy and nothing else, whatever the backlog. Only after a failed sync, when cache and device
//! differ in ways that no later sync mends, is a second whole image kept.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::seed::Draw;
use crate::sim::Unsynced;

/// The unit that a device writes whole.
pub(crate) const SECTOR: usize = 512;

/// A file. Handles share it; a directory entry is one more handle.
pub(crate) struct Inode {
    body: RefCell<Body>,
    /// Each open handle holds a share of it.
    held: RefCell<Rc<()>>,
    /// Bumped when an in-flight sync can no longer promise anything (a failed sync, a crash).
    turn: Cell<u64>,
}

struct Body {
    data: Vec<u8>,
    state: Durable,
    /// Where a truncation extended the file last, from and to: file systems do that in one step (ext4 and XFS journal the
    /// size), as they cut a file short, unlike an append, whose pages may be written back one by one.
    leap: (usize, usize),
}

enum Durable {
    /// Old bytes to lay over `data`, last first, and the length to cut it to.
    Undo { len: usize, saved: Vec<Saved>, forgotten: u64, guard: Guard },
    /// A whole image, and the ranges of `data` that are dirty. The first `sealed` of them are covered by a sync in flight:
    /// what is written from now on is not theirs.
    Image { bytes: Vec<u8>, dirty: Vec<(usize, usize)>, sealed: usize, forgotten: u64, resized: bool },
}

/// What a sync in flight needs of overwrites above the durable length; over when the last sync begun has ended.
#[derive(Default)]
struct Guard {
    len: usize,
    begun: u64,
}

struct Saved {
    at: usize,
    bytes: Vec<u8>,
}

/// What a sync covers: everything written before it was called.
pub(crate) struct Mark {
    turn: u64,
    entries: u64,
    begun: u64,
    len: usize,
    /// In image mode: the dirty bytes as they were when the sync was called.
    captured: Vec<(usize, Vec<u8>)>,
}

impl Inode {
    pub(crate) fn new() -> Self {
        let state = Durable::Undo { len: 0, saved: Vec::new(), forgotten: 0, guard: Guard::default() };
        let body = Body { data: Vec::new(), state, leap: (0, 0) };
        Self { body: RefCell::new(body), held: RefCell::default(), turn: Cell::new(0) }
    }

    /// A file with the same content, all of it durable.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new();
        copy.write(&self.body.borrow().data, 0);
        let mark = copy.begin_sync();
        copy.end_sync(mark);
        copy
    }

    /// What a handle holds as long as it is open.
    pub(crate) fn hold(&self) -> Rc<()> {
        self.held.borrow().clone()
    }

    /// Whether any handle is open.
    pub(crate) fn is_held(&self) -> bool {
        Rc::strong_count(&self.held.borrow()) > 1
    }

    /// The processes whose handles held it are gone.
    fn let_go(&self) {
        self.held.replace(Rc::default());
    }

    pub(crate) fn len(&self) -> usize {
        self.body.borrow().data.len()
    }

    pub(crate) fn read(&self, buf: &mut [u8], at: u64) -> usize {
        let body = self.body.borrow();
        let Some(rest) = usize::try_from(at).ok().and_then(|at| body.data.get(at..)) else { return 0 };
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        n
    }

    pub(crate) fn write(&self, bytes: &[u8], at: usize) {
        if bytes.is_empty() {
            return;
        }
        let mut body = self.body.borrow_mut();
        let Body { data, state, .. } = &mut *body;
        let end = at + bytes.len();
        state.note(data, at.min(data.len()), end);
        if let (Durable::Image { resized, .. }, true) = (&mut *state, end > data.len()) {
            *resized = true;
        }
        if at == data.len() {
            data.extend_from_slice(bytes);
            return;
        }
        if end > data.len() {
            data.resize(end, 0);
        }
        data[at..end].copy_from_slice(bytes);
    }

    pub(crate) fn truncate(&self, size: usize) {
        let mut body = self.body.borrow_mut();
        let Body { data, state, leap } = &mut *body;
        let old = data.len();
        state.note(data, size.min(old), size.max(old));
        if let Durable::Image { resized, .. } = state {
            *resized = true;
        }
        data.resize(size, 0);
        // Two in a row are taken for one.
        *leap = match *leap {
            (from, to) if size > old && to == old => (from, size),
            _ if size > old => (old, size),
            (from, to) if size > from => (from, to.min(size)),
            _ => (0, 0),
        };
    }

    /// Whether a power loss could change the file.
    pub(crate) fn dirty(&self) -> bool {
        let body = self.body.borrow();
        match &body.state {
            Durable::Undo { len, saved, .. } => *len != body.data.len() || !saved.is_empty(),
            Durable::Image { bytes, .. } => *bytes != body.data,
        }
    }

    /// Notes what a sync called now will cover.
    pub(crate) fn begin_sync(&self) -> Mark {
        let mut body = self.body.borrow_mut();
        let Body { data, state, .. } = &mut *body;
        let len = data.len();
        let (entries, begun, captured) = match state {
            Durable::Undo { saved, forgotten, guard, .. } => {
                // From now on what is overwritten below this length must be saved: this sync has not covered it.
                *guard = Guard { len: guard.len.max(len), begun: guard.begun + 1 };
                (*forgotten + saved.len() as u64, guard.begun, Vec::new())
            }
            Durable::Image { dirty, sealed, forgotten, .. } => {
                *sealed = dirty.len();
                let clip = |&(a, b): &(usize, usize)| (a.min(len), b.min(len));
                let captured = dirty.iter().map(clip).map(|(a, b)| (a, data[a..b].to_vec())).collect();
                (*forgotten + dirty.len() as u64, 0, captured)
            }
        };
        Mark { turn: self.turn.get(), entries, begun, len, captured }
    }

    /// The sync has succeeded: what it covers is durable.
    pub(crate) fn end_sync(&self, mark: Mark) {
        if mark.turn != self.turn.get() {
            return;
        }
        let mut body = self.body.borrow_mut();
        match &mut body.state {
            Durable::Undo { len, saved, forgotten, guard } => {
                if mark.begun == guard.begun {
                    guard.len = 0;
                }
                let Some(covered) = mark.entries.checked_sub(*forgotten) else { return };
                saved.drain(..usize::try_from(covered).unwrap_or(usize::MAX).min(saved.len()));
                *forgotten = mark.entries;
                *len = mark.len;
            }
            Durable::Image { bytes, dirty, sealed, forgotten, .. } => {
                let Some(covered) = mark.entries.checked_sub(*forgotten) else { return };
                let covered = usize::try_from(covered).unwrap_or(usize::MAX).min(dirty.len());
                dirty.drain(..covered);
                *sealed = sealed.saturating_sub(covered);
                *forgotten = mark.entries;
                bytes.resize(mark.len, 0);
                for (at, part) in mark.captured {
                    bytes[at..at + part.len()].copy_from_slice(&part);
                }
            }
        }
    }

    /// The sync has failed: the kernel marks the dirty pages clean. Reads still show them; no later sync writes them.
    pub(crate) fn fail_sync(&self) {
        self.turn.set(self.turn.get() + 1);
        let mut body = self.body.borrow_mut();
        let bytes = body.durable();
        body.state = Durable::Image { bytes, dirty: Vec::new(), sealed: 0, forgotten: 0, resized: false };
    }

    /// The power goes: the file becomes what the device holds.
    pub(crate) fn lose_power(&self, how: Unsynced, draw: &mut Draw) {
        self.let_go();
        self.turn.set(self.turn.get() + 1);
        if !self.dirty() && matches!(self.body.borrow().state, Durable::Undo { .. }) {
            return;
        }
        let mut body = self.body.borrow_mut();
        let durable = body.durable();
        let kept = body.kept_at_best();
        let data = match how {
            Unsynced::Lost => durable,
            Unsynced::Kept => kept,
            Unsynced::Torn => tear(&durable, &kept, body.leap, draw),
        };
        let len = data.len();
        let state = Durable::Undo { len, saved: Vec::new(), forgotten: 0, guard: Guard::default() };
        *body = Body { data, state, leap: (0, 0) };
    }

    /// The process is gone but not the page cache: nothing changes, except that a sync in flight reports to nobody.
    pub(crate) fn lose_process(&self) {
        self.let_go();
        self.turn.set(self.turn.get() + 1);
    }

    /// How many bytes are durable.
    pub(crate) fn durable_len(&self) -> usize {
        let body = self.body.borrow();
        match &body.state {
            Durable::Undo { len, .. } => (*len).min(body.data.len()),
            Durable::Image { bytes, .. } => bytes.len().min(body.data.len()),
        }
    }

    /// Flips a bit at rest: of the device, and so of what reads show.
    pub(crate) fn flip(&self, at: usize, bit: u8) {
        let mut body = self.body.borrow_mut();
        let Body { data, state, .. } = &mut *body;
        let mask = 1 << (bit & 7);
        data[at] ^= mask;
        match state {
            Durable::Undo { saved, .. } => {
                for s in saved.iter_mut().filter(|s| (s.at..s.at + s.bytes.len()).contains(&at)) {
                    s.bytes[at - s.at] ^= mask;
                }
            }
            Durable::Image { bytes, .. } => bytes[at] ^= mask,
        }
    }
}

impl Durable {
    /// Notes that `data[from..to]` is about to change (to what it was not, or by a change of length).
    fn note(&mut self, data: &[u8], from: usize, to: usize) {
        match self {
            Durable::Undo { len, saved, guard, .. } => {
                let guarded = (*len).max(guard.len);
                if from < guarded {
                    let end = to.min(guarded).min(data.len());
                    saved.push(Saved { at: from, bytes: data[from..end.max(from)].to_vec() });
                }
            }
            Durable::Image { dirty, sealed, .. } => match dirty[*sealed..].last_mut() {
                Some((_, end)) if *end == from => *end = to,
                _ => dirty.push((from, to)),
            },
        }
    }
}

impl Body {
    fn durable(&self) -> Vec<u8> {
        match &self.state {
            Durable::Undo { len, saved, .. } => {
                let mut image = self.data.clone();
                for s in saved.iter().rev() {
                    let end = s.at + s.bytes.len();
                    if image.len() < end {
                        image.resize(end, 0);
                    }
                    image[s.at..end].copy_from_slice(&s.bytes);
                }
                image.resize(*len, 0);
                image
            }
            Durable::Image { bytes, .. } => bytes.clone(),
        }
    }

    /// What the device holds if the kernel had written back every page that is still dirty.
    fn kept_at_best(&self) -> Vec<u8> {
        match &self.state {
            Durable::Undo { .. } => self.data.clone(),
            Durable::Image { bytes, dirty, resized, .. } => {
                let mut image = bytes.clone();
                if *resized {
                    image.resize(self.data.len(), 0);
                }
                for (a, b) in dirty {
                    let end = (*b).min(self.data.len()).min(image.len());
                    if *a < end {
                        image[*a..end].copy_from_slice(&self.data[*a..end]);
                    }
                }
                image
            }
        }
    }
}

/// Each sector that differs by draw, and a length between the two, but not within the `leap`, nor as if half cut short.
fn tear(durable: &[u8], kept: &[u8], leap: (usize, usize), draw: &mut Draw) -> Vec<u8> {
    let (low, high) = (durable.len().min(kept.len()), durable.len().max(kept.len()));
    let sectors = (high / SECTOR).saturating_sub(low / SECTOR) as u64;
    let len = match draw.below(3) {
        0 => durable.len(),
        1 => kept.len(),
        _ => ((low / SECTOR + usize::try_from(draw.between(0, sectors)).unwrap_or(0)) * SECTOR).clamp(low, high),
    };
    let (from, to) = if kept.len() < durable.len() { (low, high) } else { leap };
    let len = match len {
        within if from < within && within < to => if within - from < to - within { from } else { to }.clamp(low, high),
        _ => len,
    };
    let mut image = vec![0; len];
    let old = durable.len().min(len);
    image[..old].copy_from_slice(&durable[..old]);
    for at in (0..len.min(kept.len())).step_by(SECTOR) {
        let end = (at + SECTOR).min(len).min(kept.len());
        if image[at..end] != kept[at..end] && draw.chance(500) {
            image[at..end].copy_from_slice(&kept[at..end]);
        }
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn what_is_appended_during_a_sync_after_a_failed_one_waits_for_the_next() {
        let file = Inode::new();
        file.write(b"a", 0);
        file.fail_sync();
        file.write(b"b", 1);
        let first = file.begin_sync();
        file.write(b"c", 2);
        file.end_sync(first);
        file.end_sync(file.begin_sync());
        file.lose_power(Unsynced::Lost, &mut Seed::new(0).draw());
        let mut left = [9; 4];
        assert_eq!((file.read(&mut left, 0), &left[..3]), (3, &b"\0bc"[..]));
    }
}
