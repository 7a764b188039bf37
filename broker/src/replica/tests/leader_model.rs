//! The leader against a model that keeps everything that happened and recomputes everything.

use proptest::prelude::*;

use super::leader::{LAG, ME, REPLICAS, START, begin};
use crate::config::FlushPolicy;
use crate::env::Mono;
use crate::ids::{BrokerEpoch, NodeId, Offset, PartitionEpoch};
use crate::replica::in_sync::Proposal;
use crate::replica::leader::{Effect, Input, Ticket, Undecided, Waiting};

#[derive(Clone, Debug)]
enum Op {
    Append {
        records: u64,
        waits: Option<(u64, bool)>,
    },
    /// The fsync under way returns; it covered what was appended when it began.
    SyncEnds {
        ok: bool,
    },
    Wait(u64),
    Policy(FlushPolicy, usize),
    /// A failed write took so many uncommitted records along at most.
    Reopen {
        cut: i64,
    },
    /// A follower fetches from so far before the end.
    Fetch {
        who: usize,
        behind: i64,
        eligible: bool,
        epoch: BrokerEpoch,
    },
    Inspect,
    Answer(Answer),
    /// The controller takes a member out.
    Remove(usize),
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    /// Committed metadata says so.
    Accepted,
    Refused,
    Lost,
}

fn policies() -> impl Strategy<Value = FlushPolicy> {
    prop_oneof![
        Just(FlushPolicy::Never),
        Just(FlushPolicy::Always),
        (2u64..9).prop_map(FlushPolicy::Records),
        (1u64..9).prop_map(FlushPolicy::Millis),
    ]
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let fetch = (1usize..3, 0i64..6, prop::bool::weighted(0.8), 1i64..4);
    let answer = prop_oneof![
        5 => Just(Answer::Accepted),
        2 => Just(Answer::Refused),
        2 => Just(Answer::Lost),
    ];
    let op = prop_oneof![
        6 => (1u64..5, prop::option::of((0u64..20, any::<bool>())))
            .prop_map(|(records, waits)| Op::Append { records, waits }),
        4 => prop::bool::weighted(0.98).prop_map(|ok| Op::SyncEnds { ok }),
        3 => (1u64..12).prop_map(Op::Wait),
        1 => (policies(), 1usize..4).prop_map(|(policy, least)| Op::Policy(policy, least)),
        1 => (0i64..6).prop_map(|cut| Op::Reopen { cut }),
        9 => fetch.prop_map(|(who, behind, eligible, epoch)| Op::Fetch { who, behind, eligible, epoch }),
        2 => Just(Op::Inspect),
        3 => answer.prop_map(Op::Answer),
        1 => (1usize..3).prop_map(Op::Remove),
    ];
    prop::collection::vec(op, 1..80)
}

/// A fetch as it came.
#[derive(Clone, Copy)]
struct Seen {
    at: u64,
    who: NodeId,
    epoch: BrokerEpoch,
    offset: Offset,
    eligible: bool,
    end: Offset,
}

/// Everything that happened, and nothing derived but what cannot fall.
struct Model {
    policy: FlushPolicy,
    least: usize,
    now: u64,
    /// What it has seen of its log so far ended there.
    start: Offset,
    end: Offset,
    synced: Offset,
    /// What the fsync under way covers.
    syncing: Option<Offset>,
    /// The highest the committed offset ever was.
    committed: Offset,
    lost: bool,
    fetches: Vec<Seen>,
    partition_epoch: PartitionEpoch,
    in_sync: Vec<NodeId>,
    /// The proposal under way, and whether it was lost once.
    proposed: Option<(Proposal, bool)>,
    /// Whom a lost proposal named that was refused then, and until when it counts.
    lingering: Option<(Vec<NodeId>, u64)>,
    /// Whom a refused proposal would have let in, until they fetch again.
    barred: Vec<NodeId>,
    /// (ticket, end offset, deadline, all), those not answered.
    waiting: Vec<(Ticket, Offset, u64, bool)>,
}

