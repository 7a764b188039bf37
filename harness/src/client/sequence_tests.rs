//! An idempotent producer against a broker that keeps its promises, over a network that keeps none: answers are lost,
//! requests come late or not at all, batches are given up. Every record is stored at most once and in order, what is
//! reported stored is, and what is reported lost never comes up.

use broker::ids::Offset;
use broker::log::producers::{Producers, Verdict};
use broker::record::Header;
use proptest::prelude::*;

use super::*;
use crate::client::outcome::{Failure, Kind, judge, judge_failure};

const MS: u64 = 1_000_000;
const WINDOW: usize = 5;

fn at(ms: u64) -> Mono {
    Mono(ms * MS)
}

fn rules() -> Rules {
    let backoff = Backoff { first: Duration::from_millis(5), most: Duration::from_millis(20) };
    let (linger, retries) = (Duration::ZERO, u32::MAX - 1);
    Rules { batch_bytes: 100, linger, one_in_flight: false, idempotent: Some(WINDOW), retries, backoff }
}

fn producer(queues: usize) -> Accumulator<u32> {
    let mut acc = Accumulator::new(rules());
    for queue in 0..queues {
        assert_eq!(acc.add_queue(), queue);
    }
    acc
}

fn full(acc: &mut Accumulator<u32>, queue: usize, name: u32, deadline: u64) {
    acc.begin(queue, name, at(0));
    acc.grew(queue, 100, at(deadline));
}

fn take(acc: &mut Accumulator<u32>, queue: usize, now: u64) -> Option<(u64, Stamp)> {
    if !acc.is_ready(queue, at(now)) {
        return None;
    }
    acc.take(queue).map(|(id, stamp, _)| (id, stamp.expect("an idempotent producer numbers its batches")))
}

fn answered(acc: &mut Accumulator<u32>, id: u64, code: i16, now: u64) -> After<u32> {
    acc.attempted(id, judge(Kind::Write, code), at(now), 200)
}

fn numbers(taken: Option<(u64, Stamp)>) -> Option<(i16, i32)> {
    taken.map(|(_, stamp)| (stamp.identity.1, stamp.first))
}

/// One partition with its first batch acknowledged.
fn proven() -> Accumulator<u32> {
    let mut acc = producer(1);
    assert!(acc.wants_identity());
    full(&mut acc, 0, 0, 1000);
    assert_eq!(take(&mut acc, 0, 0), None, "nothing goes out without an identity");
    acc.identify((7, 0));
    let (id, _) = take(&mut acc, 0, 0).unwrap();
    full(&mut acc, 0, 1, 1000);
    assert_eq!(take(&mut acc, 0, 0), None, "nor a second one before the first is acknowledged");
    assert!(matches!(answered(&mut acc, id, 0, 0), After::Done(0, Outcome::Ok, 0)));
    acc
}

#[test]
fn what_comes_too_early_goes_again_after_the_older_one_with_its_number() {
    let mut acc = proven();
    full(&mut acc, 0, 2, 1000);
    let (one, two) = (take(&mut acc, 0, 0).unwrap(), take(&mut acc, 0, 0).unwrap());
    assert_eq!((one.1.first, two.1.first), (1, 2));
    answered(&mut acc, one.0, 19, 0);
    answered(&mut acc, two.0, 45, 0);
    assert_eq!(take(&mut acc, 0, 100), Some(one));
    assert_eq!(take(&mut acc, 0, 100), None);
    answered(&mut acc, one.0, 0, 100);
    assert_eq!(take(&mut acc, 0, 100), Some(two));
}

#[test]
fn after_a_gap_the_epoch_goes_up_once_everything_old_has_ended() {
    let mut acc = proven();
    full(&mut acc, 0, 2, 2000);
    full(&mut acc, 0, 3, 2000);
    let taken: Vec<_> = (0..3).map(|_| take(&mut acc, 0, 0).unwrap()).collect();
    assert_eq!(acc.expire(at(1000)), [(1, Outcome::Info)]);
    full(&mut acc, 0, 4, 3000);
    assert_eq!(take(&mut acc, 0, 1000), None, "old numbers are out still");
    acc.attempted(taken[0].0, judge_failure(Kind::Write, Failure::Reset), at(1000), 200);
    answered(&mut acc, taken[1].0, 45, 1000);
    assert_eq!(take(&mut acc, 0, 1100), None, "the third is out still");
    // Its fate is unknown: it must not be numbered anew.
    acc.attempted(taken[2].0, judge_failure(Kind::Write, Failure::Reset), at(1100), 200);
    assert_eq!(take(&mut acc, 0, 1200), Some(taken[2]));
    assert!(matches!(answered(&mut acc, taken[2].0, 45, 1200), After::Done(3, Outcome::Info, 45)));
    assert_eq!(numbers(take(&mut acc, 0, 1200)), Some((1, 0)));
    assert_eq!(numbers(take(&mut acc, 0, 1200)), None);
}

