//! Members and a coordinator over a network that delays and loses: never do two own the same, and in the end everything
//! is owned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use broker::env::Mono;
use broker::ids::TopicPartition;
use proptest::prelude::*;

use super::super::super::assign::{Assignor, Partitions};
use super::super::Membership;
use super::super::words::{Answer, Effect, Input};
use super::coordinator::{Ask, Coordinator, To};
use super::{ms, rules};

/// What befalls the group.
#[derive(Clone, Copy, Debug)]
enum Act {
    Start(usize),
    Crash(usize),
    Leave(usize),
    /// Does not poll for so long.
    Sleep(usize, u64),
    /// The coordinator moves; meanwhile, for so long, nobody is it.
    Move(u64),
    /// The topic grows.
    Grow,
}

enum Event {
    Act(Act),
    Ask(To, Ask),
    Tell(usize, u32, Input),
    Poll(usize, u32),
    Tick,
}

struct Node {
    member: Membership,
    life: u32,
    asleep_until: u64,
}

struct World {
    now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    count: u64,
    drawn: u64,
    /// Of a thousand messages so many are lost, until then.
    loss: u64,
    calm_from: u64,
    assignor: Assignor,
    partitions: i32,
    nodes: BTreeMap<usize, Node>,
    lives: u32,
    coordinator: Coordinator,
    rounds: u64,
}

