//! The state of every link and connection of a world: what is cut, held, slow or doomed, and who waits for it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::task::{Context, Waker};

use super::conn::Conn;
use super::rules::Rules;
use crate::sim::episodes::Episodes;

/// An accepted connection that its connector has not picked up after this long belongs to nobody: the connector gave up.
const UNCLAIMED: u64 = 2_000_000_000;
/// A connection with bytes that cannot arrive is given up by its sender's kernel after this (Linux: about 15 minutes;
/// shorter here, so that runs see it).
const GIVE_UP: u64 = 60_000_000_000;

/// One direction between two hosts.
#[derive(Clone, Default)]
struct Link {
    cuts: u32,
    /// Nanoseconds added to the latency by each fault that slows it.
    slow: Episodes<u64>,
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
    dooms: RefCell<Vec<Episodes<Doom>>>,
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
        self.dooms.borrow_mut().resize(hosts, Episodes::default());
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
        self.links.borrow()[from][to].slow.each().max().unwrap_or(0)
    }

    /// The link grows slow by `extra` nanoseconds, until the number returned ends it.
    pub(crate) fn slow(&self, from: usize, to: usize, extra: u64) -> u64 {
        self.links.borrow_mut()[from][to].slow.begin(extra)
    }

    pub(crate) fn hasten(&self, from: usize, to: usize, number: u64) {
        self.links.borrow_mut()[from][to].slow.end(number);
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

    /// A reset waits for its request, until the number returned ends it.
    pub(crate) fn doom(&self, broker: usize, doom: Doom) -> u64 {
        self.dooms.borrow_mut()[broker].begin(doom)
    }

    pub(crate) fn spare(&self, broker: usize, number: u64) {
        self.dooms.borrow_mut()[broker].end(number);
    }

    /// A request came to `broker`: whether it is the one that a reset waited for.
    pub(crate) fn dooms(&self, broker: usize, api_key: i16) -> bool {
        let mut came = false;
        self.dooms.borrow_mut()[broker].retain(|doom| {
            doom.left = doom.left.saturating_sub(u32::from(doom.api_key == api_key));
            came |= doom.left == 0;
            doom.left > 0
        });
        came
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

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::SocketAddr;
    use std::rc::Rc;

    use super::{Conn, Doom, GIVE_UP, Links, UNCLAIMED};

    #[test]
    fn faults_of_one_link_or_broker_end_one_by_one() {
        let links = Links::default();
        links.grow(2);
        let (much, little) = (links.slow(0, 1, 900), links.slow(0, 1, 20));
        links.hasten(0, 1, little);
        assert_eq!((links.extra(0, 1), links.extra(1, 0)), (900, 0));
        links.hasten(0, 1, much);
        assert_eq!(links.extra(0, 1), 0);
        let first = links.doom(1, Doom { api_key: 0, left: 2 });
        links.doom(1, Doom { api_key: 0, left: 3 });
        links.spare(1, first);
        assert!(!links.dooms(1, 0) && !links.dooms(1, 7) && !links.dooms(1, 0));
        assert!(links.dooms(1, 0), "the second still waits for the third");
        assert!(!links.dooms(1, 0));
    }

    /// A connection from host 0 to host 1 with 10 bytes on their way there.
    fn sending(links: &Links) -> Rc<Conn> {
        let conn = Rc::new(Conn::new(links.number(), [0, 1]));
        links.begin(&conn);
        conn.ways[0].sent.set(10);
        conn
    }

    fn broken(conn: &Conn) -> [Option<(u64, ErrorKind)>; 2] {
        [0, 1].map(|end| conn.ends[end].broken.get())
    }

    #[test]
    fn a_connection_whose_bytes_cannot_arrive_is_given_up_in_time_and_not_before() {
        let links = Links::default();
        links.grow(2);
        let conn = sending(&links);
        links.reap(0);
        links.cut(0, 1, true);
        let began = 5_000_000_000;
        links.reap(began);
        links.reap(began + GIVE_UP - 1);
        assert_eq!(broken(&conn), [None, None]);
        // What can arrive again for a moment begins anew.
        links.cut(0, 1, false);
        links.reap(began + GIVE_UP);
        links.cut(0, 1, true);
        let again = began + GIVE_UP + 1;
        links.reap(again);
        links.reap(again + GIVE_UP - 1);
        assert_eq!(broken(&conn), [None, None]);
        links.reap(again + GIVE_UP);
        assert_eq!(broken(&conn), [Some((again + GIVE_UP, ErrorKind::TimedOut)); 2]);
    }

    #[test]
    fn a_connection_with_nothing_on_its_way_outlives_any_cut() {
        let links = Links::default();
        links.grow(2);
        let conn = sending(&links);
        conn.ways[0].read.set(10);
        links.cut(0, 1, true);
        links.cut(1, 0, true);
        (0..5).for_each(|n| links.reap(n * GIVE_UP));
        assert_eq!(broken(&conn), [None, None]);
    }

    #[test]
    fn bytes_to_a_host_that_lost_its_power_are_given_up_too() {
        let links = Links::default();
        links.grow(2);
        let conn = sending(&links);
        conn.silence(1);
        links.reap(0);
        links.reap(GIVE_UP);
        assert_eq!(broken(&conn)[0], Some((GIVE_UP, ErrorKind::TimedOut)));
    }

    #[test]
    fn a_connection_that_nobody_picks_up_is_reset_and_what_is_gone_is_buried() {
        let links = Links::default();
        links.grow(2);
        let (conn, from) = (sending(&links), SocketAddr::from(([10, 0, 0, 1], 5)));
        links.offer(0, 1, from, conn.clone());
        links.reap(UNCLAIMED - 1);
        assert_eq!(broken(&conn), [None, None]);
        links.reap(UNCLAIMED);
        assert_eq!(broken(&conn), [Some((UNCLAIMED, ErrorKind::ConnectionReset)); 2]);
        assert!(links.claim(1, from).is_none(), "it is gone");
        drop(conn);
        links.reap(UNCLAIMED + 1);
        assert!(links.conns.borrow().is_empty());
    }
}
