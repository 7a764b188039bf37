//! What the two ends of a connection share: how much is on its way, who waits, and how it ended.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::task::{Context, Waker};

/// Bytes that may be sent and not yet read in one direction (a socket's send and receive buffer together).
pub(crate) const WINDOW: u64 = 256 * 1024;

/// Nobody knows when: somebody will be woken.
pub(crate) const NEVER: u64 = u64::MAX;
/// Requests remembered until they are answered; those that want no answer are forgotten with the next that has one.
const MOST_ASKED: usize = 1024;

/// A connection. End 0 connected, end 1 accepted; direction `n` is what end `n` sends.
pub(crate) struct Conn {
    pub number: u64,
    /// The hosts of the two ends.
    pub hosts: [usize; 2],
    /// The requests sent and not yet answered: correlation id and API key.
    asked: RefCell<VecDeque<(i32, i16)>>,
    pub ways: [Way; 2],
    pub ends: [End; 2],
}

/// One direction.
#[derive(Default)]
pub(crate) struct Way {
    pub sent: Cell<u64>,
    pub read: Cell<u64>,
    /// Bytes `from..to` may be read at the earliest at this world time. In order; only while a link is slow.
    late: RefCell<VecDeque<(u64, u64, u64)>>,
    /// Bytes from this position on are held.
    pub held: Cell<Option<u64>>,
    reader: RefCell<Option<Waker>>,
    writer: RefCell<Option<Waker>>,
    /// Since when bytes have been unable to arrive.
    pub stuck_since: Cell<Option<u64>>,
}

/// One end.
#[derive(Default)]
pub(crate) struct End {
    /// When its process let go of it, in world time.
    pub closed: Cell<Option<u64>>,
    /// Its host lost power: it sends nothing any more, not even its end.
    pub silent: Cell<bool>,
    /// Its host has power again, and knows nothing of this connection.
    pub forgot: Cell<bool>,
    /// From when on this end finds the connection broken, and how.
    pub broken: Cell<Option<(u64, io::ErrorKind)>>,
}

impl Way {
    /// Remembers the waker of who reads, without cloning it when it is the same.
    pub(crate) fn wait_to_read(&self, cx: &Context<'_>) {
        wait(&self.reader, cx);
    }

    pub(crate) fn wait_to_write(&self, cx: &Context<'_>) {
        wait(&self.writer, cx);
    }

    pub(crate) fn wake_reader(&self) {
        let waker = self.reader.borrow_mut().take();
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn wake_writer(&self) {
        let waker = self.writer.borrow_mut().take();
        waker.into_iter().for_each(Waker::wake);
    }

    /// Bytes under way or waiting to be read.
    pub(crate) fn open(&self) -> u64 {
        self.sent.get() - self.read.get()
    }

    /// The bytes sent from position `from` on may be read at `at` at the earliest.
    pub(crate) fn delay(&self, from: u64, at: u64) {
        let mut late = self.late.borrow_mut();
        let to = self.sent.get();
        match late.back_mut() {
            Some((_, end, when)) if *end == from && *when == at => *end = to,
            _ => late.push_back((from, to, at)),
        }
    }

    /// How many bytes may be read now; `Err` says when the next may: [`NEVER`] while they are held.
    pub(crate) fn readable(&self, now: u64) -> Result<u64, u64> {
        let free = match self.held.get().map(|at| at.saturating_sub(self.read.get())) {
            Some(0) => return Err(NEVER),
            free => free.unwrap_or(u64::MAX),
        };
        self.arrived(now).map(|n| n.min(free))
    }

    fn arrived(&self, now: u64) -> Result<u64, u64> {
        let mut late = self.late.borrow_mut();
        let read = self.read.get();
        while late.front().is_some_and(|(_, to, _)| *to <= read) {
            late.pop_front();
        }
        match late.front() {
            None => Ok(u64::MAX),
            Some((from, _, _)) if *from > read => Ok(from - read),
            Some((_, to, at)) if *at <= now => Ok(to - read),
            Some((_, _, at)) => Err(*at),
        }
    }
}

fn wait(place: &RefCell<Option<Waker>>, cx: &Context<'_>) {
    let mut place = place.borrow_mut();
    match &mut *place {
        Some(waker) if waker.will_wake(cx.waker()) => {}
        held => {
            let old = held.replace(cx.waker().clone());
            drop(place);
            drop(old);
        }
    }
}

impl Conn {
    pub(crate) fn new(number: u64, hosts: [usize; 2]) -> Self {
        Self { number, hosts, asked: RefCell::default(), ways: Default::default(), ends: Default::default() }
    }

    /// A request leaves end 0.
    pub(crate) fn asks(&self, correlation: i32, api_key: i16) {
        let mut asked = self.asked.borrow_mut();
        if asked.len() >= MOST_ASKED {
            asked.pop_front();
        }
        asked.push_back((correlation, api_key));
    }

    /// An answer leaves end 1: the API it belongs to. Answers come in the order of their requests.
    pub(crate) fn answers(&self, correlation: i32) -> Option<i16> {
        let mut asked = self.asked.borrow_mut();
        let at = asked.iter().position(|(c, _)| *c == correlation)?;
        asked.drain(..=at).next_back().map(|(_, api_key)| api_key)
    }

    pub(crate) fn wake_all(&self) {
        for way in &self.ways {
            way.wake_reader();
            way.wake_writer();
        }
    }

    /// Breaks the connection: end 0 finds out at world time `at0`, end 1 at `at1`.
    pub(crate) fn reset(&self, at0: u64, at1: u64, kind: io::ErrorKind) {
        for (end, at) in self.ends.iter().zip([at0, at1]) {
            if end.broken.get().is_none() {
                end.broken.set(Some((at, kind)));
            }
        }
        self.wake_all();
    }

    /// The power of `host` goes.
    pub(crate) fn silence(&self, host: usize) {
        for (end, _) in self.ends.iter().zip(self.hosts).filter(|(_, h)| *h == host) {
            end.silent.set(true);
        }
    }

    /// `host` has power again: it answers what it gets on this connection with a reset. What was sent to it meanwhile
    /// is sent again by the peer's kernel, and gets that answer at `at`.
    pub(crate) fn forget(&self, host: usize, at: u64) {
        for n in (0..2).filter(|n| self.hosts[*n] == host && self.ends[*n].silent.get()) {
            self.ends[n].forgot.set(true);
            if self.ways[1 - n].open() > 0 {
                self.reset(at, at, io::ErrorKind::ConnectionReset);
            }
        }
        self.wake_all();
    }

    /// Breaks the connection with `TimedOut` if bytes have been unable to arrive for `patience` nanoseconds.
    pub(crate) fn give_up(&self, now: u64, patience: u64, blocked: impl Fn(usize, usize) -> bool) {
        for (n, way) in self.ways.iter().enumerate() {
            let stuck = way.open() > 0 && (self.ends[1 - n].silent.get() || blocked(self.hosts[n], self.hosts[1 - n]));
            match (stuck, way.stuck_since.get()) {
                (false, _) => way.stuck_since.set(None),
                (true, None) => way.stuck_since.set(Some(now)),
                (true, Some(since)) if now >= since + patience => {
                    self.reset(now, now, io::ErrorKind::TimedOut);
                }
                (true, Some(_)) => {}
            }
        }
    }
}
