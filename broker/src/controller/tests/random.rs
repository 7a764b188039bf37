//! Brokers crash, lose their disks' tails, are cut off, come back; topics come, go and move; controllers take turns; all
//! at random. Whatever happens, the rules of [`check`] hold, a leader that is elected cleanly has all that was committed,
//! and when everyone is back every partition has a leader and a full in-sync set.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::configs;
use super::super::image::{Image, Topic};
use super::super::machine::Controller;
use super::super::partition::{Elected, PartitionState};
use super::super::plan::{Alteration, NewTopic};
use super::super::record::{MetadataRecord, TopicId};
use super::super::request::{AlterPartition, Answer, Change, Heartbeat, Reassignment, Registration, Request};
use super::data::Data;
use super::settings;
use super::world::{World, line};
use crate::ids::{BrokerEpoch, NodeId};

const NODES: i32 = 4;

#[derive(Clone, Debug)]
enum Step {
    Start(i32),
    Crash(i32, u8),
    Leave(i32),
    Cut(i32),
    Heal(i32),
    Lag(i32),
    Pass(u64),
    Produce(usize, i32),
    Replicate(usize, i32, usize),
    Shrink(usize, i32),
    Expand(usize, i32),
    Junk(usize, i32, i32, i32, Vec<i32>),
    Create(usize, i16, i32, u8),
    Delete(usize),
    Grow(usize),
    MinInSync(usize, u8),
    Unclean(usize, bool),
    Reassign(usize, Option<Vec<i32>>),
    Elect(usize, bool),
    NewController,
    Ids(i32),
    Unregister(i32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = || 1..=NODES;
    let part = || 0usize..8;
    let topic = || 0usize..2;
    let step = prop_oneof![
        6 => node().prop_map(Step::Start),
        3 => (node(), any::<u8>()).prop_map(|(node, kept)| Step::Crash(node, kept)),
        2 => node().prop_map(Step::Leave),
        2 => node().prop_map(Step::Cut),
        3 => node().prop_map(Step::Heal),
        1 => node().prop_map(Step::Lag),
        6 => (1u64..12).prop_map(Step::Pass),
        6 => (part(), node()).prop_map(|(part, node)| Step::Produce(part, node)),
        9 => (part(), node(), 1usize..9).prop_map(|(part, node, most)| Step::Replicate(part, node, most)),
        4 => (part(), node()).prop_map(|(part, node)| Step::Shrink(part, node)),
        6 => (part(), node()).prop_map(|(part, node)| Step::Expand(part, node)),
        1 => (part(), node(), -1i32..2, -1i32..2, prop::collection::vec(0i32..6, 0..4))
            .prop_map(|(part, node, leader, epoch, set)| Step::Junk(part, node, leader, epoch, set)),
        2 => (topic(), 1i16..4, 1i32..3, 1u8..4).prop_map(|(name, rf, count, min)| Step::Create(name, rf, count, min)),
        1 => topic().prop_map(Step::Delete),
        1 => topic().prop_map(Step::Grow),
        1 => (topic(), 1u8..4).prop_map(|(name, min)| Step::MinInSync(name, min)),
        1 => (topic(), any::<bool>()).prop_map(|(name, on)| Step::Unclean(name, on)),
        2 => (part(), prop::option::of(prop::collection::vec(node(), 1..4)))
            .prop_map(|(part, on)| Step::Reassign(part, on)),
        1 => (part(), any::<bool>()).prop_map(|(part, unclean)| Step::Elect(part, unclean)),
        1 => Just(Step::NewController),
        1 => node().prop_map(Step::Ids),
        1 => node().prop_map(Step::Unregister),
    ];
    prop::collection::vec(step, 1..120)
}

/// A partition's identity.
type Part = (TopicId, i32);

#[derive(Debug, Default)]
struct Node {
    up: bool,
    cut: bool,
    registration: Option<Registration>,
    /// Its broker epoch, once registered.
    epoch: Option<BrokerEpoch>,
    /// The epoch that it has shut down cleanly in.
    previous: Option<BrokerEpoch>,
    /// Partitions as it knows them, each with its `min.insync.replicas`.
    views: BTreeMap<Part, (PartitionState, usize)>,
}

struct Cluster {
    world: World,
    nodes: BTreeMap<i32, Node>,
    data: BTreeMap<Part, Data>,
    /// All records so far, folded: what any other node would know.
    mirror: Image,
    seen: usize,
    /// Whether an operator has asked for an unclean leader in this step.
    forced: bool,
    ids: BTreeSet<i64>,
}

impl Cluster {
    fn new() -> Self {
        let nodes = (1..=NODES).map(|node| (node, Node::default())).collect();
        let (world, data, mirror) = (World::new(), BTreeMap::new(), Image::default());
        let mut this = Self { world, nodes, data, mirror, seen: 0, forced: false, ids: BTreeSet::new() };
        (1..=NODES).for_each(|node| this.step(&Step::Start(node)));
        this.step(&Step::Create(0, 3, 2, 2));
        this
    }

