//! Members of the newer protocol: by transcript, and with the broker's own coordinator over a network that delays and loses.

use std::collections::{BTreeMap, BTreeSet};

use broker::config::GroupConfig;
use broker::controller::record::{TopicId, text};
use broker::env::Mono;
use broker::group::consumer::{Beat, Topics};
use broker::group::request::Now;
use broker::group::{Answer as Said, Asked, Effect as Wants, Input as Happens, Shard};
use broker::ids::{Offset, TopicPartition};
use proptest::prelude::*;
use uuid::Uuid;

use super::super::super::assign::Assignor;
use super::super::Membership;
use super::super::words::{Answer, Beaten, Effect, Input, Say, Ticket};
use super::{Subject, ms, rules, set};

const TOPIC: TopicId = TopicId(Uuid::from_u128(7));

fn beaten(epoch: i32, assigned: Option<&[i32]>) -> Answer {
    Answer::Beaten(Ok(Beaten { epoch, interval: ms(100), assigned: assigned.map(set), whole: true }))
}

impl Subject {
    /// What the one heartbeat in `out` says.
    fn said(out: &[Effect]) -> (Ticket, Say) {
        let said = out.iter().find_map(|effect| match effect {
            Effect::Say(ticket, say) => Some((*ticket, (**say).clone())),
            _ => None,
        });
        said.unwrap_or_else(|| panic!("no heartbeat in {out:?}"))
    }

    /// In epoch 1, with these.
    fn in_epoch_1(assigned: &[i32]) -> Self {
        let mut me = Self::new(rules(Assignor::Brokers));
        assert_eq!(me.tell(Input::Subscribe(["t".into()].into())), [Effect::Find(1)]);
        let (ticket, say) = Self::said(&me.answer(1, Answer::Found(0)));
        assert_eq!((say.epoch, say.topics.map(|it| it.len()), say.owned), (0, Some(1), Some(set(&[]))));
        let out = me.answer(ticket, beaten(1, Some(assigned)));
        let entered = [Effect::Entered { generation: 1, leads: false }, Effect::Told { generation: 1 }];
        assert_eq!(out[..2], entered);
        assert_eq!(out[2..], [Effect::Assigned { generation: 1, added: set(assigned) }]);
        me
    }
}

#[test]
fn it_gives_up_first_and_says_so_at_once() {
    let mut me = Subject::in_epoch_1(&[0, 1]);
    let (ticket, say) = Subject::said(&me.pass(100));
    assert_eq!((say.epoch, say.topics, say.owned), (1, None, None));
    let out = me.answer(ticket, beaten(1, Some(&[0])));
    let [Effect::Told { .. }, Effect::Revoke(revoke, what)] = &out[..] else { panic!("{out:?}") };
    assert_eq!((what, me.member.owned()), (&set(&[1]), &set(&[0, 1])));
    let (ticket, say) = Subject::said(&me.pass(100));
    assert_eq!((say.owned, me.answer(ticket, beaten(1, None)).len()), (None, 1), "it says nothing before");
    let out = me.tell(Input::GivenUp(*revoke));
    let (ticket, say) = Subject::said(&out);
    assert_eq!((say.epoch, say.owned), (1, Some(set(&[0]))));
    let out = me.answer(ticket, beaten(2, Some(&[0, 2])));
    assert_eq!(out.last(), Some(&Effect::Assigned { generation: 2, added: set(&[2]) }));
    assert_eq!(me.member.identity().map(|(_, epoch)| epoch), Some(2));
}

#[test]
fn whoever_is_fenced_loses_everything_and_enters_anew_under_its_id() {
    for code in [25, 69, 110] {
        let mut me = Subject::in_epoch_1(&[0]);
        let (ticket, before) = Subject::said(&me.pass(100));
        let out = me.answer(ticket, Answer::Beaten(Err(code)));
        assert_eq!(out[0], Effect::Lost(set(&[0])));
        let (_, say) = Subject::said(&out);
        assert_eq!((say.epoch, say.owned, say.member_id), (0, Some(set(&[])), before.member_id));
    }
}

#[test]
fn after_an_answer_that_was_lost_it_says_everything() {
    let mut me = Subject::in_epoch_1(&[0]);
    let (ticket, _) = Subject::said(&me.pass(100));
    let out = me.answer(ticket, Answer::Failed);
    let [Effect::Forget, Effect::Find(find)] = out[..] else { panic!("{out:?}") };
    me.answer(find, Answer::Found(0));
    let (_, say) = Subject::said(&me.pass(100));
    assert_eq!((say.epoch, say.topics.is_some(), say.owned), (1, true, Some(set(&[0]))));
}

#[test]
fn whoever_was_never_answered_takes_leave_all_the_same() {
    let mut me = Subject::new(rules(Assignor::Brokers));
    me.tell(Input::Subscribe(["t".into()].into()));
    let (ticket, say) = Subject::said(&me.answer(1, Answer::Found(0)));
    // Nor does it know any more where the coordinator is.
    me.answer(ticket, Answer::Failed);
    assert_eq!(me.tell(Input::Leave), [Effect::Leave(say.member_id)]);
    assert_eq!(me.tell(Input::Leave), []);
}