#[test]
fn every_partition_begins_again_in_the_new_epoch_and_a_used_up_id_is_changed() {
    let mut acc = producer(2);
    acc.identify((7, i16::MAX - 1));
    for queue in 0..2 {
        full(&mut acc, queue, 0, 1000);
        let (id, _) = take(&mut acc, queue, 0).unwrap();
        answered(&mut acc, id, 0, 0);
        full(&mut acc, queue, 1, 1000);
    }
    let (id, _) = take(&mut acc, 0, 0).unwrap();
    assert!(matches!(answered(&mut acc, id, 10, 0), After::Done(1, Outcome::Fail, 10)));
    let (other, stamp) = take(&mut acc, 1, 0).unwrap();
    assert_eq!((stamp.identity, stamp.first), ((7, i16::MAX), 0));
    assert!(!acc.wants_identity());
    answered(&mut acc, other, 10, 0);
    assert!(acc.wants_identity());
}

/// A request on its way, or whose answer is.
#[derive(Clone, Debug)]
struct Sent {
    id: u64,
    queue: usize,
    stamp: Stamp,
    name: u32,
    /// The broker's answer, once it arrived there.
    code: Option<i16>,
}

#[derive(Clone, Debug)]
enum Step {
    Full {
        queue: usize,
        lives: u64,
    },
    Take {
        queue: usize,
    },
    /// The oldest request that has not arrived yet arrives, and is refused for another reason if `refused`.
    Arrive {
        refused: bool,
    },
    /// The oldest answer comes.
    Answer,
    /// The connection ends; what has not arrived may still, later.
    Reset,
    /// What was sent on a connection that ended arrives.
    Late {
        pick: u8,
    },
    Pass {
        ms: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..2usize, 1..300_u64).prop_map(|(queue, lives)| Step::Full { queue, lives }),
        8 => (0..2usize).prop_map(|queue| Step::Take { queue }),
        8 => prop::bool::weighted(0.1).prop_map(|refused| Step::Arrive { refused }),
        6 => Just(Step::Answer),
        1 => Just(Step::Reset),
        2 => any::<u8>().prop_map(|pick| Step::Late { pick }),
        4 => (0..40_u64).prop_map(|ms| Step::Pass { ms }),
    ]
}

struct World {
    acc: Accumulator<u32>,
    now: u64,
    names: u32,
    ids: i64,
    wire: VecDeque<Sent>,
    late: Vec<Sent>,
    known: [Producers; 2],
    /// Producer id and name of what is stored.
    logs: [Vec<(i64, u32)>; 2],
    failed: Vec<u32>,
}

impl World {
    fn new() -> Self {
        let known = [Producers::at(0), Producers::at(0)];
        let (wire, late, logs, failed) = (VecDeque::new(), Vec::new(), [Vec::new(), Vec::new()], Vec::new());
        Self { acc: producer(2), now: 0, names: 0, ids: 0, wire, late, known, logs, failed }
    }

    fn store(&mut self, sent: &Sent) -> i16 {
        let (known, log) = (&mut self.known[sent.queue], &mut self.logs[sent.queue]);
        let header = Header {
            base_offset: Offset::try_from(log.len()).unwrap(),
            size: 61,
            leader_epoch: 0,
            crc: 0,
            attributes: 0,
            last_offset_delta: 0,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id: sent.stamp.identity.0,
            producer_epoch: sent.stamp.identity.1,
            base_sequence: sent.stamp.first,
            count: 1,
        };
        match known.check(&header, 0) {
            Verdict::New => {
                known.note(&header, 0);
                log.push((sent.stamp.identity.0, sent.name));
                0
            }
            Verdict::Duplicate(_) => 0,
            Verdict::OutOfOrder => 45,
            Verdict::OldEpoch => 47,
        }
    }

