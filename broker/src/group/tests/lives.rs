//! Random lives: members that join, sync, commit, fall silent and come back, writes that take their time or fail, and
//! coordinators that die; against what any correct one keeps.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use proptest::collection::vec;
use proptest::prelude::*;

use super::world::*;
use crate::controller::record::text;
use crate::group::request::Sync;
use crate::group::{Answer, Asked, Input, Ticket};
use crate::ids::{Offset, TopicPartition};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Debug)]
enum Step {
    Join(usize),
    /// With the generation it was told last, or the one before.
    Sync(usize, bool),
    Heartbeat(usize),
    Leave(usize),
    Commit(usize, bool, Offset),
    Delete,
    TopicGone,
    Pass(u64),
    CommitAll,
    Prompt(bool),
    Broken(bool),
    FailOver,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = || 0..NAMES.len();
    let step = prop_oneof![
        6 => who().prop_map(Step::Join),
        6 => (who(), prop::bool::weighted(0.1)).prop_map(|(who, old)| Step::Sync(who, old)),
        2 => who().prop_map(Step::Heartbeat),
        1 => who().prop_map(Step::Leave),
        4 => (who(), prop::bool::weighted(0.2), 0i64..100).prop_map(|(who, old, at)| Step::Commit(who, old, at)),
        1 => Just(Step::Delete),
        1 => Just(Step::TopicGone),
        3 => (1u64..6000).prop_map(Step::Pass),
        2 => Just(Step::CommitAll),
        2 => any::<bool>().prop_map(Step::Prompt),
        1 => prop::bool::weighted(0.3).prop_map(Step::Broken),
        1 => Just(Step::FailOver),
    ];
    vec(step, 1..80)
}

/// What the leader of a generation assigns to a member.
fn assignment(to: &str, generation: i32, leader: &str) -> Bytes {
    format!("{to} in {generation} by {leader}").into()
}

/// What clients know.
#[derive(Default)]
struct Known {
    joining: BTreeMap<usize, Ticket>,
    generation: BTreeMap<usize, i32>,
    syncing: BTreeMap<Ticket, (usize, i32)>,
    /// And where the log ended when it was asked for, if that was written.
    committing: BTreeMap<Ticket, Option<Offset>>,
    /// Members told that they lead a generation.
    leaders: BTreeMap<i32, &'static str>,
    newest: i32,
}

struct Life {
    world: World,
    known: Known,
}

impl Life {
    fn step(&mut self, step: &Step) {
        let generation = |who: &usize, old: bool| self.known.generation.get(who).copied().unwrap_or(0) - i32::from(old);
        match step {
            Step::Join(who) => {
                let ticket = self.world.ask(join(NAMES[*who], self.id(*who)));
                self.known.joining.insert(*who, ticket);
            }
            Step::Sync(who, old) => {
                let generation = generation(who, *old);
                let mine = |to: &&str| (text(to), assignment(to, generation, NAMES[*who]));
                let Asked::Sync(asked) = sync(NAMES[*who], generation, &[]) else { unreachable!() };
                let assignments = NAMES.iter().map(mine).collect();
                let ticket = self.world.ask(Asked::Sync(Sync { assignments, ..asked }));
                self.known.syncing.insert(ticket, (*who, generation));
            }
            Step::Heartbeat(at) => {
                let generation = generation(at, false);
                let told = self.world.told(Asked::Heartbeat(who(NAMES[*at], generation)));
                assert!(matches!(told, Answer::Done | Answer::No(_)));
            }
            Step::Leave(who) => drop(self.world.ask(leave(NAMES[*who]))),
            Step::Commit(at, old, offset) => {
                let generation = generation(at, *old);
                let before = self.world.end();
                let ticket = self.world.ask(commit(who(NAMES[*at], generation), 0, *offset));
                let written = Some(self.world.end()).filter(|end| *end > before);
                self.known.committing.insert(ticket, written);
            }
            Step::Delete => drop(self.world.ask(Asked::Delete(text("g")))),
            Step::TopicGone => self.world.input(Input::TopicGone("t".into())),
            Step::Pass(ms) => self.world.pass(*ms),
            Step::CommitAll => self.world.commit_all(),
            Step::Prompt(prompt) => {
                self.world.prompt = *prompt;
                if *prompt {
                    self.world.commit_all();
                }
            }
            Step::Broken(broken) => self.world.broken = *broken,
            Step::FailOver => {
                self.world.fail_over();
                // Whoever waited is told that the connection is gone.
                self.known.joining.clear();
                self.known.syncing.clear();
                self.known.committing.clear();
                // A generation that was not written down is counted again.
                self.known.leaders.clear();
                self.known.newest = 0;
            }
        }
    }

