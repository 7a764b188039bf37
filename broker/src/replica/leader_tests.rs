//! The leader against a model that keeps every append and recomputes everything.

use proptest::prelude::*;

use super::leader::{Beginning, Effect, Input, Leader, Waiting};
use crate::config::FlushPolicy;
use crate::controller::partition::PartitionState;
use crate::env::Mono;
use crate::ids::{NodeId, Offset};

#[derive(Clone, Debug)]
enum Op {
    Append {
        records: u64,
        waits: Option<u64>,
    },
    /// A batch comes again that ends so much before the log's end.
    Repeat {
        back: i64,
        wait: u64,
    },
    /// The fsync under way returns; it covered what was appended when it began.
    SyncEnds {
        ok: bool,
    },
    Wait(u64),
    Policy(FlushPolicy),
    /// A failed write took so many uncommitted records along at most.
    Reopen {
        cut: i64,
    },
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
    let op = prop_oneof![
        6 => (1u64..5, prop::option::of(0u64..20)).prop_map(|(records, waits)| Op::Append { records, waits }),
        2 => (0i64..8, 0u64..20).prop_map(|(back, wait)| Op::Repeat { back, wait }),
        4 => prop::bool::weighted(0.97).prop_map(|ok| Op::SyncEnds { ok }),
        2 => (1u64..15).prop_map(Op::Wait),
        1 => policies().prop_map(Op::Policy),
        1 => (0i64..6).prop_map(|cut| Op::Reopen { cut }),
    ];
    prop::collection::vec(op, 1..60)
}

/// Everything that happened, and nothing derived.
struct Model {
    policy: FlushPolicy,
    now: u64,
    end: Offset,
    synced: Offset,
    /// What the fsync under way covers.
    syncing: Option<Offset>,
    /// The highest the committed offset ever was.
    committed: Offset,
    lost: bool,
    /// (ticket, end offset, deadline), those not answered.
    waiting: Vec<(u64, Offset, u64)>,
}

impl Model {
    fn commit(&mut self) {
        let reached = if self.policy == FlushPolicy::Always { self.synced } else { self.end };
        if !self.lost {
            self.committed = self.committed.max(reached);
        }
    }

    /// Takes the answers given and checks each.
    fn check(&mut self, effects: &[Effect], input: &Op) -> Result<(), TestCaseError> {
        for effect in effects {
            match effect.clone() {
                Effect::TooFew(_) | Effect::Propose(_) | Effect::InSync => prop_assert!(false, "it is alone"),
                Effect::Flush => {
                    prop_assert_eq!(self.syncing, None, "two fsyncs at once");
                    prop_assert!(!self.lost && self.synced < self.end);
                    self.syncing = Some(self.end);
                }
                Effect::FlushWithin(_) => prop_assert!(matches!(self.policy, FlushPolicy::Millis(_))),
                Effect::HighWatermark(high) => prop_assert_eq!(high, self.committed),
                Effect::Ack { ticket, replicas } => {
                    prop_assert_eq!(replicas, 1);
                    let at = self.waiting.iter().position(|w| w.0 == ticket).expect("an answer to nobody");
                    let (_, end, _) = self.waiting.remove(at);
                    prop_assert!(end <= self.committed && !self.lost);
                }
                Effect::TimedOut(ticket) => {
                    let at = self.waiting.iter().position(|w| w.0 == ticket).expect("an answer to nobody");
                    prop_assert!(self.waiting.remove(at).2 <= self.now);
                    prop_assert!(matches!(input, Op::Wait(_)));
                }
                Effect::Lost(ticket) => {
                    let at = self.waiting.iter().position(|w| w.0 == ticket).expect("an answer to nobody");
                    let (_, end, _) = self.waiting.remove(at);
                    prop_assert!(self.lost || end > self.end);
                }
            }
        }
        // Nobody waits who need not; one whose batch came again waits for the disk under a policy that is new since.
        let reached = if self.policy == FlushPolicy::Always { self.synced } else { self.end };
        let due = |w: &&(u64, Offset, u64)| (w.1 <= self.committed && reached >= self.committed) || self.lost;
        prop_assert_eq!(self.waiting.iter().find(due), None);
        if self.policy == FlushPolicy::Always && !self.lost && self.synced < self.end {
            prop_assert!(self.syncing.is_some(), "nobody syncs");
        }
        Ok(())
    }
}

