//! Several quorum nodes with their disks and clocks, and a network on which every message waits to be delivered,
//! delivered again, or dropped.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::checks::Checks;
use super::log::{Entry, MemLog, index, offset};
use crate::env::Mono;
use crate::ids::NodeId;
use crate::quorum::{
    Answer, Body, Call, Effect, ElectionState, Fetched, Input, Part, Quorum, Request, Settings, Tail, Ticket,
};

/// Most records that one fetch brings.
const FETCH: usize = 3;

pub(super) struct Node {
    pub(super) id: NodeId,
    /// `None`: it is down.
    pub(super) quorum: Option<Quorum>,
    pub(super) log: MemLog,
    /// The election file.
    pub(super) stored: Option<ElectionState>,
    pub(super) clock: Mono,
    pub(super) wake: Option<Mono>,
    /// Counts its lives: nothing of an earlier one reaches it.
    pub(super) life: u32,
    /// Effects that wait behind a write of the election file.
    pub(super) writing: VecDeque<Effect>,
    inbox: VecDeque<Input>,
    /// What fetches brought, until it is accepted.
    fetched: BTreeMap<Call, (usize, Vec<Entry>)>,
    /// Snapshots on their way: whole logs up to their end.
    snapshots: BTreeMap<Call, Vec<Entry>>,
    tickets: BTreeMap<Ticket, Asked>,
    draws: u64,
}

#[derive(Clone, Debug)]
struct Asked {
    from: NodeId,
    life: u32,
    call: Call,
    request: Request,
}

