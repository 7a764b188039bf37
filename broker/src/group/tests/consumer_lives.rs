//! Random lives of a group of the newer protocol: members that enter, beat, give up what they are told to or do not, lose
//! answers, commit, fall silent and go; topics that grow; writes that take their time or fail; coordinators that die; against
//! clients that believe what they are told.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use proptest::collection::vec;
use proptest::prelude::*;

use super::consumer_cases::{beat, enters, topic};
use super::world::*;
use crate::controller::record::text;
use crate::group::consumer::{Beat, Parts, Roster};
use crate::group::{Answer, Asked, Ticket};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Debug)]
enum Step {
    /// Says what it owns, or nothing new.
    Beat(usize, bool),
    Leave(usize),
    Commit(usize, bool),
    /// The answer does not come.
    Lose(usize),
    Grow,
    Pass(u64),
    CommitAll,
    Prompt(bool),
    Broken(bool),
    FailOver,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = || 0..NAMES.len();
    let step = prop_oneof![
        12 => (who(), prop::bool::weighted(0.7)).prop_map(|(who, says)| Step::Beat(who, says)),
        1 => who().prop_map(Step::Leave),
        3 => (who(), prop::bool::weighted(0.3)).prop_map(|(who, old)| Step::Commit(who, old)),
        1 => who().prop_map(Step::Lose),
        1 => Just(Step::Grow),
        2 => (1u64..4000).prop_map(Step::Pass),
        1 => Just(Step::Pass(46_000)),
        3 => Just(Step::CommitAll),
        1 => any::<bool>().prop_map(Step::Prompt),
        1 => prop::bool::weighted(0.3).prop_map(Step::Broken),
        1 => Just(Step::FailOver),
    ];
    vec(step, 1..120)
}

/// A client: it owns what it was told to, from then on until it says that it does not.
#[derive(Clone, Debug, Default)]
struct Client {
    epoch: i32,
    owns: Parts,
    waits: Option<Ticket>,
}

struct Life {
    world: World,
    clients: Vec<Client>,
    partitions: i32,
    /// Commits that are not answered yet: who, in which epoch.
    commits: BTreeMap<Ticket, (usize, i32)>,
}

impl Life {
    fn step(&mut self, step: &Step) {
        match *step {
            Step::Beat(at, says) => self.beat(at, says),
            Step::Leave(at) => {
                let client = std::mem::take(&mut self.clients[at]);
                if client.epoch > 0 {
                    self.world.ask(Asked::Beat(Box::new(beat(NAMES[at], -1, None))));
                }
            }
            Step::Commit(at, old) => {
                let epoch = self.clients[at].epoch - i32::from(old);
                let ticket = self.world.ask(commit(who(NAMES[at], epoch), 0, 1));
                self.commits.insert(ticket, (at, epoch));
            }
            Step::Lose(at) => self.clients[at].waits = None,
            Step::Grow => {
                self.partitions += 1;
                self.world.tell_topics(&[("t", 1, self.partitions)]);
            }
            Step::Pass(ms) => self.world.pass(ms),
            Step::CommitAll => self.world.commit_all(),
            Step::Prompt(prompt) => {
                self.world.prompt = prompt;
                if prompt {
                    self.world.commit_all();
                }
            }
            Step::Broken(broken) => self.world.broken = broken,
            Step::FailOver => {
                self.world.fail_over();
                self.clients.iter_mut().for_each(|client| client.waits = None);
                self.commits.clear();
            }
        }
    }

    fn beat(&mut self, at: usize, says: bool) {
        let client = &mut self.clients[at];
        if client.waits.is_some() {
            return;
        }
        let full = Beat { owns: Some(client.owns.clone()), epoch: client.epoch, ..enters(NAMES[at]) };
        let asked = if client.epoch == 0 || says { full } else { beat(NAMES[at], client.epoch, None) };
        client.waits = Some(self.world.ask(Asked::Beat(Box::new(asked))));
    }