impl World {
    fn new(assignor: Assignor, loss: u64, seed: u64, calm_from: u64) -> Self {
        Self {
            now: 0,
            queue: BTreeMap::new(),
            count: 0,
            drawn: seed,
            loss,
            calm_from,
            assignor,
            partitions: 5,
            nodes: BTreeMap::new(),
            lives: 0,
            coordinator: Coordinator::new(),
            rounds: 0,
        }
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.drawn = self.drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.drawn >> 33) % below
    }

    fn at(&mut self, after: u64, event: Event) {
        self.count += 1;
        self.queue.insert((self.now + after, self.count), event);
    }

    fn is_lost(&mut self) -> bool {
        self.now < self.calm_from && self.draw(1000) < self.loss
    }

    fn known(&self) -> Partitions {
        Partitions::from([("t".into(), self.partitions)])
    }

    fn run(&mut self, until: u64) {
        while let Some(first) = self.queue.first_entry() {
            if first.key().0 > until {
                return;
            }
            self.now = first.key().0;
            let event = first.remove();
            match event {
                Event::Act(act) => self.act(act),
                Event::Ask(to, ask) => self.coordinator.ask(self.now, to, ask),
                Event::Tell(node, life, input) => self.tell(node, life, input),
                Event::Poll(node, life) => self.poll(node, life),
                Event::Tick => {
                    self.coordinator.tick(self.now);
                    for (node, life) in self.alive() {
                        self.tell(node, life, Input::Tick);
                    }
                    self.at(10, Event::Tick);
                }
            }
            self.send_answers();
            self.check();
        }
    }

    fn alive(&self) -> Vec<(usize, u32)> {
        self.nodes.iter().map(|(at, node)| (*at, node.life)).collect()
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Start(at) if !self.nodes.contains_key(&at) => {
                self.lives += 1;
                let life = self.lives;
                let member = Membership::new(rules(self.assignor), u64::from(life), self.mono());
                self.nodes.insert(at, Node { member, life, asleep_until: 0 });
                self.tell(at, life, Input::Subscribe(["t".into()].into()));
                self.poll(at, life);
            }
            Act::Start(_) => {}
            Act::Crash(at) => drop(self.nodes.remove(&at)),
            Act::Leave(at) => {
                if let Some(life) = self.nodes.get(&at).map(|node| node.life) {
                    self.tell(at, life, Input::Leave);
                    self.nodes.remove(&at);
                }
            }
            Act::Sleep(at, long) => {
                if let Some(node) = self.nodes.get_mut(&at) {
                    node.asleep_until = self.now + long;
                }
            }
            Act::Move(long) => self.coordinator.moves(self.now, long),
            Act::Grow => self.partitions += 1,
        }
    }

    fn mono(&self) -> Mono {
        Mono(0).after(ms(self.now))
    }

    fn poll(&mut self, at: usize, life: u32) {
        let Some(node) = self.nodes.get(&at).filter(|node| node.life == life) else { return };
        let until = node.asleep_until;
        if until > self.now {
            return self.at(until - self.now, Event::Poll(at, life));
        }
        self.tell(at, life, Input::Polled);
        let known = self.known();
        self.tell(at, life, Input::Partitions(known));
        self.at(50, Event::Poll(at, life));
    }

    fn tell(&mut self, at: usize, life: u32, input: Input) {
        let now = self.mono();
        let Some(node) = self.nodes.get_mut(&at).filter(|node| node.life == life) else { return };
        let mut out = Vec::new();
        node.member.step(now, input, &mut out);
        for effect in out {
            self.carry_out(at, life, effect);
        }
    }

    fn carry_out(&mut self, at: usize, life: u32, effect: Effect) {
        match effect {
            Effect::Find(ticket) => self.ask((at, life, ticket), Ask::Find),
            Effect::Join(ticket, id, protocols) => {
                let (name, metadata) = protocols[0].clone();
                self.ask((at, life, ticket), Ask::Join(id, name, metadata));
            }
            Effect::Sync { ticket, member_id, generation, assignments, .. } => {
                self.ask((at, life, ticket), Ask::Sync(member_id, generation, assignments));
            }
            Effect::Beat(ticket, id, generation) => self.ask((at, life, ticket), Ask::Beat(id, generation)),
            Effect::Leave(id) => self.ask((at, life, 0), Ask::Leave(id)),
            Effect::Lookup(ticket, _) => {
                let answer = Answer::Partitions(self.known());
                let after = 1 + self.draw(5);
                self.at(after, Event::Tell(at, life, Input::Answer(ticket, answer)));
            }
            Effect::Revoke(ticket, _) => {
                let after = 1 + self.draw(60);
                self.at(after, Event::Tell(at, life, Input::GivenUp(ticket)));
            }
            Effect::Entered { leads, .. } => self.rounds += u64::from(leads),
            Effect::Fatal(code) => panic!("member {at} died of {code}"),
            Effect::Forget | Effect::Synced { .. } | Effect::Assigned { .. } | Effect::Lost(_) => {}
            Effect::Say(..) | Effect::Told { .. } => panic!("member {at} speaks the newer protocol"),
        }
    }

    fn ask(&mut self, to: To, ask: Ask) {
        if self.is_lost() {
            return self.fail(to);
        }
        let after = 1 + self.draw(8);
        self.at(after, Event::Ask(to, ask));
    }

    fn send_answers(&mut self) {
        for (to, answer) in std::mem::take(&mut self.coordinator.answers) {
            if self.is_lost() {
                self.fail(to);
            } else {
                let after = 1 + self.draw(8);
                self.at(after, Event::Tell(to.0, to.1, Input::Answer(to.2, answer)));
            }
        }
    }

    /// The asker hears in a while that there is no answer.
    fn fail(&mut self, to: To) {
        self.at(60, Event::Tell(to.0, to.1, Input::Answer(to.2, Answer::Failed)));
    }

    /// No two that the coordinator counts as members own the same.
    fn check(&self) {
        let mut owners: BTreeMap<&TopicPartition, Arc<str>> = BTreeMap::new();
        for node in self.nodes.values() {
            let id = &node.member.member_id;
            for tp in node.member.owned().iter().filter(|_| self.coordinator.seated(id)) {
                let other = owners.insert(tp, id.clone());
                assert_eq!(other, None, "at {} ms {tp} is owned by {id} too", self.now);
            }
        }
    }

    /// Everything is owned, and everyone is in the running generation.
    fn check_settled(&self) {
        let mut owned = Vec::new();
        for node in self.nodes.values() {
            let (_, generation) = node.member.identity().expect("in a generation");
            assert!(node.member.is_stable() && generation == self.coordinator.generation, "{:?}", node.member.state);
            owned.extend(node.member.owned().iter().cloned());
        }
        let all: BTreeSet<_> = (0..self.partitions).map(|number| TopicPartition::new("t", number)).collect();
        owned.sort();
        assert!(self.nodes.is_empty() || owned.iter().eq(&all), "{owned:?}");
    }
}

fn acts() -> impl Strategy<Value = Vec<(u64, Act)>> {
    let node = 0..4_usize;
    let act = prop_oneof![
        4 => node.clone().prop_map(Act::Start),
        2 => node.clone().prop_map(Act::Crash),
        2 => node.clone().prop_map(Act::Leave),
        1 => (node, 200..2500_u64).prop_map(|(at, long)| Act::Sleep(at, long)),
        2 => (1..400_u64).prop_map(Act::Move),
        1 => Just(Act::Grow),
    ];
    prop::collection::vec((0..4000_u64, act), 3..25)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn owners_are_never_two_and_in_the_end_everything_is_owned(
        acts in acts(),
        loss in prop_oneof![Just(0), 0..200_u64],
        seed in any::<u64>(),
        cooperative in any::<bool>(),
    ) {
        let assignor = if cooperative { Assignor::CooperativeSticky } else { Assignor::Sticky };
        let mut world = World::new(assignor, loss, seed, 6500);
        for (when, act) in acts {
            world.at(when, Event::Act(act));
        }
        world.at(0, Event::Tick);
        world.run(10_000);
        world.check_settled();
        // A group in peace is left in peace.
        let before = world.rounds;
        world.run(12_000);
        prop_assert_eq!(world.rounds, before);
        world.check_settled();
    }
}
