//! A controller with brokers around it that do as they are told, and a transcript of what it decides.

use std::fmt::Write as _;
use std::time::Duration;

use super::super::machine::Controller;
use super::super::partition::{Elected, PartitionState};
use super::super::plan::NewTopic;
use super::super::record::Incarnation;
use super::super::request::{AlterPartition, Answer, Change, Heartbeat, Registration, Request, Settings};
use super::{counting, settings};
use crate::controller::image::Image;
use crate::controller::record::MetadataRecord;
use crate::env::Mono;
use crate::ids::{BrokerEpoch, NodeId, Offset};

/// The controller, and all that it has decided.
pub(super) struct World {
    pub controller: Controller,
    pub log: Vec<MetadataRecord>,
    pub now: Mono,
    incarnations: u64,
    draws: Box<dyn FnMut() -> u64>,
}

impl World {
    pub fn new() -> Self {
        Self::with(settings())
    }

    pub fn with(settings: Settings) -> Self {
        let now = Mono(1_000_000_000);
        let controller = Controller::new(Image::default(), settings, now);
        Self { controller, log: Vec::new(), now, incarnations: 0, draws: Box::new(counting()) }
    }

    /// A cluster of brokers 1 to `count`, all alive.
    pub fn of(count: i32) -> Self {
        let mut world = Self::new();
        (1..=count).for_each(|node| world.start(node, None));
        world
    }

    pub fn end(&self) -> Offset {
        Offset::try_from(self.log.len()).unwrap()
    }

    pub fn ask(&mut self, request: Request) -> Answer {
        let end = self.end();
        let decision = self.controller.handle(self.now, end, &request, &mut self.draws);
        self.log.extend(decision.records);
        decision.answer
    }

    pub fn registration(&mut self, node: i32, previous_epoch: Option<BrokerEpoch>) -> Registration {
        self.incarnations += 1;
        let incarnations = self.incarnations;
        let incarnation = Incarnation::draw(|| incarnations);
        Registration {
            node: NodeId(node),
            incarnation,
            host: format!("h{node}"),
            port: 9092,
            rack: None,
            previous_epoch,
        }
    }

    /// Registers a new start of a broker; `previous`: it had been shut down cleanly in that epoch.
    pub fn register(&mut self, node: i32, previous: Option<BrokerEpoch>) -> Answer {
        let registration = self.registration(node, previous);
        self.ask(Request::Register(registration))
    }

    /// A broker that registers and catches up.
    pub fn start(&mut self, node: i32, previous: Option<BrokerEpoch>) {
        assert!(matches!(self.register(node, previous), Answer::Registered { .. }), "broker {node}");
        assert!(matches!(self.beat(node), Answer::Heartbeat { fenced: false, .. }), "broker {node}");
    }

    pub fn epoch(&self, node: i32) -> BrokerEpoch {
        self.controller.image().broker(NodeId(node)).map_or(-1, |broker| broker.epoch)
    }

    pub fn heartbeat(&self, node: i32) -> Heartbeat {
        let (epoch, metadata_offset) = (self.epoch(node), self.end() - 1);
        Heartbeat { node: NodeId(node), epoch, metadata_offset, want_fence: false, want_shut_down: false }
    }

    pub fn beat(&mut self, node: i32) -> Answer {
        let heartbeat = self.heartbeat(node);
        self.ask(Request::Heartbeat(heartbeat))
    }

    pub fn leave(&mut self, node: i32) -> Answer {
        let heartbeat = Heartbeat { want_shut_down: true, ..self.heartbeat(node) };
        self.ask(Request::Heartbeat(heartbeat))
    }

    /// Time passes in steps of a second, in which all but the `silent` send heartbeats, and the controller ticks.
    pub fn pass(&mut self, seconds: u64, silent: &[i32]) {
        for _ in 0..seconds {
            self.now = self.now.after(Duration::from_secs(1));
            let unfenced: Vec<i32> = self.controller.image().unfenced_brokers().map(|broker| broker.node.0).collect();
            for node in unfenced.into_iter().filter(|node| !silent.contains(node)) {
                self.beat(node);
            }
            self.tick();
        }
    }

