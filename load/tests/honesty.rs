//! The generator measures what it is given to measure: servers whose latencies are known, on a clock that the test owns.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use broker::config::FlushPolicy;
use bytes::Bytes;
use harness::seed::{Draw, Seed};
use load::arrivals::{Arrivals, SECOND};
use load::clock::{Clock, Pacer};
use load::driver::Producer;
use load::machine::Used;
use load::outcome::{Checks, Course, Figures, Flag, Outcome};
use load::recorder::{Measured, Recorder, Timed};
use load::send::{Sent, Shared, send};
use load::silence::Silence;
use load::spec::{Drive, Spec};

const MS: u64 = 1_000_000;
/// When it begins to count, and when it ends: in a stall's beginning, both.
const FROM: u64 = 2 * SECOND;
const TO: u64 = 22 * SECOND;

/// A server without a queue: what is sent at a time is acknowledged at another.
struct Server<F> {
    clock: Clock,
    /// When a record that comes at a time is acknowledged, and on which lane.
    answers: F,
    /// What the producer itself takes for each record.
    takes: u64,
}

impl<F: Fn(u64) -> (u64, usize) + 'static> Producer for Server<F> {
    type Ack = Pin<Box<dyn Future<Output = bool>>>;

    async fn send(&self, _: Option<Bytes>, _: Bytes) -> Option<(usize, Self::Ack)> {
        if self.takes > 0 {
            self.clock.until(self.clock.now() + self.takes).await;
        }
        let (clock, (at, lane)) = (self.clock, (self.answers)(self.clock.now()));
        Some((
            lane,
            Box::pin(async move {
                clock.until(at).await;
                true
            }),
        ))
    }

    async fn flush(&self) {}
}

/// What the generator says of such a server.
fn measured(drive: Drive, takes: u64, answers: impl Fn(u64) -> (u64, usize) + 'static) -> (Recorder, Sent, Spec) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let spec = Spec { drive, record_bytes: 100, ..Spec::default() };
        let shared = Arc::new(Shared {
            run: 1,
            clock: Clock::start(),
            measured: Measured::default(),
            published: vec![Mutex::default()],
            read: Vec::new(),
            acks: Silence::default(),
            reads: Silence::default(),
        });
        shared.measured.set(FROM, TO);
        let server = Server { clock: shared.clock, answers, takes };
        let sent = send(server, 0, &spec, shared.clone(), &Pacer::Coarse, None).await.unwrap();
        let recorder = std::mem::take(&mut *Shared::locked(&shared.published[0]));
        (recorder, sent, spec)
    })
}

/// As a run would judge it.
fn judged(recorder: &Recorder, sent: &Sent, spec: &Spec) -> Outcome {
    let figures = Figures { counted: recorder.within(), seconds: 20.0, checks: Checks::default(), pages_us: [None; 2] };
    let mut outcome = Outcome::new(spec, "a test", Used::default(), Vec::new(), figures);
    let mut all = recorder.measured().clone();
    all.merge(sent.late.measured());
    outcome.timed(&all);
    outcome.judge(Course { steady: true, meant: sent.meant });
    outcome
}

fn open(rate: f64) -> Drive {
    Drive::Open { rate, arrivals: Arrivals::Fixed }
}

/// A millisecond, but in the second half of each second everything waits for its end.
fn stalls(now: u64) -> (u64, usize) {
    let within = now % SECOND;
    (if within < SECOND / 2 { now + MS } else { now - within + SECOND + MS }, 0)
}

#[test]
fn a_stall_is_seen_by_all_who_were_to_be_served_meanwhile() {
    let (recorder, sent, spec) = measured(open(1000.0), 0, stalls);
    let outcome = judged(&recorder, &sent, &spec);
    // Half of the records wait, evenly between nothing and 500 ms: at the quantile q, (q - 0.5) / 0.5 of that.
    let all = recorder.measured().of(Timed::Publish);
    for (quantile, theory) in [(0.6, 101_000.0), (0.75, 251_000.0), (0.9, 401_000.0), (0.99, 491_000.0)] {
        let found = f64::from(u32::try_from(all.value_at_quantile(quantile)).unwrap());
        assert!((found / theory - 1.0).abs() < 0.02, "{quantile}: {found} us, not {theory}");
    }
    assert!(all.value_at_quantile(0.49) < 3000);
    assert!(outcome.is_result(), "{outcome}");
    // Whoever waits for each answer before the next record meets one stall in a second, whatever it costs others.
    let (coordinated, ..) = measured(Drive::Closed { in_flight: 1 }, 0, stalls);
    assert!(coordinated.measured().of(Timed::Publish).value_at_quantile(0.99) < 3000);
}

