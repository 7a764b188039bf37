//! The state of every link and connection of a world: what is cut, held, slow or doomed, and who waits for it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::task::{Context, Waker};

use super::conn::Conn;
use super::rules::Rules;

/// An accepted connection that its connector has not picked up after this long belongs to nobody: the connector gave up.
const UNCLAIMED: u64 = 2_000_000_000;
/// A connection with bytes that cannot arrive is given up by its sender's kernel after this (Linux: about 15 minutes;
/// shorter here, so that runs see it).
const GIVE_UP: u64 = 60_000_000_000;

/// One direction between two hosts.
#[derive(Clone, Copy, Default)]
struct Link {
    cuts: u32,
    extra: u64,
}

/// A reset that waits for its request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doom {
    pub api_key: i16,
    pub left: u32,
}

/// Since when it has been there to be picked up, and what.
type Offer = (u64, Rc<Conn>);

#[derive(Default)]
pub(crate) struct Links {
    links: RefCell<Vec<Vec<Link>>>,
    frozen: RefCell<Vec<u32>>,
    dooms: RefCell<Vec<Vec<Doom>>>,
    /// What happens to single frames.
    pub rules: Rules,
    conns: RefCell<BTreeMap<u64, Weak<Conn>>>,
    /// Accepted, not yet picked up by the connector: by the acceptor's host and the connector's address.
    unclaimed: RefCell<BTreeMap<(usize, SocketAddr), Offer>>,
    /// Who waits for any change of the links.
    waiting: RefCell<BTreeMap<u64, Waker>>,
    next: Cell<u64>,
}

impl Links {
    pub(crate) fn grow(&self, hosts: usize) {
        let mut links = self.links.borrow_mut();
        links.resize(hosts, Vec::new());
        links.iter_mut().for_each(|row| row.resize(hosts, Link::default()));
        self.frozen.borrow_mut().resize(hosts, 0);
        self.dooms.borrow_mut().resize(hosts, Vec::new());
    }

    pub(crate) fn number(&self) -> u64 {
        let n = self.next.get();
        self.next.set(n + 1);
        n
    }

    /// Whether nothing passes from one host to the other at present.
    pub(crate) fn blocked(&self, from: usize, to: usize) -> bool {
        let frozen = self.frozen.borrow();
        self.links.borrow()[from][to].cuts > 0 || frozen[from] > 0 || frozen[to] > 0
    }

    /// Nanoseconds added to the latency.
    pub(crate) fn extra(&self, from: usize, to: usize) -> u64 {
        self.links.borrow()[from][to].extra
    }

    pub(crate) fn set_extra(&self, from: usize, to: usize, extra: u64) {
        self.links.borrow_mut()[from][to].extra = extra;
    }

    /// Cuts nest.
    pub(crate) fn cut(&self, from: usize, to: usize, on: bool) {
        let cuts = &mut self.links.borrow_mut()[from][to].cuts;
        *cuts = if on { *cuts + 1 } else { cuts.saturating_sub(1) };
    }

    pub(crate) fn freeze(&self, host: usize, on: bool) {
        let frozen = &mut self.frozen.borrow_mut()[host];
        *frozen = if on { *frozen + 1 } else { frozen.saturating_sub(1) };
    }

    pub(crate) fn doom(&self, broker: usize, doom: Option<Doom>) {
        let dooms = &mut self.dooms.borrow_mut()[broker];
        match doom {
            Some(doom) => dooms.push(doom),
            None => dooms.clear(),
        }
    }

    /// A request came to `broker`: whether it is the one that a reset waited for.
    pub(crate) fn dooms(&self, broker: usize, api_key: i16) -> bool {
        let dooms = &mut self.dooms.borrow_mut()[broker];
        for doom in dooms.iter_mut().filter(|d| d.api_key == api_key) {
            doom.left = doom.left.saturating_sub(1);
        }
        let before = dooms.len();
        dooms.retain(|d| d.left > 0);
        dooms.len() < before
    }

    pub(crate) fn begin(&self, conn: &Rc<Conn>) {
        self.conns.borrow_mut().insert(conn.number, Rc::downgrade(conn));
    }

    pub(crate) fn end(&self, conn: &Conn) {
        self.conns.borrow_mut().remove(&conn.number);
    }

    pub(crate) fn offer(&self, now: u64, acceptor: usize, connector: SocketAddr, conn: Rc<Conn>) {
        self.unclaimed.borrow_mut().insert((acceptor, connector), (now, conn));
    }

    pub(crate) fn claim(&self, acceptor: usize, connector: SocketAddr) -> Option<Rc<Conn>> {
        self.unclaimed.borrow_mut().remove(&(acceptor, connector)).map(|(_, conn)| conn)
    }

    /// Every connection that is open, oldest first.
    pub(crate) fn conns(&self) -> Vec<Rc<Conn>> {
        self.conns.borrow().values().filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn wait(&self, ticket: u64, cx: &Context<'_>) {
        let old = self.waiting.borrow_mut().insert(ticket, cx.waker().clone());
        drop(old);
    }

    /// The ticket's holder no longer waits.
    pub(crate) fn forget(&self, ticket: u64) {
        let old = self.waiting.borrow_mut().remove(&ticket);
        drop(old);
    }

    /// Something changed: everyone who is held up looks again.
    pub(crate) fn changed(&self) {
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        waiting.into_values().for_each(Waker::wake);
        for conn in self.conns() {
            conn.wake_all();
        }
    }

    /// Buries what nobody will ever use again. Called once a simulated second.
    pub(crate) fn reap(&self, now: u64) {
        let mut dead = Vec::new();
        self.unclaimed.borrow_mut().retain(|_, (since, conn)| {
            let keep = now < *since + UNCLAIMED;
            if !keep {
                dead.push(conn.clone());
            }
            keep
        });
        for conn in dead {
            conn.reset(now, now, std::io::ErrorKind::ConnectionReset);
        }
        self.conns.borrow_mut().retain(|_, conn| conn.strong_count() > 0);
        for conn in self.conns() {
            conn.give_up(now, GIVE_UP, |from, to| self.blocked(from, to));
        }
    }
}