    pub fn tick(&mut self) -> usize {
        let records = self.controller.tick(self.now);
        let count = records.len();
        self.log.extend(records);
        count
    }

    /// Topic `t`, its partitions on these brokers.
    pub fn create(&mut self, configs: &[(&str, &str)], on: &[&[i32]]) {
        let new = NewTopic {
            name: "t".into(),
            partitions: -1,
            replication: -1,
            assignments: (0..).zip(on.iter().map(|brokers| brokers.to_vec())).collect(),
            configs: configs.iter().map(|(name, value)| ((*name).into(), Some((*value).into()))).collect(),
        };
        assert_eq!(self.change(Change::Create(new)), Ok(()));
    }

    pub fn change(&mut self, change: Change) -> Result<(), kafka_protocol::error::ResponseError> {
        match self.ask(Request::Change { changes: vec![change], dry: false }) {
            Answer::Changed(mut ends) => ends.remove(0).map(drop).map_err(|denied| denied.error),
            other => panic!("{other:?}"),
        }
    }

    pub fn state(&self, partition: usize) -> &PartitionState {
        &self.controller.image().topic("t").unwrap().partitions[partition]
    }

    /// What the leader of a partition of `t` would ask for.
    pub fn wish(&self, partition: usize, in_sync: &[i32]) -> AlterPartition {
        let state = self.state(partition);
        AlterPartition {
            topic: self.controller.image().topic("t").unwrap().id,
            partition: i32::try_from(partition).unwrap(),
            leader_epoch: state.leader_epoch,
            partition_epoch: state.partition_epoch,
            in_sync: in_sync.iter().map(|node| (NodeId(*node), self.epoch(*node))).collect(),
        }
    }

    pub fn alter_as(
        &mut self,
        node: i32,
        wish: AlterPartition,
    ) -> Result<PartitionState, kafka_protocol::error::ResponseError> {
        let (epoch, partitions) = (self.epoch(node), vec![wish]);
        match self.ask(Request::AlterPartitions { node: NodeId(node), epoch, partitions }) {
            Answer::AlterPartitions(mut ends) => ends.remove(0),
            other => panic!("{other:?}"),
        }
    }

    /// The leader of a partition of `t` asks for an in-sync set.
    pub fn alter(&mut self, partition: usize, in_sync: &[i32]) {
        let leader = self.state(partition).leader.unwrap().0;
        let wish = self.wish(partition, in_sync);
        self.alter_as(leader, wish).unwrap();
    }

    /// All partitions of `t`, a line each.
    pub fn show(&self) -> String {
        let mut text = String::new();
        for (number, state) in self.controller.image().topic("t").unwrap().numbered() {
            let _ = writeln!(text, "{number}: {}", line(state));
        }
        text
    }
}

/// A partition in a line: who leads in which epochs, the replicas, and whatever is not empty.
pub(super) fn line(state: &PartitionState) -> String {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0.to_string()).collect::<Vec<_>>().join(",");
    let leader = state.leader.map_or("none".into(), |leader| leader.0.to_string());
    let mut text =
        format!("leader {leader} in {}.{} of {}", state.leader_epoch, state.partition_epoch, ids(&state.replicas));
    let sets = [
        ("isr", &state.in_sync),
        ("elr", &state.elr),
        ("last", &state.last_known_elr),
        ("adding", &state.adding),
        ("removing", &state.removing),
    ];
    for (name, set) in sets.into_iter().filter(|(_, set)| !set.is_empty()) {
        let _ = write!(text, " {name} {}", ids(set));
    }
    match state.elected {
        Elected::Clean => {}
        Elected::LastKnown => text.push_str(" LAST KNOWN"),
        Elected::Unclean => text.push_str(" UNCLEAN"),
    }
    text
}