    /// Its member id, if the group has it.
    fn id(&self, who: usize) -> &'static str {
        let group = self.world.shard.describe(&text("g"));
        let there = group.is_some_and(|group| group.members.iter().any(|member| *member.id == *NAMES[who]));
        if there { NAMES[who] } else { "" }
    }

    fn hear(&mut self) -> Result<(), TestCaseError> {
        let Self { world, known } = self;
        for (who, ticket) in std::mem::take(&mut known.joining) {
            match world.answers.get(&ticket) {
                None => drop(known.joining.insert(who, ticket)),
                Some(Answer::Joined(joined)) => {
                    prop_assert!(joined.generation >= known.newest, "generations go back");
                    known.generation.insert(who, joined.generation);
                    known.newest = known.newest.max(joined.generation);
                    if *joined.leader == *NAMES[who] {
                        let before = known.leaders.insert(joined.generation, NAMES[who]);
                        prop_assert!(before.is_none_or(|before| before == NAMES[who]), "two lead one generation");
                    }
                }
                Some(Answer::NotJoined(..)) => drop(known.generation.remove(&who)),
                other => prop_assert!(false, "{other:?}"),
            }
        }
        for (ticket, (who, generation)) in std::mem::take(&mut known.syncing) {
            match world.answers.get(&ticket) {
                None => drop(known.syncing.insert(ticket, (who, generation))),
                Some(Answer::Synced(synced)) => {
                    let leader = known.leaders.get(&generation).copied();
                    let given = leader.map(|leader| assignment(NAMES[who], generation, leader));
                    prop_assert!(given.is_none_or(|given| given == synced.assignment), "not what its leader gave it");
                }
                Some(answer) => prop_assert!(matches!(answer, Answer::No(_))),
            }
        }
        let committing = std::mem::take(&mut known.committing);
        for (ticket, written) in committing {
            match world.answers.get(&ticket) {
                None => drop(known.committing.insert(ticket, written)),
                Some(Answer::Offsets(ends)) if ends[0].is_ok() => {
                    prop_assert!(written.is_some_and(|end| end <= world.high), "acknowledged, and not committed");
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let tp = TopicPartition::new("t", 0);
        let at = self.world.shard.committed(&text("g"), &tp).map(|committed| committed.offset);
        // What is committed is what the log says below the high watermark; what was acknowledged is no less.
        let below = self.world.log.iter().filter(|(end, _)| *end <= self.world.high).flat_map(|(_, records)| records);
        let said = below.filter_map(|record| match record {
            crate::group::record::Record::Offset { committed, .. } => Some(committed.as_ref().map(|it| it.offset)),
            crate::group::record::Record::Group { .. } | crate::group::record::Record::Consumer { .. } => None,
        });
        prop_assert_eq!(at, said.last().flatten());
        let group = self.world.shard.describe(&text("g"));
        if let Some(group) = &group {
            prop_assert!(group.members.len() <= NAMES.len());
        }
        prop_assert!(self.world.shard.due() > self.world.now.mono, "something is due for ever");
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn a_group_keeps_its_promises_through_everything(steps in steps()) {
        let mut life = Life { world: World::new(), known: Known::default() };
        for step in &steps {
            life.step(step);
            life.hear()?;
            if life.world.state() == "none" {
                // A group that is made anew begins to count anew.
                life.known.leaders.clear();
                life.known.newest = 0;
            }
            life.check()?;
        }
        // In the end a group of one forms again, whatever was before.
        life.world.broken = false;
        life.world.prompt = true;
        life.world.commit_all();
        for _ in 0..4 {
            life.world.pass(5000);
        }
        let ticket = life.world.ask(join("z", ""));
        let joined = life.world.joined(ticket).unwrap();
        prop_assert_eq!(joined.members.len(), 1);
        prop_assert!(matches!(life.world.told(sync("z", joined.generation, &["z"])), Answer::Synced(_)));
        prop_assert_eq!(life.world.told(commit(who("z", joined.generation - 1), 0, 1)), Answer::No(ResponseError::IllegalGeneration));
    }
}