    fn image(&self) -> &Image {
        self.world.controller.image()
    }

    fn part(&self, at: usize) -> Option<(Part, String)> {
        let count = self.image().partition_count();
        let (topic, number, _) = self.image().all_partitions().nth(at % count.max(1))?;
        Some(((topic.id, number), topic.name.to_string()))
    }

    fn reachable(&self, node: i32) -> bool {
        self.nodes[&node].up && !self.nodes[&node].cut && self.nodes[&node].epoch.is_some()
    }

    /// The view of a node that believes it leads.
    fn leads(&self, node: i32, part: Part) -> Option<&(PartitionState, usize)> {
        self.nodes[&node].views.get(&part).filter(|(view, _)| self.nodes[&node].up && view.leader == Some(NodeId(node)))
    }

    fn leader(&self, part: Part) -> Option<i32> {
        let leader = self.image().partition_by_id(part.0, part.1)?.leader?.0;
        (self.reachable(leader) && self.leads(leader, part).is_some()).then_some(leader)
    }

    fn step(&mut self, step: &Step) {
        self.forced = matches!(step, Step::Elect(_, true));
        match step {
            Step::Produce(at, node) => {
                if let Some((part, _)) = self.part(*at)
                    && self.leads(*node, part).is_some()
                {
                    self.data.entry(part).or_default().produce(NodeId(*node));
                }
            }
            Step::Replicate(at, node, most) => self.replicate(*at, *node, *most),
            Step::Shrink(at, node) => self.alter(*at, |in_sync, _| in_sync.retain(|member| member.0 != *node)),
            Step::Expand(at, node) => self.alter(*at, |in_sync, caught_up| {
                if caught_up(NodeId(*node)) && !in_sync.contains(&NodeId(*node)) {
                    in_sync.push(NodeId(*node));
                }
            }),
            Step::Junk(at, node, leader, epoch, set) => self.junk(*at, *node, *leader, *epoch, set),
            Step::NewController => {
                self.world.controller = Controller::new(self.mirror.clone(), settings(), self.world.now);
            }
            Step::Ids(node) => {
                let request = Request::AllocateProducerIds { node: NodeId(*node), epoch: self.world.epoch(*node) };
                if let Answer::ProducerIds { first, count } = self.world.ask(request) {
                    assert!((first..first + i64::from(count)).all(|id| self.ids.insert(id)), "an id for two");
                }
            }
            Step::Create(..) | Step::Delete(_) | Step::Grow(_) | Step::MinInSync(..) | Step::Unclean(..) => {
                self.administer(step);
            }
            Step::Reassign(..) | Step::Elect(..) => self.operate(step),
            _ => self.live(step),
        }
        self.observe();
    }

    /// What happens to brokers.
    fn live(&mut self, step: &Step) {
        match step {
            Step::Start(node) => self.start(*node),
            Step::Unregister(node) => drop(self.world.ask(Request::Unregister(NodeId(*node)))),
            Step::Crash(node, kept) if self.nodes[node].up => {
                self.stop(*node, None);
                self.data.values_mut().for_each(|data| data.lose(NodeId(*node), *kept));
            }
            Step::Leave(node) if self.reachable(*node) => {
                let heartbeat = Heartbeat { want_shut_down: true, ..self.world.heartbeat(*node) };
                let answer = self.world.ask(Request::Heartbeat(heartbeat));
                if matches!(answer, Answer::Heartbeat { should_shut_down: true, .. }) {
                    self.stop(*node, self.nodes[node].epoch);
                }
            }
            Step::Cut(node) => self.node(*node).cut = true,
            Step::Heal(node) => self.node(*node).cut = false,
            Step::Lag(node) if self.reachable(*node) => {
                let heartbeat = Heartbeat { metadata_offset: -1, ..self.world.heartbeat(*node) };
                self.world.ask(Request::Heartbeat(heartbeat));
            }
            Step::Pass(seconds) => {
                for _ in 0..*seconds {
                    self.world.now = self.world.now.after(std::time::Duration::from_secs(1));
                    let alive: Vec<i32> = (1..=NODES).filter(|node| self.reachable(*node)).collect();
                    alive.into_iter().for_each(|node| drop(self.world.beat(node)));
                    self.tick();
                }
            }
            _ => {}
        }
    }

