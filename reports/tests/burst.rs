//! What the capacity model predicts of a burst, beside the same burst on virtual time: how far a group of consumers that take
//! so long for each record falls behind, when it has caught up, and where it is in between.

use std::collections::BTreeMap;

use harness::group_load::GroupLoad;
use harness::history::{Call, Event, GroupStep, Kind, Outcome, Reply, TpId};
use harness::run::{RunSpec, run};
use harness::scenario::{Load, Scenario, Setup, Times};
use harness::seed::Draw;
use harness::verdict::Verdict;
use reports::capacity::Burst;
use reports::capacity::unit::Amount;

/// Prediction and simulation differ by no more than this part of what was predicted. It knows nothing of fetches, nor that one
/// member's partitions are drawn more often than another's and are drained last.
const WITHIN: f64 = 0.1;
/// From one look to the next, in nanoseconds.
const EVERY: u64 = 50_000_000;

/// One shape of a burst.
#[derive(Clone, Copy)]
struct Shape {
    members: u32,
    partitions: i32,
    /// What a member takes for a record, in microseconds.
    work_us: u64,
    /// Records a second, before and after.
    rate: u64,
    /// So many times as much during the burst.
    factor: u32,
    /// Begins and ends so long after the first record, in milliseconds.
    at_ms: (u64, u64),
    /// The load goes on for so long, in milliseconds.
    load_ms: u64,
}

const ALONE: Shape =
    Shape { members: 1, partitions: 1, work_us: 5000, rate: 80, factor: 10, at_ms: (1500, 3500), load_ms: 16_000 };
const THREE: Shape =
    Shape { members: 3, partitions: 6, work_us: 4000, rate: 250, factor: 6, at_ms: (1500, 9500), load_ms: 24_000 };
const FOUR: Shape =
    Shape { members: 4, partitions: 4, work_us: 8000, rate: 125, factor: 8, at_ms: (2000, 10_000), load_ms: 26_000 };

fn setup(shape: Shape) -> Setup {
    let mut setup = Setup::one_topic("orders", shape.partitions);
    setup.times = Times { steady_ms: 500, strikes_ms: shape.load_ms };
    setup.latency_ms = (1, 2);
    let group = GroupLoad {
        members: shape.members,
        work_us: (shape.work_us, shape.work_us),
        commit_ms: 100,
        session_ms: 6000,
        max_poll_ms: 60_000,
        ..GroupLoad::default()
    };
    setup.load = Load {
        rate: shape.rate,
        spike_factor: shape.factor,
        spike_ms: shape.at_ms,
        // To any partition alike.
        keyless_per_mille: 1000,
        naming_per_mille: 1000,
        value_bytes: (40, 80),
        // A poll's records are worked on for a tenth of a second or so: much longer than it takes to fetch them, and much
        // shorter than the burst, since what a member is at is not processed yet.
        fetch_bytes: 4 << 10,
        tailers: 0,
        groups: vec![group],
        ..setup.load
    };
    setup
}

/// What the model makes of the shape.
fn predicted(shape: Shape) -> Burst {
    let [rate, factor, members, work_us] =
        [shape.rate, shape.factor.into(), shape.members.into(), shape.work_us].map(|n| n as f64);
    Burst {
        base: Amount::new(rate),
        rate: Amount::new(rate * factor),
        lasts: Amount::new((shape.at_ms.1 - shape.at_ms.0) as f64 / 1e3),
        pace: Amount::new(members * 1e6 / work_us),
    }
}

/// A fold over a run: what was acknowledged and not processed yet, looked at every so often.
#[derive(Default)]
struct Lag {
    sends: BTreeMap<u64, TpId>,
    ends: BTreeMap<TpId, i64>,
    done: BTreeMap<TpId, i64>,
    /// When the first record was sent.
    first: Option<u64>,
    next: u64,
    looks: Vec<(u64, i64)>,
}

impl Lag {
    fn see(&mut self, event: &Event) {
        while event.at >= self.next {
            let lag = self.ends.iter().map(|(tp, end)| end - self.done.get(tp).copied().unwrap_or(0)).sum();
            self.looks.push((self.next, lag));
            self.next += EVERY;
        }
        match &event.kind {
            Kind::Call { op, call: Call::Send { tp, .. }, .. } => {
                self.first.get_or_insert(event.at);
                self.sends.insert(*op, *tp);
            }
            Kind::Return { op, outcome: Outcome::Ok, reply: Reply::Sent { offset }, .. } => {
                let sent = self.sends.remove(op);
                sent.into_iter().for_each(|tp| *self.ends.entry(tp).or_default() += i64::from(*offset >= 0));
            }
            Kind::Group(member) => {
                if let GroupStep::Processed { tp, position } = member.what {
                    let done = self.done.entry(tp).or_default();
                    *done = (*done).max(position);
                }
            }
            _ => {}
        }
    }
}

fn near(what: &str, predicted: f64, seen: f64) {
    let off = (seen / predicted - 1.0) * 100.0;
    println!("{what}: predicted {predicted:.1}, seen {seen:.1}, {off:+.1} %");
    assert!(off.abs() <= WITHIN * 100.0, "{what}: predicted {predicted:.1}, seen {seen:.1}, {off:+.1} %");
}

fn as_predicted(shape: Shape, draws: fn(&mut Draw) -> Setup) {
    let burst = predicted(shape);
    let scenario: &'static Scenario =
        Box::leak(Box::new(Scenario { name: "burst", about: "as the capacity model has it", setup: draws }));
    for seed in 0..3 {
        let mut lag = Lag::default();
        let report = run(&RunSpec::new(scenario, seed), Some(&mut |event| lag.see(event)));
        assert_ne!(report.verdict, Verdict::Fail, "seed {seed}: {:?}", report.findings);
        let first = lag.first.expect("records were sent");
        let [begin, end] = [shape.at_ms.0, shape.at_ms.1].map(|ms| first + ms * 1_000_000);
        let seconds = |ns: u64| ns as f64 / 1e9;
        let most = lag.looks.iter().map(|(_, lag)| *lag).max().unwrap_or(0);
        near("records behind at most", burst.peak_lag().get(), most as f64);
        // As a monitor shows it, which counts what is committed.
        near("by commits", burst.peak_lag().get(), report.groups[0].lag_max as f64);
        let calm = lag.looks.iter().filter(|(at, _)| *at < begin).map(|(_, lag)| *lag).max().unwrap_or(0);
        let over = lag.looks.iter().find(|(at, lag)| *at > end && *lag <= calm).expect("it catches up");
        near("seconds until caught up", burst.drain().get(), seconds(over.0 - end));
        let off = lag.looks.iter().filter(|(at, _)| (begin..over.0).contains(at)).map(|(at, lag)| {
            (*lag as f64 - burst.lag_at(Amount::new(seconds(at - begin))).get()).abs() / burst.peak_lag().get()
        });
        let off = off.fold(0.0, f64::max);
        println!("in between off by {:.1} % of the most", off * 100.0);
        assert!(off <= WITHIN, "seed {seed}: the lag is off by {:.1} % of the most", off * 100.0);
    }
}

#[test]
fn one_consumer() {
    as_predicted(ALONE, |_| setup(ALONE));
}

#[test]
fn three_consumers_of_six_partitions() {
    as_predicted(THREE, |_| setup(THREE));
}

#[test]
fn four_consumers_and_eight_times_the_load() {
    as_predicted(FOUR, |_| setup(FOUR));
}