/// What comes with an answer.
#[derive(Clone, Debug)]
pub(super) enum Brought {
    Nothing,
    /// Records from this offset on.
    Records(usize, Vec<Entry>),
    /// A whole snapshot.
    Snapshot(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(super) enum Message {
    Request { from: NodeId, to: NodeId, life: u32, call: Call, request: Request },
    Answer { from: NodeId, to: NodeId, life: u32, call: Call, answer: Answer, brought: Brought },
}

impl Message {
    pub(super) fn to(&self) -> NodeId {
        match self {
            Message::Request { to, .. } | Message::Answer { to, .. } => *to,
        }
    }

    pub(super) fn from(&self) -> NodeId {
        match self {
            Message::Request { from, .. } | Message::Answer { from, .. } => *from,
        }
    }
}

pub(super) struct World {
    pub(super) nodes: Vec<Node>,
    pub(super) network: Vec<Message>,
    pub(super) checks: Checks,
    voters: BTreeSet<NodeId>,
    values: u64,
    /// Which records are voters' records, by value.
    records: BTreeMap<u64, BTreeSet<NodeId>>,
    /// How requests of operators were answered.
    pub(super) operated: Vec<Body>,
    tickets: Ticket,
    /// Whether writes of the election file take until [`World::written`].
    pub(super) slow_writes: bool,
}

pub(super) fn settings(me: NodeId, voters: BTreeSet<NodeId>) -> Settings {
    Settings {
        me,
        voters,
        election_timeout: Duration::from_millis(100),
        fetch_timeout: Duration::from_millis(200),
        request_timeout: Duration::from_millis(100),
        retry_backoff: Duration::from_millis(10),
    }
}

/// splitmix64: a stream for each node and life.
fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl World {
    /// `voters` voters and `observers` observers, all up.
    pub(super) fn new(voters: u8, observers: u8, seed: u64) -> Self {
        let ids = |range: std::ops::Range<u8>| range.map(|id| NodeId(i32::from(id)));
        let mut world = World {
            nodes: Vec::new(),
            network: Vec::new(),
            checks: Checks::default(),
            voters: ids(0..voters).collect(),
            values: 0,
            records: BTreeMap::new(),
            operated: Vec::new(),
            tickets: 0,
            slow_writes: false,
        };
        for id in ids(0..voters + observers) {
            world.nodes.push(Node {
                id,
                quorum: None,
                log: MemLog::default(),
                stored: None,
                clock: Mono(0),
                wake: None,
                life: 0,
                writing: VecDeque::new(),
                inbox: VecDeque::new(),
                fetched: BTreeMap::new(),
                snapshots: BTreeMap::new(),
                tickets: BTreeMap::new(),
                draws: seed ^ (u64::from(id.0.unsigned_abs()) << 32),
            });
        }
        for at in 0..world.nodes.len() {
            world.start(at);
        }
        world
    }

    pub(super) fn at(id: NodeId) -> usize {
        usize::try_from(id.0).unwrap()
    }

    /// Starts a node that is down.
    pub(super) fn start(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if node.quorum.is_some() {
            return;
        }
        node.life += 1;
        let draws = &mut node.draws;
        let settings = settings(node.id, self.voters.clone());
        let quorum = Quorum::new(settings, node.clock, node.stored, &node.log, &mut || mix(draws));
        node.quorum = Some(quorum);
        self.checks.started(&self.nodes[at]);
        let node = &self.nodes[at];
        let all = node.log.entries.iter().enumerate();
        let records = all.filter_map(|(at, (_, value))| Some((offset(at), self.records.get(value)?.clone())));
        for (offset, voters) in records.collect::<Vec<_>>() {
            self.feed(at, Input::Voters { offset, voters });
        }
        self.feed(at, Input::Tick);
    }

    /// An operator asks `at` for a change of the voters.
    pub(super) fn operate(&mut self, at: usize, request: Request) {
        self.tickets += 1;
        let (from, ticket) = (self.nodes[at].id, self.tickets);
        self.feed(at, Input::Asked { from, ticket, request });
    }

    /// Stops a node at once: what is not durable is gone. A write of the election file under way has reached the disk
    /// or not.
    pub(super) fn crash(&mut self, at: usize, written: bool, power: bool) {
        let node = &mut self.nodes[at];
        node.quorum = None;
        if let (true, Some(Effect::Persist(state))) = (written, node.writing.front()) {
            node.stored = Some(*state);
        }
        if power {
            node.log.lose_tail();
        } else {
            node.log.flushed = node.log.entries.len();
        }
        node.writing.clear();
        node.inbox.clear();
        node.fetched.clear();
        node.snapshots.clear();
        node.tickets.clear();
        node.wake = None;
    }

    /// Gives a node an input, after those that wait.
    pub(super) fn feed(&mut self, at: usize, input: Input) {
        if self.nodes[at].quorum.is_some() {
            self.nodes[at].inbox.push_back(input);
            self.run(at);
        }
    }

    /// The write of the election file under way is done.
    pub(super) fn written(&mut self, at: usize) {
        if let Some(Effect::Persist(state)) = self.nodes[at].writing.pop_front() {
            self.nodes[at].stored = Some(state);
            self.run(at);
        }
    }

    /// Makes the log durable.
    pub(super) fn flush(&mut self, at: usize) {
        if self.nodes[at].quorum.is_some() {
            self.nodes[at].log.flushed = self.nodes[at].log.entries.len();
            self.feed(at, Input::Flushed);
        }
    }

    /// A client's record, if the node leads.
    pub(super) fn append(&mut self, at: usize) -> bool {
        let Some(epoch) = self.nodes[at].quorum.as_ref().and_then(Quorum::leads) else { return false };
        self.values += 1;
        self.nodes[at].log.entries.push((epoch, self.values));
        true
    }

    /// A snapshot of all that is committed, and the log cut to begin there.
    pub(super) fn snapshot(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let Some(quorum) = &node.quorum else { return };
        let committed = index(quorum.high_watermark());
        if committed > node.log.start && committed <= node.log.flushed {
            node.log.snapshot = Some(committed);
            node.log.start = committed;
        }
    }

    /// Lets a node's clock run to when it wants to be woken.
    pub(super) fn wake(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if let Some(wake) = node.wake {
            node.clock = node.clock.max(wake);
            self.feed(at, Input::Tick);
        }
    }

    /// A node's clock runs on.
    pub(super) fn advance(&mut self, at: usize, millis: u64) {
        let node = &mut self.nodes[at];
        node.clock = node.clock.after(Duration::from_millis(millis));
        if node.wake.is_some_and(|wake| wake <= node.clock) {
            self.feed(at, Input::Tick);
        }
    }

    /// Whether a node believes that it leads, and has been told so.
    pub(super) fn leads(&self, at: usize) -> bool {
        let node = &self.nodes[at];
        let last = node.log.entries.last().map(|entry| entry.0);
        node.quorum.as_ref().and_then(Quorum::leads).is_some_and(|epoch| last == Some(epoch))
    }

    /// Carries out what a node has to do, as far as its election file lets it.
    fn run(&mut self, at: usize) {
        loop {
            while let Some(effect) = self.nodes[at].writing.pop_front() {
                if let Effect::Persist(state) = effect {
                    if self.slow_writes {
                        self.nodes[at].writing.push_front(effect);
                        return;
                    }
                    self.nodes[at].stored = Some(state);
                } else {
                    self.carry_out(at, effect);
                }
            }
            let node = &mut self.nodes[at];
            let Some(input) = node.inbox.pop_front() else { return };
            let Some(quorum) = &mut node.quorum else { return };
            let mut effects = Vec::new();
            let draws = &mut node.draws;
            quorum.step(node.clock, input, &node.log, &mut || mix(draws), &mut effects);
            node.writing.extend(effects);
            self.checks.stepped(&self.nodes[at]);
        }
    }

    fn carry_out(&mut self, at: usize, effect: Effect) {
        self.checks.effect(&self.nodes[at], &effect);
        let node = &mut self.nodes[at];
        let (from, life) = (node.id, node.life);
        match effect {
            Effect::Persist(_) | Effect::HighWatermark(_) => {}
            Effect::Role(role) => {
                if role.part == Part::Leader && self.append(at) {
                    self.checks.elected(&self.nodes[at]);
                }
            }
            Effect::Send { to, call, request } => {
                self.network.push(Message::Request { from, to, life, call, request });
            }
            Effect::Answer { ticket, answer } => self.reply(at, ticket, answer),
            Effect::Fetch { to, call, epoch } => {
                assert!(node.quorum.as_ref().unwrap().wants(call));
                node.log.flushed = node.log.entries.len();
                let request = Request::Fetch { epoch, position: node.log.end() };
                self.network.push(Message::Request { from, to, life, call, request });
            }
            Effect::Accept { call } => self.accept(at, call),
            Effect::Truncate { to } => node.log.truncate(to),
            Effect::FetchSnapshot { to, call, epoch, id } => {
                let request = Request::FetchSnapshot { epoch, id };
                self.network.push(Message::Request { from, to, life, call, request });
            }
            Effect::LoadSnapshot { call, id } => {
                let entries = node.snapshots.remove(&call).expect("a snapshot that was fetched");
                let end = entries.len();
                assert_eq!(end, index(id.offset));
                let all = entries.iter().enumerate();
                let last = all.rev().find_map(|(at, (_, value))| Some((offset(at), self.records.get(value)?.clone())));
                node.log = MemLog { entries, start: end, snapshot: Some(end), flushed: end };
                node.inbox.push_front(Input::SnapshotLoaded { call });
                if let Some((offset, voters)) = last {
                    node.inbox.push_front(Input::Voters { offset, voters });
                }
            }
            Effect::AppendVoters { epoch, voters } => {
                assert_eq!(node.quorum.as_ref().and_then(Quorum::leads), Some(epoch));
                let offset = node.log.end().offset;
                self.append(at);
                self.nodes[at].inbox.push_front(Input::Voters { offset, voters: voters.clone() });
                self.records.insert(self.values, voters);
            }
            Effect::WakeAt(wake) => node.wake = Some(wake),
            Effect::Broken(why) => panic!("{from}: {why}"),
        }
    }

    fn accept(&mut self, at: usize, call: Call) {
        let node = &mut self.nodes[at];
        let (base, entries) = node.fetched.remove(&call).expect("records that were fetched");
        assert_eq!(base, node.log.entries.len(), "{}: records that do not continue its log", node.id);
        for (at, (_, value)) in entries.iter().enumerate() {
            if let Some(voters) = self.records.get(value) {
                node.inbox.push_back(Input::Voters { offset: offset(base + at), voters: voters.clone() });
            }
        }
        node.log.entries.extend(entries);
        node.inbox.push_back(Input::Accepted { call });
    }

    fn reply(&mut self, at: usize, ticket: Ticket, answer: Answer) {
        let node = &mut self.nodes[at];
        let Some(asked) = node.tickets.remove(&ticket) else { return self.operated.push(answer.body) };
        let brought = match (&asked.request, answer.body) {
            (Request::Fetch { position, .. }, Body::Fetch(Fetched::Read { .. })) => {
                let base = index(position.offset);
                Brought::Records(base, node.log.entries[base..].iter().take(FETCH).copied().collect())
            }
            (Request::FetchSnapshot { id, .. }, Body::Fetch(Fetched::Read { .. })) => {
                Brought::Snapshot(node.log.entries[..index(id.offset)].to_vec())
            }
            _ => Brought::Nothing,
        };
        let Asked { from: to, life, call, .. } = asked;
        self.network.push(Message::Answer { from: node.id, to, life, call, answer, brought });
    }

    /// A message arrives. Nobody hears it if its receiver is down, or an answer's asker has crashed since.
    pub(super) fn deliver(&mut self, message: Message) {
        let at = Self::at(message.to());
        if self.nodes[at].quorum.is_none() {
            return;
        }
        match message {
            Message::Request { from, life, call, request, .. } => {
                self.tickets += 1;
                let ticket = self.tickets;
                let asked = Asked { from, life, call, request: request.clone() };
                self.nodes[at].tickets.insert(ticket, asked);
                self.feed(at, Input::Asked { from, ticket, request });
            }
            Message::Answer { life, call, answer, brought, .. } => {
                if self.nodes[at].life == life {
                    self.answered(at, call, answer, brought);
                }
            }
        }
    }

    fn answered(&mut self, at: usize, call: Call, answer: Answer, brought: Brought) {
        let node = &mut self.nodes[at];
        let complete = matches!(brought, Brought::Snapshot(_));
        match brought {
            Brought::Nothing => {}
            Brought::Records(base, entries) => {
                node.fetched.insert(call, (base, entries));
            }
            Brought::Snapshot(entries) => {
                node.snapshots.insert(call, entries);
            }
        }
        self.feed(at, Input::Answered { call, answer });
        if complete {
            self.feed(at, Input::SnapshotFetched { call });
        }
    }

    /// A request failed, as its sender is told.
    pub(super) fn fail(&mut self, message: &Message) {
        if let Message::Request { from, life, call, .. } = message {
            let at = Self::at(*from);
            if self.nodes[at].life == *life {
                self.feed(at, Input::Failed { call: *call });
            }
        }
    }
}