#[test]
fn a_name_that_is_still_anothers_is_asked_for_again() {
    let mut me = Subject::new(rules(Assignor::Brokers));
    me.tell(Input::Subscribe(["t".into()].into()));
    let (ticket, _) = Subject::said(&me.answer(1, Answer::Found(0)));
    assert_eq!(me.answer(ticket, Answer::Beaten(Err(111))), []);
    let (ticket, _) = Subject::said(&me.pass(50));
    assert!(matches!(me.answer(ticket, Answer::Beaten(Err(112)))[..], [Effect::Fatal(112)]));
}

/// What befalls the group.
#[derive(Clone, Copy, Debug)]
enum Act {
    Start(usize),
    Crash(usize),
    Leave(usize),
    /// Does not poll for so long.
    Sleep(usize, u64),
    Grow,
}

enum Event {
    Act(Act),
    Ask(usize, u32, Ticket, Box<Beat>),
    Tell(usize, u32, Input),
    Tick,
}

struct Node {
    member: Membership,
    life: u32,
    asleep_until: u64,
}

/// Members and their coordinator, whose log commits at once.
struct World {
    now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    count: u64,
    drawn: u64,
    loss: u64,
    calm_from: u64,
    partitions: i32,
    nodes: BTreeMap<usize, Node>,
    lives: u32,
    shard: Shard,
    end: Offset,
    versions: u64,
}

impl World {
    fn new(loss: u64, seed: u64, calm_from: u64) -> Self {
        let settings = GroupConfig {
            consumer_session_timeout: ms(300),
            consumer_heartbeat_interval: ms(100),
            ..GroupConfig::default()
        };
        let shard = Shard::new(settings, Now { mono: Mono(0), wall: 0 });
        let (queue, nodes) = (BTreeMap::new(), BTreeMap::new());
        let mut world = Self {
            now: 0,
            queue,
            count: 0,
            drawn: seed,
            loss,
            calm_from,
            partitions: 5,
            nodes,
            lives: 0,
            shard,
            end: 0,
            versions: 0,
        };
        world.tell_topics();
        world
    }

