//! Tests of the accumulator: the rules one by one, then random histories against a naive model.

use proptest::prelude::*;

use super::*;
use crate::client::outcome::{Failure, Kind, judge, judge_failure};

const MS: u64 = 1_000_000;

fn at(ms: u64) -> Mono {
    Mono(ms * MS)
}

fn rules(one_in_flight: bool) -> Rules {
    let backoff = Backoff { first: Duration::from_millis(10), most: Duration::from_millis(80) };
    Rules {
        batch_bytes: 100,
        linger: Duration::from_millis(5),
        one_in_flight,
        idempotent: None,
        retries: 1000,
        backoff,
    }
}

fn one(one_in_flight: bool) -> Accumulator<u32> {
    let mut acc = Accumulator::new(rules(one_in_flight));
    assert_eq!(acc.add_queue(), 0);
    acc
}

/// Begins a batch holding `name` and fills it, so that it is ready at once.
fn full(acc: &mut Accumulator<u32>, name: u32, deadline: u64) {
    acc.begin(0, name, at(0));
    acc.grew(0, 100, at(deadline));
}

fn ready(acc: &Accumulator<u32>, ms: u64) -> bool {
    acc.ready(at(ms)).next().is_some()
}

fn take(acc: &mut Accumulator<u32>) -> (u64, u32) {
    acc.take(0).map(|(id, _, name)| (id, *name)).expect("a batch waits")
}

fn refused() -> Judged {
    judge(Kind::Write, 19)
}

fn doubtful() -> Judged {
    judge_failure(Kind::Write, Failure::Reset)
}

#[test]
fn a_batch_lingers_until_it_is_full_or_its_time_has_come() {
    let mut acc = one(true);
    acc.begin(0, 1, at(0));
    acc.grew(0, 60, at(1000));
    assert!(!ready(&acc, 4));
    assert_eq!(acc.next_time(at(0)), Some(at(5)));
    assert!(ready(&acc, 5));
    assert!(acc.open(0).is_some());
    acc.grew(0, 60, at(1000));
    assert!(acc.open(0).is_none());
    assert!(ready(&acc, 0));
}

#[test]
fn hurry_sends_what_lingers() {
    let mut acc = one(true);
    acc.begin(0, 1, at(0));
    acc.grew(0, 1, at(1000));
    assert!(!ready(&acc, 0));
    acc.hurry(true);
    assert!(ready(&acc, 0));
}

#[test]
fn one_in_flight_mutes_the_partition_and_a_retry_goes_first() {
    let mut acc = one(true);
    full(&mut acc, 1, 1000);
    full(&mut acc, 2, 1000);
    let (id, name) = take(&mut acc);
    assert_eq!(name, 1);
    assert!(!ready(&acc, 500));
    assert!(matches!(acc.attempted(id, doubtful(), at(1), 200), After::Again(Retry::Refresh)));
    assert!(!ready(&acc, 10), "the retry is backing off, and nothing may overtake it");
    assert!(ready(&acc, 11));
    assert_eq!(take(&mut acc).1, 1);
}

#[test]
fn several_in_flight_go_out_together_and_come_back_in_order() {
    let mut acc = one(false);
    for name in 1..=3 {
        full(&mut acc, name, 1000);
    }
    let (first, second) = (take(&mut acc).0, take(&mut acc).0);
    acc.attempted(second, refused(), at(0), 0);
    acc.attempted(first, refused(), at(0), 0);
    assert_eq!([take(&mut acc).1, take(&mut acc).1, take(&mut acc).1], [1, 2, 3]);
}

#[test]
fn a_doubtful_attempt_taints_a_later_refusal() {
    let mut acc = one(true);
    full(&mut acc, 1, 1000);
    let id = take(&mut acc).0;
    acc.attempted(id, doubtful(), at(0), 0);
    take(&mut acc);
    assert!(matches!(acc.attempted(id, judge(Kind::Write, 10), at(20), 0), After::Done(1, Outcome::Info, 10)));
}

#[test]
fn a_refusal_alone_is_definite() {
    let mut acc = one(true);
    full(&mut acc, 1, 1000);
    let id = take(&mut acc).0;
    acc.attempted(id, refused(), at(0), 0);
    take(&mut acc);
    assert!(matches!(acc.attempted(id, judge(Kind::Write, 10), at(20), 0), After::Done(1, Outcome::Fail, 10)));
}

#[test]
fn expiry_knows_whether_the_batch_was_ever_sent() {
    let mut acc = one(true);
    full(&mut acc, 1, 50);
    full(&mut acc, 2, 50);
    full(&mut acc, 3, 60);
    let id = take(&mut acc).0;
    assert_eq!(acc.next_time(at(0)), Some(at(50)));
    let mut given_up = acc.expire(at(50));
    given_up.sort_by_key(|(name, _)| *name);
    assert_eq!(given_up, [(1, Outcome::Info), (2, Outcome::Fail)]);
    assert!(!ready(&acc, 50), "the partition stays muted until the answer or the connection's end");
    assert!(matches!(acc.attempted(id, judge(Kind::Write, 0), at(55), 0), After::Late));
    assert!(ready(&acc, 55));
    assert_eq!(acc.abandon(), [(3, Outcome::Fail)]);
    assert!(acc.is_empty());
}