#[test]
fn a_slow_generator_is_flagged() {
    // It takes 2 ms for each record, and 1,000 a second are asked for.
    let (recorder, sent, spec) = measured(open(1000.0), 2 * MS, |now| (now + MS, 0));
    let outcome = judged(&recorder, &sent, &spec);
    assert!(outcome.flags.iter().any(|flag| matches!(flag, Flag::MissedRate(part) if *part < 0.6)), "{outcome}");
    assert!(outcome.flags.iter().any(|flag| matches!(flag, Flag::GeneratorLate(_))), "{outcome}");
    assert!(!outcome.is_result());
    // One that keeps up is not.
    let (recorder, sent, spec) = measured(open(200.0), 2 * MS, |now| (now + 10 * MS, 0));
    assert_eq!(judged(&recorder, &sent, &spec).flags, []);
}

#[test]
fn a_known_distribution_is_recovered() {
    // Evenly between 200 and 1,200 ms, drawn anew for each record.
    let draw: Mutex<(Draw, usize)> = Mutex::new((Seed::new(5).draw(), 0));
    let answers = move |now: u64| {
        let mut of = draw.lock().unwrap();
        of.1 += 1;
        (now + of.0.between(200_000, 1_200_000) * 1000, of.1)
    };
    let (recorder, sent, spec) = measured(open(2000.0), 0, answers);
    let all = recorder.measured().of(Timed::Publish);
    assert_eq!(all.len(), 40_000);
    for (quantile, theory) in [(0.05, 250_000.0), (0.5, 700_000.0), (0.9, 1_100_000.0), (0.99, 1_190_000.0)] {
        let found = f64::from(u32::try_from(all.value_at_quantile(quantile)).unwrap());
        assert!((found / theory - 1.0).abs() < 0.01, "{quantile}: {found} us, not {theory}");
    }
    assert!((all.mean() / 700_000.0 - 1.0).abs() < 0.01, "{}", all.mean());
    assert!(judged(&recorder, &sent, &spec).is_result());
}

#[test]
fn more_acknowledgements_than_flushes_can_have_covered_are_no_durable_figure() {
    // 10,000 records in a second, 64 in flight: 157 flushes can have covered them, 70 cannot, whatever the clock cut off.
    let unflushed = |flush, flushes| {
        let spec = Spec { flush, drive: Drive::Closed { in_flight: 64 }, ..Spec::default() };
        let figures = Figures { counted: 10_000, seconds: 1.0, checks: Checks::default(), pages_us: [None; 2] };
        let used = Used { flushes, ..Used::default() };
        let mut outcome = Outcome::new(&spec, "a test", used, Vec::new(), figures);
        outcome.judge(Course { steady: true, meant: 10_000 });
        assert_eq!(outcome.is_result(), outcome.flags.is_empty());
        outcome.flags
    };
    assert_eq!(unflushed(FlushPolicy::Always, Some(157)), []);
    assert!(matches!(unflushed(FlushPolicy::Always, Some(70))[..], [Flag::Unflushed(each)] if each > 140.0));
    assert!(matches!(unflushed(FlushPolicy::Always, Some(0))[..], [Flag::Unflushed(_)]));
    // Nobody counts them, or none was asked for.
    assert_eq!(unflushed(FlushPolicy::Always, None), []);
    assert_eq!(unflushed(FlushPolicy::Never, Some(0)), []);
}

#[test]
fn what_other_guests_took_is_noise_as_what_others_here_took() {
    let flags = |foreign, steal| {
        let figures = Figures { counted: 10_000, seconds: 1.0, checks: Checks::default(), pages_us: [None; 2] };
        let used = Used { foreign, steal, ..Used::default() };
        let mut outcome = Outcome::new(&Spec::default(), "a test", used, Vec::new(), figures);
        outcome.judge(Course { steady: true, meant: 10_000 });
        outcome.flags
    };
    assert_eq!(flags(0.2, 0.0), []);
    assert_eq!(flags(0.0, 0.5), [Flag::Noise(0.5)]);
    assert_eq!(flags(0.25, 0.25), [Flag::Noise(0.5)]);
}