impl Model {
    fn new(policy: FlushPolicy, least: usize) -> Self {
        Self {
            policy,
            least,
            now: 0,
            start: START,
            end: START,
            synced: START,
            syncing: None,
            committed: 4,
            lost: false,
            fetches: Vec::new(),
            partition_epoch: 3,
            in_sync: REPLICAS.to_vec(),
            proposed: None,
            lingering: None,
            barred: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// A follower's fetches that count: none of an older process than the newest before.
    fn counted(&self, who: NodeId) -> Vec<Seen> {
        let mut counted: Vec<Seen> = Vec::new();
        for seen in self.fetches.iter().filter(|seen| seen.who == who) {
            if counted.last().is_none_or(|last| seen.epoch >= last.epoch) {
                counted.push(*seen);
            }
        }
        counted
    }

    fn position(&self, who: NodeId) -> Offset {
        if who == ME {
            return self.local();
        }
        self.counted(who).last().map_or(-1, |seen| seen.offset)
    }

    fn local(&self) -> Offset {
        if self.policy == FlushPolicy::Always { self.synced } else { self.end }
    }

    /// When a follower last had what the leader had then: it asked for the end, or had got by its next fetch to where the
    /// end was at one.
    fn caught_up(&self, who: NodeId) -> u64 {
        let counted = self.counted(who);
        let at_end = counted.iter().filter(|seen| seen.offset >= seen.end).map(|seen| seen.at);
        let reached = counted.windows(2).filter(|two| two[1].offset >= two[0].end).map(|two| two[0].at);
        at_end.chain(reached).max().unwrap_or(0)
    }

    fn maximal(&self) -> Vec<NodeId> {
        let proposed = self.proposed.iter().flat_map(|(proposal, _)| proposal.members.iter().map(|(node, _)| *node));
        let lingering = self.lingering.iter().flat_map(|(members, _)| members.iter().copied());
        let mut all: Vec<NodeId> = self.in_sync.iter().copied().chain(proposed).chain(lingering).collect();
        all.sort();
        all.dedup();
        all
    }

    fn wanted(&self) -> Vec<NodeId> {
        let fits = |who: &NodeId| {
            if *who == ME {
                return true;
            }
            let keeps_up = self.position(*who) >= self.end || self.now - self.caught_up(*who) <= LAG;
            let able = self.counted(*who).last().is_some_and(|seen| seen.eligible) && !self.barred.contains(who);
            let joins = able && self.position(*who) >= self.committed.max(self.start);
            keeps_up && (joins || self.in_sync.contains(who))
        };
        REPLICAS.into_iter().filter(fits).collect()
    }

    fn commit(&mut self) {
        let reached = self.maximal().into_iter().map(|who| self.position(who)).min().unwrap();
        if !self.lost && self.in_sync.len() >= self.least.min(REPLICAS.len()) {
            self.committed = self.committed.max(reached);
        }
    }

    fn take(&mut self, ticket: Ticket) -> (Offset, u64, bool) {
        let at = self.waiting.iter().position(|w| w.0 == ticket).expect("an answer to nobody");
        let (_, end, deadline, all) = self.waiting.remove(at);
        (end, deadline, all)
    }

    /// Takes the answers given and checks each.
    fn check(&mut self, effects: &[Effect], op: &Op) -> Result<(), TestCaseError> {
        for effect in effects {
            if matches!(effect, Effect::HighWatermark(_) | Effect::Ack { .. } | Effect::TooFew(_)) {
                self.commit();
            }
            match effect {
                Effect::Flush => {
                    prop_assert_eq!(self.syncing, None, "two fsyncs at once");
                    prop_assert!(!self.lost && self.synced < self.end);
                    self.syncing = Some(self.end);
                }
                Effect::FlushWithin(_) => prop_assert!(matches!(self.policy, FlushPolicy::Millis(_))),
                Effect::HighWatermark(high) => prop_assert_eq!(*high, self.committed),
                Effect::Ack { ticket, replicas } => {
                    let (end, _, all) = self.take(*ticket);
                    let having = self.maximal().into_iter().filter(|who| self.position(*who) >= end).count();
                    prop_assert!(!self.lost && *replicas <= REPLICAS.len());
                    let safe = if all { self.committed } else { self.local() };
                    prop_assert!(end <= safe);
                    prop_assert!(having >= 1);
                }
                Effect::TooFew(ticket) => {
                    let (end, _, all) = self.take(*ticket);
                    prop_assert!(all && end <= self.committed);
                }
                Effect::TimedOut(ticket) => {
                    prop_assert!(self.take(*ticket).1 <= self.now);
                    prop_assert!(matches!(op, Op::Wait(_)));
                }
                Effect::Lost(ticket) => {
                    let (end, _, _) = self.take(*ticket);
                    prop_assert!(self.lost || end > self.end);
                }
                Effect::Propose(proposal) => self.proposed(proposal)?,
                Effect::InSync => {}
            }
        }
        self.commit();
        // Nobody waits who need not.
        let (committed, local, lost) = (self.committed, self.local(), self.lost);
        let due = |w: &&(Ticket, Offset, u64, bool)| lost || w.1 <= if w.3 { committed } else { local };
        prop_assert_eq!(self.waiting.iter().find(due), None);
        if self.policy == FlushPolicy::Always && !self.lost && self.synced < self.end {
            prop_assert!(self.syncing.is_some(), "nobody syncs");
        }
        Ok(())
    }

    fn proposed(&mut self, proposal: &Proposal) -> Result<(), TestCaseError> {
        prop_assert_eq!(proposal.partition_epoch, self.partition_epoch);
        for (member, epoch) in proposal.members.iter().filter(|(member, _)| *member != ME) {
            prop_assert_eq!(*epoch, self.counted(*member).last().map_or(-1, |seen| seen.epoch));
        }
        let mut members: Vec<NodeId> = proposal.members.iter().map(|(member, _)| *member).collect();
        members.sort();
        prop_assert!(self.proposed.is_none(), "two proposals at once");
        prop_assert_eq!(&members, &self.wanted());
        prop_assert_ne!(&members, &self.sorted());
        self.proposed = Some((proposal.clone(), false));
        Ok(())
    }

    fn sorted(&self) -> Vec<NodeId> {
        let mut sorted = self.in_sync.clone();
        sorted.sort();
        sorted
    }

    fn decided(&mut self, in_sync: Vec<NodeId>) {
        self.partition_epoch += 1;
        self.in_sync = in_sync;
        (self.proposed, self.lingering) = (None, None);
    }

    /// Makes it so here, and says what the leader is told. `None`: it cannot happen now.
    fn input(&mut self, ticket: Ticket, op: &Op) -> Option<Input> {
        Some(match op {
            Op::Append { records, waits } => {
                self.end += i64::try_from(*records).unwrap();
                let waiting = waits.map(|(wait, all)| {
                    self.waiting.push((ticket, self.end, self.now + wait, all));
                    Waiting { ticket, all, deadline: Mono(self.now + wait) }
                });
                Input::Appended { end: self.end, records: *records, waiting }
            }
            Op::SyncEnds { ok } => {
                let upto = self.syncing.take()?;
                if *ok {
                    self.synced = self.synced.max(upto);
                    Input::Flushed { upto }
                } else {
                    self.lost = true;
                    Input::Lost
                }
            }
            Op::Wait(by) => {
                self.now += by;
                Input::Tick
            }
            Op::Reopen { cut } => {
                if self.syncing.is_some() || self.fetches.iter().any(|seen| seen.offset > self.end - cut) {
                    return None;
                }
                self.end = (self.end - cut).max(self.committed).max(START);
                self.synced = self.end;
                self.start = self.start.max(self.end);
                Input::Reopened { end: self.end }
            }
            Op::Policy(flush, least) => {
                (self.policy, self.least) = (*flush, *least);
                self.news()
            }
            Op::Fetch { who, behind, eligible, epoch } => {
                let (follower, offset) = (REPLICAS[*who], (self.end - behind).max(0));
                let (at, end, eligible) = (self.now, self.end, *eligible);
                let newest = self.counted(follower).last().map_or(-1, |seen| seen.epoch);
                self.barred.retain(|who| *who != follower || *epoch < newest);
                self.fetches.push(Seen { at, who: follower, epoch: *epoch, offset, eligible, end });
                Input::Fetched { follower, epoch: *epoch, offset, eligible }
            }
            Op::Inspect => Input::Inspect,
            Op::Answer(answer) => return self.answer(*answer),
            Op::Remove(who) => {
                let rest: Vec<NodeId> = self.in_sync.iter().copied().filter(|node| *node != REPLICAS[*who]).collect();
                self.decided(rest);
                self.news()
            }
        })
    }

    fn news(&self) -> Input {
        let (partition_epoch, in_sync) = (self.partition_epoch, self.in_sync.clone());
        Input::Decided { partition_epoch, replicas: REPLICAS.to_vec(), in_sync, flush: self.policy, least: self.least }
    }

    fn answer(&mut self, answer: Answer) -> Option<Input> {
        let (proposal, lost_before) = self.proposed.take()?;
        let asked = proposal.partition_epoch;
        let members = || proposal.members.iter().map(|(member, _)| *member).collect::<Vec<_>>();
        let why = match answer {
            Answer::Accepted => {
                self.decided(members());
                return Some(self.news());
            }
            Answer::Refused => {
                self.barred.extend(members().into_iter().filter(|member| !self.in_sync.contains(member)));
                if lost_before {
                    self.lingering = Some((members(), self.now + LAG));
                }
                Undecided::Refused
            }
            Answer::Lost => {
                // It is to be made again: seen by `check`, and remembered as made before.
                self.proposed = Some((proposal, true));
                Undecided::Lost
            }
        };
        Some(Input::NotAltered { asked, why })
    }
}

proptest! {
    #[test]
    fn agrees_with_the_model(first in policies(), least in 1usize..4, ops in ops()) {
        let mut model = Model::new(first, least);
        let (mut leader, effects) = begin(first, least);
        prop_assert_eq!(effects, [Effect::InSync]);
        for (ticket, op) in (0..).zip(ops) {
            let Some(input) = model.input(ticket, &op) else { continue };
            let (high, again) = (leader.high(), matches!(op, Op::Answer(Answer::Lost)));
            let mut effects = Vec::new();
            leader.step(Mono(model.now), input, &mut effects);
            if again {
                let expected = model.proposed.as_ref().map(|(proposal, _)| Effect::Propose(proposal.clone()));
                prop_assert_eq!(effects.first(), expected.as_ref());
                effects.remove(0);
            }
            let looked = matches!(op, Op::Fetch { .. } | Op::Inspect | Op::Remove(_) | Op::Answer(Answer::Accepted));
            if looked && model.lingering.as_ref().is_some_and(|(_, until)| *until <= model.now) {
                model.lingering = None;
            }
            model.check(&effects, &op)?;
            if looked && !model.lost && model.proposed.is_none() {
                prop_assert_eq!(model.wanted(), model.sorted(), "nobody proposes");
            }
            prop_assert_eq!((leader.end(), leader.high(), leader.flushed()), (model.end, model.committed, model.synced));
            let mut maximal = leader.in_sync().maximal().to_vec();
            maximal.sort();
            prop_assert_eq!(maximal, model.maximal());
            prop_assert!(leader.high() >= high, "the high watermark fell");
        }
    }
}