    fn tell_topics(&mut self) {
        self.versions += 1;
        let all = [("t".into(), (TOPIC, self.partitions))].into();
        self.happens(Happens::Topics(Topics { version: self.versions, all }.into()));
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.drawn = self.drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.drawn >> 33) % below
    }

    fn is_lost(&mut self) -> bool {
        self.now < self.calm_from && self.draw(1000) < self.loss
    }

    fn at(&mut self, after: u64, event: Event) {
        self.count += 1;
        self.queue.insert((self.now + after, self.count), event);
    }

    fn mono(&self) -> Mono {
        Mono(0).after(ms(self.now))
    }

    /// Returns the answers.
    fn happens(&mut self, input: Happens) -> Vec<Said> {
        let (mut inputs, mut answers) = (vec![input], Vec::new());
        let now = Now { mono: self.mono(), wall: 0 };
        while let Some(input) = inputs.pop() {
            let mut wants = Vec::new();
            self.shard.step(now, input, &mut wants);
            for want in wants {
                match want {
                    Wants::Answer(_, said) => answers.push(said),
                    Wants::Write(token, records) => {
                        self.end += Offset::try_from(records.len()).unwrap();
                        inputs.push(Happens::HighWatermark(self.end));
                        inputs.push(Happens::Appended(token, self.end));
                    }
                }
            }
        }
        answers
    }

    fn run(&mut self, until: u64) {
        while let Some(first) = self.queue.first_entry() {
            if first.key().0 > until {
                return;
            }
            self.now = first.key().0;
            match first.remove() {
                Event::Act(act) => self.act(act),
                Event::Ask(node, life, ticket, beat) => self.ask(node, life, ticket, *beat),
                Event::Tell(node, life, input) => self.tell(node, life, input),
                Event::Tick => {
                    self.happens(Happens::Tick);
                    let alive: Vec<_> = self.nodes.iter().map(|(n, node)| (*n, node.life, node.asleep_until)).collect();
                    for (node, life, asleep_until) in alive {
                        self.tell(node, life, if asleep_until <= self.now { Input::Polled } else { Input::Tick });
                    }
                    self.at(10, Event::Tick);
                }
            }
            self.check();
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Start(node) if !self.nodes.contains_key(&node) => {
                self.lives += 1;
                let (life, seed) = (self.lives, self.draw(u64::MAX));
                let member = Membership::new(rules(Assignor::Brokers), seed, self.mono());
                self.nodes.insert(node, Node { member, life, asleep_until: 0 });
                self.tell(node, life, Input::Subscribe(["t".into()].into()));
            }
            Act::Start(_) => {}
            Act::Crash(node) => drop(self.nodes.remove(&node)),
            Act::Leave(node) => {
                if let Some(life) = self.nodes.get(&node).map(|node| node.life) {
                    self.tell(node, life, Input::Leave);
                    self.nodes.remove(&node);
                }
            }
            Act::Sleep(node, wait) => {
                let until = self.now + wait;
                self.nodes.get_mut(&node).into_iter().for_each(|node| node.asleep_until = until);
            }
            Act::Grow => {
                self.partitions += 1;
                self.tell_topics();
            }
        }
    }

    fn tell(&mut self, n: usize, life: u32, input: Input) {
        let now = self.mono();
        let Some(node) = self.nodes.get_mut(&n).filter(|node| node.life == life) else { return };
        let mut out = Vec::new();
        node.member.step(now, input, &mut out);
        for effect in out {
            let delay = 1 + self.draw(40);
            match effect {
                Effect::Find(ticket) => self.at(delay, Event::Tell(n, life, Input::Answer(ticket, Answer::Found(0)))),
                Effect::Say(ticket, say) => {
                    let owns = |owned: BTreeSet<TopicPartition>| owned.iter().map(|tp| (TOPIC, tp.partition)).collect();
                    let beat = Beat {
                        group: text("g"),
                        member: text(&say.member_id),
                        epoch: say.epoch,
                        rebalance_timeout: say.topics.as_ref().map(|_| 400),
                        names: say.topics.map(|topics| topics.iter().map(|name| text(name)).collect()),
                        owns: say.owned.map(owns),
                        ..Beat::default()
                    };
                    match self.is_lost() {
                        true => self.at(200, Event::Tell(n, life, Input::Answer(ticket, Answer::Failed))),
                        false => self.at(delay, Event::Ask(n, life, ticket, Box::new(beat))),
                    }
                }
                Effect::Leave(id) => {
                    let beat = Beat { group: text("g"), member: text(&id), epoch: -1, ..Beat::default() };
                    self.at(delay, Event::Ask(usize::MAX, 0, 0, Box::new(beat)));
                }
                Effect::Revoke(ticket, _) => self.at(delay, Event::Tell(n, life, Input::GivenUp(ticket))),
                Effect::Fatal(code) => panic!("refused for good: {code}"),
                _ => {}
            }
        }
    }

    fn ask(&mut self, node: usize, life: u32, ticket: Ticket, beat: Beat) {
        let said = self.happens(Happens::Asked(0, Asked::Beat(Box::new(beat)))).pop().unwrap();
        let answer = match said {
            Said::Beaten(told) => {
                let number = |(_, number): &(TopicId, i32)| *number;
                let assigned = told.assigned.map(|parts| set(&parts.iter().map(number).collect::<Vec<_>>()));
                Answer::Beaten(Ok(Beaten { epoch: told.epoch, interval: ms(100), assigned, whole: true }))
            }
            Said::No(error) => Answer::Beaten(Err(error.code())),
            other => panic!("{other:?}"),
        };
        let delay = 1 + self.draw(40);
        match self.is_lost() {
            true => self.at(200, Event::Tell(node, life, Input::Answer(ticket, Answer::Failed))),
            false => self.at(delay, Event::Tell(node, life, Input::Answer(ticket, answer))),
        }
    }

    /// No two whom the coordinator takes for members own the same.
    fn check(&self) {
        let Some(roster) = self.shard.roster(&text("g")) else { return };
        let mut owned = BTreeSet::new();
        for node in self.nodes.values() {
            let Some((id, epoch)) = node.member.identity() else { continue };
            let standing = roster.members.get(&text(&id)).map(|peer| &peer.standing);
            if standing.is_some_and(|it| [it.epoch, it.previous].contains(&epoch)) {
                node.member.owned().iter().for_each(|tp| assert!(owned.insert(tp.clone()), "{tp} has two owners"));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn never_do_two_own_the_same_and_in_the_end_everything_is_owned(
        acts in prop::collection::vec((0..3000u64, prop_oneof![
            4 => (0..4usize).prop_map(Act::Start),
            2 => (0..4usize).prop_map(Act::Crash),
            1 => (0..4usize).prop_map(Act::Leave),
            1 => (0..4usize, 500..2000u64).prop_map(|(node, wait)| Act::Sleep(node, wait)),
            1 => Just(Act::Grow),
        ]), 0..20),
        loss in 0..300u64,
        seed in any::<u64>(),
    ) {
        let mut world = World::new(loss, seed, 3000);
        for (at, act) in acts {
            world.at(at, Event::Act(act));
        }
        world.at(0, Event::Act(Act::Start(0)));
        world.at(0, Event::Tick);
        // Whoever slept is awake, and whoever is to be is there.
        world.at(3001, Event::Act(Act::Start(0)));
        world.run(9000);
        let mut owned: Vec<_> = world.nodes.values().flat_map(|node| node.member.owned().clone()).collect();
        owned.sort();
        prop_assert_eq!(owned.len(), usize::try_from(world.partitions).unwrap());
        owned.dedup();
        prop_assert_eq!(owned.len(), usize::try_from(world.partitions).unwrap());
        prop_assert!(world.nodes.values().all(|node| node.member.is_stable()));
    }
}