    fn node(&mut self, node: i32) -> &mut Node {
        self.nodes.get_mut(&node).unwrap()
    }

    /// All that is due.
    fn tick(&mut self) {
        let due = |world: &World| world.controller.next_tick().is_some_and(|due| due <= world.now);
        for _ in 0..2 * NODES {
            if !due(&self.world) {
                return;
            }
            self.world.tick();
        }
        panic!("there is always something to do");
    }

    fn start(&mut self, node: i32) {
        if !self.nodes[&node].up {
            let registration = self.world.registration(node, self.nodes[&node].previous);
            let cut = self.nodes[&node].cut;
            *self.node(node) = Node { up: true, cut, registration: Some(registration), ..Node::default() };
        }
        // One that was unregistered meanwhile is told so when it says that it is alive.
        if self.nodes[&node].cut || self.nodes[&node].epoch == Some(self.world.epoch(node)) {
            return;
        }
        let registration = self.nodes[&node].registration.clone().unwrap();
        if let Answer::Registered { epoch } = self.world.ask(Request::Register(registration)) {
            self.node(node).epoch = Some(epoch);
            self.world.beat(node);
        }
    }

    fn stop(&mut self, node: i32, previous: Option<BrokerEpoch>) {
        let node = self.node(node);
        *node = Node { cut: node.cut, previous, ..Node::default() };
    }

    fn replicate(&mut self, at: usize, node: i32, most: usize) {
        let Some((part, _)) = self.part(at) else { return };
        let Some(view) = self.nodes[&node].views.get(&part).filter(|_| self.reachable(node)) else { return };
        let Some(leader) = view.0.leader.filter(|leader| leader.0 != node && self.reachable(leader.0)) else { return };
        let same = self.leads(leader.0, part).is_some_and(|(state, _)| state.leader_epoch == view.0.leader_epoch);
        if same {
            self.data.entry(part).or_default().replicate(leader, NodeId(node), most);
        }
    }

    /// A leader asks for an in-sync set.
    fn alter(&mut self, at: usize, change: impl Fn(&mut Vec<NodeId>, &dyn Fn(NodeId) -> bool)) {
        let Some((part, _)) = self.part(at) else { return };
        let Some(leader) = self.leader(part) else { return };
        let view = self.leads(leader, part).unwrap().0.clone();
        let data = self.data.entry(part).or_default();
        let caught_up = |node: NodeId| data.log(node) == data.log(NodeId(leader)) && view.replicas.contains(&node);
        let mut in_sync = view.in_sync.clone();
        change(&mut in_sync, &caught_up);
        if in_sync != view.in_sync && in_sync.contains(&NodeId(leader)) {
            self.ask_for(leader, part, view.leader_epoch, view.partition_epoch, &in_sync);
        }
    }

    fn junk(&mut self, at: usize, node: i32, leader_epoch: i32, partition_epoch: i32, set: &[i32]) {
        let Some((part, _)) = self.part(at) else { return };
        let state = self.image().partition_by_id(part.0, part.1).unwrap();
        // Only what a leader that is right would not ask for: that would be believed.
        if (leader_epoch, partition_epoch) != (0, 0) {
            let set: Vec<NodeId> = set.iter().copied().map(NodeId).collect();
            let (leader_epoch, epoch) = (state.leader_epoch + leader_epoch, state.partition_epoch + partition_epoch);
            let before = self.world.end();
            self.ask_for(node, part, leader_epoch, epoch, &set);
            assert_eq!(self.world.end(), before, "a stale request had effects");
        }
    }