/// The only replica of a partition whose log ends at `end`, all of it durable.
fn alone(end: Offset, policy: FlushPolicy) -> Leader {
    let me = NodeId(0);
    let state = PartitionState { leader: Some(me), replicas: vec![me], in_sync: vec![me], ..PartitionState::default() };
    let lag = std::time::Duration::from_secs(30);
    let begin = Beginning { me, now: Mono(0), end, flushed: end, high: 0, policy, least: 1, lag };
    Leader::new(&begin, &state, &mut Vec::new())
}

proptest! {
    #[test]
    fn agrees_with_the_model(first in policies(), ops in ops()) {
        let mut leader = alone(10, first);
        let mut model = Model {
            policy: first, now: 0, end: 10, synced: 10, syncing: None, committed: 10, lost: false, waiting: Vec::new(),
        };
        for (ticket, op) in (0..).zip(ops) {
            let input = match &op {
                Op::Append { records, waits } => {
                    model.end += i64::try_from(*records).unwrap();
                    let waiting = waits.map(|wait| {
                        model.waiting.push((ticket, model.end, model.now + wait));
                        Waiting { ticket, all: true, deadline: Mono(model.now + wait) }
                    });
                    Input::Appended { end: model.end, records: *records, waiting }
                }
                Op::Repeat { back, wait } => {
                    let end = (model.end - back).max(1);
                    model.waiting.push((ticket, end, model.now + wait));
                    Input::Duplicate { end, waiting: Waiting { ticket, all: true, deadline: Mono(model.now + wait) } }
                }
                Op::SyncEnds { ok } => {
                    let Some(upto) = model.syncing.take() else { continue };
                    if *ok {
                        model.synced = model.synced.max(upto);
                        Input::Flushed { upto }
                    } else {
                        model.lost = true;
                        Input::Lost
                    }
                }
                Op::Wait(by) => {
                    model.now += by;
                    Input::Tick
                }
                Op::Reopen { cut } => {
                    if model.syncing.is_some() {
                        continue;
                    }
                    model.end = (model.end - cut).max(model.committed);
                    model.synced = model.end;
                    Input::Reopened { end: model.end }
                }
                Op::Policy(policy) => {
                    model.policy = *policy;
                    Input::Policy { flush: *policy, least: 1 }
                }
            };
            let high = leader.high();
            let mut effects = Vec::new();
            leader.step(Mono(model.now), input, &mut effects);
            model.commit();
            model.check(&effects, &op)?;
            prop_assert_eq!((leader.end(), leader.high(), leader.flushed()), (model.end, model.committed, model.synced));
            prop_assert!(leader.high() >= high, "the high watermark fell");
        }
    }
}

#[test]
fn appends_during_an_fsync_share_the_next_one() {
    let mut leader = alone(0, FlushPolicy::Always);
    let mut effects = Vec::new();
    for ticket in 0..3 {
        let waiting = Some(Waiting { ticket, all: true, deadline: Mono(9) });
        let end = i64::try_from(ticket).unwrap() + 1;
        leader.step(Mono(0), Input::Appended { end, records: 1, waiting }, &mut effects);
    }
    assert_eq!(effects, [Effect::Flush]);
    effects.clear();
    leader.step(Mono(0), Input::Flushed { upto: 1 }, &mut effects);
    assert_eq!(effects, [Effect::HighWatermark(1), Effect::Ack { ticket: 0, replicas: 1 }, Effect::Flush]);
    effects.clear();
    leader.step(Mono(0), Input::Flushed { upto: 3 }, &mut effects);
    assert_eq!(effects, [Effect::HighWatermark(3), Effect::Ack { ticket: 1, replicas: 1 }, Effect::Ack { ticket: 2, replicas: 1 }]);
}