    fn hear(&mut self) -> Result<(), TestCaseError> {
        for at in 0..NAMES.len() {
            let Some(ticket) = self.clients[at].waits else { continue };
            let client = &mut self.clients[at];
            match self.world.answers.get(&ticket) {
                None => continue,
                Some(Answer::Beaten(told)) => {
                    prop_assert!(told.epoch >= client.epoch, "epochs go back");
                    client.epoch = told.epoch;
                    if let Some(assigned) = &told.assigned {
                        client.owns = assigned.clone();
                    }
                }
                Some(Answer::No(ResponseError::CoordinatorNotAvailable)) => {}
                Some(Answer::No(error)) => {
                    let fenced = [
                        ResponseError::UnknownMemberId,
                        ResponseError::FencedMemberEpoch,
                        ResponseError::GroupIdNotFound,
                    ];
                    prop_assert!(fenced.contains(error), "{error:?}");
                    *client = Client::default();
                }
                other => prop_assert!(false, "{other:?}"),
            }
            self.clients[at].waits = None;
        }
        for (ticket, (at, epoch)) in std::mem::take(&mut self.commits) {
            match self.world.answers.get(&ticket) {
                None => drop(self.commits.insert(ticket, (at, epoch))),
                // Before it enters a group that has members it commits nothing.
                Some(Answer::Offsets(_)) => prop_assert!(epoch != 0, "{at} in {epoch}"),
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Nobody is told to own what another member of the group, who has not said that it has given it up, was told to.
    fn check(&self) -> Result<(), TestCaseError> {
        let roster = self.world.roster();
        let is_member = |at: usize| {
            roster.members.get(&text(NAMES[at])).is_some_and(|peer| {
                let standing = &peer.standing;
                [standing.epoch, standing.previous].contains(&self.clients[at].epoch) && self.clients[at].epoch > 0
            })
        };
        let mut owners: BTreeMap<(crate::controller::record::TopicId, i32), usize> = BTreeMap::new();
        for at in (0..NAMES.len()).filter(|at| is_member(*at)) {
            for part in &self.clients[at].owns {
                prop_assert!(owners.insert(*part, at).is_none(), "{part:?} has two owners");
            }
        }
        for (id, peer) in &roster.members {
            let held = peer.standing.assigned.union(&peer.standing.revoking);
            for part in held {
                let others = roster.members.iter().filter(|(other, _)| *other != id);
                let mut theirs = others.flat_map(|(_, peer)| peer.standing.assigned.union(&peer.standing.revoking));
                prop_assert!(!theirs.any(|other| other == part), "{part:?} is held twice");
            }
        }
        prop_assert_eq!(self.folded(), roster, "what is believed is what is committed");
        prop_assert!(self.world.shard.due() > self.world.now.mono, "something is due for ever");
        Ok(())
    }

    /// What the committed log says.
    fn folded(&self) -> Roster {
        let below = self.world.log.iter().filter(|(end, _)| *end <= self.world.high).flat_map(|(_, records)| records);
        let mut roster = Roster::default();
        for record in below {
            if let crate::group::record::Record::Consumer { entry, .. } = record {
                roster.load(entry.clone());
            }
        }
        roster
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn nothing_ever_has_two_owners(steps in steps()) {
        let mut world = World::of_consumers(3);
        world.prompt = true;
        let mut life =
            Life { world, clients: vec![Client::default(); NAMES.len()], partitions: 3, commits: BTreeMap::new() };
        for step in &steps {
            life.step(step);
            life.hear()?;
            life.check()?;
        }
        // In the end everything is shared out, whatever was before.
        life.world.broken = false;
        life.world.prompt = true;
        life.world.commit_all();
        for _ in 0..12 {
            for at in 0..NAMES.len() {
                life.hear()?;
                life.beat(at, true);
                life.hear()?;
                life.check()?;
            }
            life.world.pass(100);
        }
        prop_assert_eq!(life.world.roster().state(), "Stable");
        let owned: Vec<_> = life.clients.iter().flat_map(|client| client.owns.iter().copied()).collect();
        let all: Vec<_> = (0..life.partitions).map(|number| (topic(1), number)).collect();
        prop_assert_eq!(owned.len(), all.len());
        prop_assert!(all.iter().all(|part| owned.contains(part)));
    }
}