#[test]
fn retries_can_be_spent() {
    let mut acc = Accumulator::new(Rules { retries: 0, ..rules(true) });
    acc.add_queue();
    full(&mut acc, 1, 1000);
    let id = take(&mut acc).0;
    assert!(matches!(acc.attempted(id, doubtful(), at(0), 0), After::Done(1, Outcome::Info, outcome::RESET)));
}

/// One partition, one in flight, as naively as can be: a list of batches that are neither done nor given up, in order.
#[derive(Default)]
struct Naive {
    waiting: Vec<Named>,
    out: Option<(u64, Option<Named>)>,
}

/// A batch's name, its deadline in ms, and whether an attempt at it ended in doubt.
type Named = (u32, u64, bool);

#[derive(Clone, Debug)]
enum Step {
    Full { lives: u64 },
    Take,
    Answer { code: i16 },
    Lose,
    Pass { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..200_u64).prop_map(|lives| Step::Full { lives }),
        Just(Step::Take),
        prop::sample::select(vec![0, 0, 6, 7, 10, 19, 20, 999]).prop_map(|code| Step::Answer { code }),
        Just(Step::Lose),
        (0..60_u64).prop_map(|ms| Step::Pass { ms }),
    ]
}

struct Pair {
    real: Accumulator<u32>,
    naive: Naive,
    now: u64,
    names: u32,
}

impl Pair {
    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Full { lives } => {
                self.names += 1;
                full(&mut self.real, self.names, self.now + lives);
                self.naive.waiting.push((self.names, self.now + lives, false));
            }
            Step::Take => self.take(),
            Step::Answer { code } => self.answer(judge(Kind::Write, code)),
            Step::Lose => self.answer(doubtful()),
            Step::Pass { ms } => self.pass(ms),
        }
    }

    fn take(&mut self) {
        if !ready(&self.real, self.now) {
            return;
        }
        assert!(self.naive.out.is_none(), "a second batch of a muted partition went out");
        let (id, name) = take(&mut self.real);
        let first = self.naive.waiting.remove(0);
        assert_eq!(name, first.0, "the oldest goes first");
        self.naive.out = Some((id, Some(first)));
    }

    fn answer(&mut self, judged: Judged) {
        let Some((id, batch)) = self.naive.out.take() else { return };
        let after = self.real.attempted(id, judged, at(self.now), 200);
        let Some((name, deadline, tainted)) = batch else {
            return assert!(matches!(after, After::Late));
        };
        if judged.outcome != Outcome::Ok && judged.retry != Retry::No {
            assert!(matches!(after, After::Again(_)));
            let doubt = tainted || judged.outcome == Outcome::Info;
            return self.naive.waiting.insert(0, (name, deadline, doubt));
        }
        let After::Done(done, outcome, code) = after else { panic!("expected an end, got {after:?}") };
        assert_eq!((done, code), (name, judged.code));
        let expected = if tainted && judged.outcome == Outcome::Fail { Outcome::Info } else { judged.outcome };
        assert_eq!(outcome, expected);
    }

    fn pass(&mut self, ms: u64) {
        self.now += ms;
        let mut given_up = self.real.expire(at(self.now));
        given_up.sort_by_key(|(name, _)| *name);
        let mut expected = Vec::new();
        for (name, deadline, doubt) in std::mem::take(&mut self.naive.waiting) {
            match deadline <= self.now {
                true => expected.push((name, if doubt { Outcome::Info } else { Outcome::Fail })),
                false => self.naive.waiting.push((name, deadline, doubt)),
            }
        }
        if let Some((_, out)) = &mut self.naive.out
            && let Some((name, ..)) = out.take_if(|out| out.1 <= self.now)
        {
            expected.push((name, Outcome::Info));
        }
        expected.sort_by_key(|(name, _)| *name);
        assert_eq!(given_up, expected);
    }
}

proptest! {
    #[test]
    fn agrees_with_the_naive_model(steps in prop::collection::vec(step(), 0..120)) {
        let mut pair = Pair { real: one(true), naive: Naive::default(), now: 0, names: 0 };
        for step in &steps {
            pair.apply(step);
        }
        // Time always brings an end: whatever is left expires, and nothing is forgotten.
        pair.pass(1000);
        prop_assert!(pair.real.is_empty());
        prop_assert!(pair.naive.waiting.is_empty());
    }
}

#[cfg(feature = "planted")]
#[test]
fn the_planted_reordering_lets_a_younger_batch_pass() {
    let before = broker::planted::activate(Some(Defect::PrReorderRetry));
    let mut acc = one(true);
    full(&mut acc, 1, 1000);
    full(&mut acc, 2, 1000);
    let id = take(&mut acc).0;
    acc.attempted(id, refused(), at(0), 0);
    assert_eq!(take(&mut acc).1, 2);
    broker::planted::activate(before);
}
