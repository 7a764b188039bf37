//! What all doors of a simulated world share: time, hosts, links. One thread; no locks; whoever wakes a task has let go
//! of every borrow first.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use broker::ids::NodeId;

use super::clock::HostClock;
use super::disk::SimDisk;
use super::net::{Late, Links};
use super::timer::{Time, Until};
use crate::history::{Kind, Tape};
use crate::seed::Seed;

/// What runs on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A broker with this id.
    Broker(NodeId),
    /// A node with this id that is a controller alone.
    Controller(NodeId),
    /// A second process of a broker, which states nothing: facts are of the first.
    Twin(NodeId),
    /// Clients.
    Client,
}

/// The life of a handle that belongs to no process: an auditor's.
pub(crate) const OUTSIDE: u32 = u32::MAX;
/// No process runs: every handle of an earlier life is stale.
pub(crate) const DEAD: u32 = u32::MAX - 1;
/// A host that makes more calls outward than this in one tick is spinning.
pub(crate) const CALLS_PER_TICK: u64 = 2_000_000;

/// One host.
pub(crate) struct HostState {
    pub name: String,
    pub role: Role,
    pub restart_after: Option<u64>,
    pub clock: HostClock,
    pub disk: SimDisk,
    /// The life that runs now, or [`DEAD`].
    pub life: Cell<u32>,
    /// How often it has been started, less one.
    pub incarnation: Cell<u32>,
    /// Without power: it answers nothing, not even with a refusal.
    pub dark: Cell<bool>,
    /// Why it goes down by itself at the end of this tick.
    pub falling: Cell<bool>,
    pub restart_at: Cell<Option<u64>>,
    /// It was asked to stop, and who waits to hear of it.
    pub stopping: Cell<bool>,
    pub stop: tokio::sync::Notify,
    pub listening: RefCell<BTreeSet<u16>>,
    /// Attempts to connect that failed beneath the doors: each costs a port for good.
    pub failed_connects: Cell<u32>,
    /// Requests of its processes that the network delivers once more.
    pub late: RefCell<Vec<Rc<Late>>>,
    calls: Cell<u64>,
}

impl HostState {
    pub(crate) fn up(&self) -> bool {
        self.life.get() != DEAD
    }

    pub(crate) fn node(&self) -> Option<NodeId> {
        match self.role {
            Role::Broker(id) | Role::Controller(id) => Some(id),
            Role::Twin(_) | Role::Client => None,
        }
    }

    /// Whether requests come here.
    pub(crate) fn serves(&self) -> bool {
        !matches!(self.role, Role::Client)
    }
}

/// The state of one world.
pub(crate) struct State {
    pub seed: Seed,
    pub tick: u64,
    pub split: bool,
    /// Least and greatest latency of a link, in nanoseconds.
    pub latency: (u64, u64),
    pub time: Rc<Time>,
    pub tape: Tape,
    pub links: Links,
    /// Bytes that hosts have given to the network.
    pub sent: Cell<u64>,
    hosts: RefCell<Vec<Rc<HostState>>>,
    addresses: RefCell<Vec<Option<IpAddr>>>,
    /// The host whose task is being polled, for naming a panic's place.
    pub running: Cell<Option<usize>>,
}

impl State {
    pub(crate) fn new(seed: Seed, tick: u64, latency: (u64, u64), split: bool) -> Rc<Self> {
        let time = Rc::new(Time::default());
        let now = time.cell();
        Rc::new(Self {
            seed,
            tick,
            split,
            latency,
            tape: Tape::new(move || now.get()),
            time,
            links: Links::default(),
            sent: Cell::new(0),
            hosts: RefCell::default(),
            addresses: RefCell::default(),
            running: Cell::new(None),
        })
    }

    pub(crate) fn add(&self, name: String, role: Role, restart_after: Option<u64>) -> usize {
        let number = self.hosts.borrow().len();
        let disk = SimDisk::new(self.seed.split("disk", number as u64), self.time.clone(), self.tick);
        self.hosts.borrow_mut().push(Rc::new(HostState {
            name,
            role,
            restart_after,
            clock: HostClock::some(&mut self.seed.split("clock", number as u64).draw()),
            disk,
            life: Cell::new(DEAD),
            incarnation: Cell::new(0),
            dark: Cell::new(false),
            falling: Cell::new(false),
            restart_at: Cell::new(None),
            stopping: Cell::new(false),
            stop: tokio::sync::Notify::new(),
            listening: RefCell::default(),
            failed_connects: Cell::new(0),
            late: RefCell::default(),
            calls: Cell::new(0),
        }));
        self.addresses.borrow_mut().push(None);
        self.links.grow(number + 1);
        number
    }

    pub(crate) fn set_address(&self, host: usize, address: IpAddr) {
        self.addresses.borrow_mut()[host] = Some(address);
    }

    pub(crate) fn address(&self, host: usize) -> IpAddr {
        self.addresses.borrow()[host].unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }

    pub(crate) fn at_address(&self, address: IpAddr) -> Option<usize> {
        self.addresses.borrow().iter().position(|a| *a == Some(address))
    }

    pub(crate) fn host(&self, host: usize) -> Rc<HostState> {
        self.hosts.borrow()[host].clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.hosts.borrow().len()
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.hosts.borrow().iter().position(|h| h.name == name)
    }

    /// Waits until world time `at`, but always past this tick: a wait of nothing in a loop must not stop the world.
    pub(crate) fn until(&self, at: u64) -> Until {
        Until::new(self.time.clone(), at.max(self.time.now() + 1))
    }

    /// Counts a call outward; a host that spins breaks the run instead of hanging it.
    pub(crate) fn count_call(&self, host: &HostState) {
        let calls = host.calls.get() + 1;
        host.calls.set(calls);
        assert!(calls <= CALLS_PER_TICK, "hang: {calls} calls outward in one tick");
    }

    pub(crate) fn begin_tick(&self) {
        for h in self.hosts.borrow().iter() {
            h.calls.set(0);
        }
    }

    /// The process of `host` is over from this moment: its handles are stale. Says so once.
    pub(crate) fn end_life(&self, host: &HostState, power: bool, why: &str) {
        host.life.set(DEAD);
        host.disk.set_life(DEAD);
        host.listening.borrow_mut().clear();
        let (name, node) = (host.name.clone(), host.node());
        self.tape.note(Kind::Down { host: name, node, power, why: why.into() });
    }

    /// The disk of `host`, which is down, is taken away.
    pub(crate) fn wipe(&self, host: &HostState) {
        host.disk.wipe();
        self.tape.note(Kind::Wiped { host: host.name.clone(), node: host.node() });
    }

    /// A process of `host` begins.
    pub(crate) fn begin_life(&self, host: &HostState) {
        let incarnation = host.incarnation.get();
        host.life.set(incarnation);
        host.disk.set_life(incarnation);
        host.restart_at.set(None);
        host.stopping.set(false);
        host.dark.set(false);
        let (name, node) = (host.name.clone(), host.node());
        self.tape.note(Kind::Up { host: name, node, incarnation });
    }
}