    fn ask_for(&mut self, node: i32, part: Part, leader_epoch: i32, partition_epoch: i32, set: &[NodeId]) {
        let in_sync = set.iter().map(|node| (*node, self.world.epoch(node.0))).collect();
        let asked = AlterPartition { topic: part.0, partition: part.1, leader_epoch, partition_epoch, in_sync };
        let epoch = self.world.epoch(node);
        self.world.ask(Request::AlterPartitions { node: NodeId(node), epoch, partitions: vec![asked] });
    }

    fn administer(&mut self, step: &Step) {
        let name = |topic: &usize| ["a", "b"][*topic].to_owned();
        let set = |topic, setting: &str, value: String| {
            Change::Alter(name(topic), vec![(setting.into(), Alteration::Set(value))])
        };
        let change = match step {
            Step::Create(topic, replication, partitions, min) => {
                let configs = vec![("min.insync.replicas".into(), Some(min.to_string()))];
                let (partitions, replication) = (*partitions, *replication);
                Change::Create(NewTopic {
                    name: name(topic),
                    partitions,
                    replication,
                    configs,
                    assignments: Vec::new(),
                })
            }
            Step::Delete(topic) => Change::Delete(name(topic).into()),
            Step::Grow(topic) => Change::Grow(name(topic), 3, None),
            Step::MinInSync(topic, min) => set(topic, "min.insync.replicas", min.to_string()),
            Step::Unclean(topic, on) => set(topic, "unclean.leader.election.enable", on.to_string()),
            _ => return,
        };
        let image = self.image().clone();
        self.world.ask(Request::Change { changes: vec![change.clone()], dry: true });
        assert_eq!(&image, self.image(), "a rehearsal had effects");
        // Refused or not: both are well.
        let _ = self.world.change(change);
    }

    fn operate(&mut self, step: &Step) {
        let (Step::Reassign(at, _) | Step::Elect(at, _)) = step else { return };
        let Some((part, topic)) = self.part(*at) else { return };
        let request = match step {
            Step::Reassign(_, replicas) => {
                let replicas = replicas.as_ref().map(|on| on.iter().copied().map(NodeId).collect());
                Request::AlterReassignments(vec![Reassignment {
                    topic,
                    partition: part.1,
                    replicas,
                    same_count: false,
                }])
            }
            Step::Elect(_, unclean) => {
                Request::ElectLeaders { unclean: *unclean, partitions: Some(vec![(topic, part.1)]) }
            }
            _ => return,
        };
        self.world.ask(request);
    }

    /// What was decided is learnt by all that can be reached, and held against the rules.
    fn observe(&mut self) {
        for at in self.seen..self.world.log.len() {
            let record = self.world.log[at].clone();
            assert_eq!(MetadataRecord::from_bytes(&record.to_bytes()).unwrap(), record);
            self.learn(&record);
        }
        self.seen = self.world.log.len();
        assert_eq!(&self.mirror, self.image(), "the records do not make the controller's image");
        assert_eq!(super::fold(&self.mirror.to_records()), self.mirror, "a snapshot is not the image");
        check(&self.mirror);
        for node in 1..=NODES {
            if self.reachable(node) && self.nodes[&node].epoch == Some(self.world.epoch(node)) {
                self.adopt(node);
            }
            for (part, (view, min)) in &self.nodes[&node].views {
                if self.nodes[&node].up && view.leader == Some(NodeId(node)) {
                    self.data.entry(*part).or_default().commit(NodeId(node), view, *min);
                }
            }
        }
    }

    fn learn(&mut self, record: &MetadataRecord) {
        let MetadataRecord::PartitionChange { topic, partition, .. } = record else {
            self.mirror.apply(record);
            return;
        };
        let before = self.mirror.partition_by_id(*topic, *partition).unwrap().clone();
        self.mirror.apply(record);
        let after = self.mirror.partition_by_id(*topic, *partition).unwrap();
        let told = || format!("{}\n{}", line(&before), line(after));
        assert_eq!(after.partition_epoch, before.partition_epoch + 1);
        assert!(after.leader_epoch >= before.leader_epoch);
        assert!(after.leader_epoch > before.leader_epoch || after.leader == before.leader, "{}", told());
        let Some(leader) = after.leader.filter(|leader| Some(*leader) != before.leader) else { return };
        let own = &self.mirror.topic_by_id(*topic).unwrap().configs;
        match after.elected {
            // In the in-sync set as it was, or as a leader has just asked for it.
            Elected::Clean => {
                let from = [&before.in_sync, &before.elr, &after.in_sync];
                let trusted = if before.leader.is_some() { &from[..] } else { &from[..2] };
                assert!(trusted.iter().any(|set| set.contains(&leader)), "{}", told());
                return;
            }
            Elected::LastKnown => assert_eq!(before.last_known_elr, [leader], "{}", told()),
            Elected::Unclean => assert!(self.forced || configs::is_unclean(false, own), "{}", told()),
        }
        let epoch = after.leader_epoch;
        self.data.entry((*topic, *partition)).or_default().fork(leader, epoch);
    }