    fn end(&mut self, sent: &Sent, judged: Judged) {
        if let After::Done(name, outcome, _) = self.acc.attempted(sent.id, judged, at(self.now), 200) {
            assert_eq!(name, sent.name);
            self.ended(sent.queue, name, outcome);
        }
    }

    fn ended(&mut self, queue: usize, name: u32, outcome: Outcome) {
        match outcome {
            Outcome::Ok => assert!(self.has(queue, name), "{name} is acknowledged and not stored"),
            Outcome::Fail => self.failed.push(name),
            Outcome::Info => {}
        }
    }

    fn apply(&mut self, step: &Step) {
        if self.acc.wants_identity() {
            self.ids += 1;
            self.acc.identify((self.ids, i16::MAX - 2));
        }
        match *step {
            Step::Full { queue, lives } => {
                self.names += 1;
                full(&mut self.acc, queue, self.names, self.now + lives);
            }
            Step::Take { queue } if self.wire.len() < WINDOW && self.acc.is_ready(queue, at(self.now)) => {
                let (id, stamp, name) = self.acc.take(queue).map(|(id, stamp, name)| (id, stamp, *name)).unwrap();
                self.wire.push_back(Sent { id, queue, stamp: stamp.unwrap(), name, code: None });
            }
            Step::Take { .. } => {}
            Step::Arrive { refused } => {
                let Some(next) = self.wire.iter().position(|sent| sent.code.is_none()) else { return };
                let sent = self.wire[next].clone();
                self.wire[next].code = Some(if refused { 19 } else { self.store(&sent) });
            }
            Step::Answer => {
                if let Some(sent) = self.wire.pop_front_if(|sent| sent.code.is_some()) {
                    self.end(&sent, judge(Kind::Write, sent.code.unwrap()));
                }
            }
            Step::Reset => {
                for sent in std::mem::take(&mut self.wire) {
                    self.end(&sent, judge_failure(Kind::Write, Failure::Reset));
                    self.late.extend(sent.code.is_none().then_some(sent));
                }
            }
            Step::Late { pick } => {
                if !self.late.is_empty() {
                    // Each partition's in the order sent, as TCP has it.
                    let queue = self.late[usize::from(pick) % self.late.len()].queue;
                    let first = self.late.iter().position(|sent| sent.queue == queue).unwrap();
                    let sent = self.late.remove(first);
                    self.store(&sent);
                }
            }
            Step::Pass { ms } => {
                self.now += ms;
                for (name, outcome) in self.acc.expire(at(self.now)) {
                    self.ended(0, name, outcome);
                }
            }
        }
    }

    fn has(&self, queue: usize, name: u32) -> bool {
        self.logs[queue].iter().any(|(_, stored)| *stored == name)
    }

    /// Order is promised within one id: what comes late of a used-up one is not fenced by the next.
    fn check(&self) -> Result<(), TestCaseError> {
        for log in &self.logs {
            let mut names: Vec<u32> = log.iter().map(|(_, name)| *name).collect();
            names.sort_unstable();
            prop_assert!(names.is_sorted_by(|a, b| a < b), "twice: {:?}", log);
            for id in 0..=self.ids {
                let of_id = log.iter().filter(|(other, _)| *other == id);
                prop_assert!(of_id.is_sorted_by(|a, b| a.1 < b.1), "out of order: {:?}", log);
            }
        }
        let lost = self.failed.iter().find(|name| self.has(0, **name) || self.has(1, **name));
        prop_assert_eq!(lost, None, "reported as surely not stored");
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_record_is_stored_once_and_in_order(steps in prop::collection::vec(step(), 0..200)) {
        let mut world = World::new();
        for step in &steps {
            world.apply(step);
            world.check()?;
        }
        // A network that works again brings an end to everything, and lets new records through.
        world.apply(&Step::Reset);
        world.names += 2;
        let fresh = world.names;
        full(&mut world.acc, 0, fresh - 1, world.now + 100_000);
        full(&mut world.acc, 1, fresh, world.now + 100_000);
        for _ in 0..2000 {
            for queue in 0..2 {
                world.apply(&Step::Take { queue });
            }
            world.apply(&Step::Arrive { refused: false });
            world.apply(&Step::Answer);
            world.apply(&Step::Pass { ms: 10 });
        }
        world.check()?;
        prop_assert!(world.acc.is_empty());
        let last = [&world.logs[0], &world.logs[1]].map(|log| log.last().map(|(_, name)| *name));
        prop_assert_eq!(last, [Some(fresh - 1), Some(fresh)]);
    }
}