    fn adopt(&mut self, node: i32) {
        let of = |topic: &Topic| configs::min_in_sync(&settings().log, &topic.configs);
        let views = self.mirror.partitions_of(NodeId(node));
        let views: BTreeMap<Part, (PartitionState, usize)> =
            views.map(|(topic, number, state)| ((topic.id, number), (state.clone(), of(topic)))).collect();
        for (part, (view, _)) in &views {
            let known = self.nodes[&node].views.get(part);
            let new = known.is_none_or(|(known, _)| known.leader_epoch != view.leader_epoch);
            if new && view.leader == Some(NodeId(node)) && view.elected == Elected::Clean {
                assert!(self.data.entry(*part).or_default().has_all(NodeId(node)), "{} lost: {}", node, line(view));
            }
        }
        self.node(node).views = views;
    }

    /// Everyone comes back.
    fn heal(&mut self) {
        for node in 1..=NODES {
            self.step(&Step::Heal(node));
            self.step(&Step::Pass(12));
            self.step(&Step::Start(node));
        }
        // One that was asked to shut down is asked to go through with it.
        for _ in 0..3 {
            for node in 1..=NODES {
                if self.image().broker(NodeId(node)).is_some_and(|broker| broker.shutting_down) {
                    self.step(&Step::Leave(node));
                    self.step(&Step::Start(node));
                }
                self.step(&Step::Pass(2));
            }
        }
        for _ in 0..2 {
            for (at, node) in (0..self.image().partition_count()).flat_map(|at| (1..=NODES).map(move |n| (at, n))) {
                self.step(&Step::Replicate(at, node, usize::MAX));
                self.step(&Step::Expand(at, node));
            }
        }
        for (topic, number, state) in self.image().all_partitions() {
            let whole = state.in_sync.len() == state.replicas.len() && !state.is_reassigning() && state.elr.is_empty();
            assert!(state.leader.is_some() && whole, "{}-{number} is not whole: {}", topic.name, line(state));
        }
    }
}

/// What holds after every decision.
fn check(image: &Image) {
    for (topic, number, state) in image.all_partitions() {
        let told = format!("{}-{number}: {}", topic.name, line(state));
        let is_set = |of: &[NodeId]| {
            of.iter().collect::<BTreeSet<_>>().len() == of.len() && of.iter().all(|node| state.replicas.contains(node))
        };
        let sets = [&state.replicas, &state.in_sync, &state.elr, &state.adding, &state.removing, &state.last_known_elr];
        assert!(sets.iter().all(|set| is_set(set)), "{told}");
        assert!(!state.replicas.is_empty(), "{told}");
        assert!(state.in_sync.iter().all(|node| image.is_active(*node)), "{told}");
        assert!(state.adding.iter().all(|node| !state.removing.contains(node)), "{told}");
        assert!(state.elr.iter().all(|node| !state.in_sync.contains(node)), "{told}");
        let enough = configs::min_in_sync(&settings().log, &topic.configs).min(state.replicas.len());
        assert!(state.elr.is_empty() || state.in_sync.len() < enough, "{told}");
        let Some(leader) = state.leader else {
            assert!(state.in_sync.is_empty(), "{told}");
            let candidates = if state.elr.is_empty() { &state.last_known_elr } else { &state.elr };
            assert!(!candidates.is_empty() && candidates.iter().all(|node| !image.is_active(*node)), "{told}");
            let anyone = state.replicas.iter().any(|node| image.is_active(*node));
            assert!(!anyone || !configs::is_unclean(false, &topic.configs), "{told}");
            continue;
        };
        assert!(state.in_sync.contains(&leader) && state.last_known_elr.is_empty(), "{told}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_rules_hold_and_all_comes_back(steps in steps()) {
        let mut cluster = Cluster::new();
        steps.iter().for_each(|step| cluster.step(step));
        cluster.heal();
    }
}
