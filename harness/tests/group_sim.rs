//! Our subscribing consumer on a simulated cluster of three whose brokers crash and are cut off, members coming and going
//! meanwhile: nobody reads what another owns, no member begins before an acknowledged commit, and every record that was
//! acknowledged is handed out by the end.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use broker::config::GroupConfig as Coordination;
use broker::env::Env;
use broker::ids::TopicPartition;
use harness::client::consumer::{ConsumerConfig, OutOfRange};
use harness::client::group::assign::Assignor;
use harness::client::group::config::{GroupConfig, Topics};
use harness::client::group::consumer::{Got, GroupConsumer};
use harness::client::group::watch::OnTape;
use harness::client::{Client, Settings};
use harness::history::{Call, Event, GroupStep, Kind, Outcome, Phase, Reply, TpId};
use harness::plan::Target;
use harness::run::{Guest, RunSpec, Stage, run_with};
use harness::scenario::{Menace, Scenario, Setup};
use harness::sim::env::SimEnv;

static SCENARIO: Scenario = Scenario { name: "group_sim", about: "a group through crashes and cuts", setup };

const MEMBERS: u32 = 3;
/// Members come and go for so long, in nanoseconds of the run. Brokers are harmed a while longer.
const CHURN_NS: u64 = 5_000_000_000;
/// What was acknowledged by then is handed out by the end of the run, which is some seconds later.
const DUE_NS: u64 = 4_000_000_000;

fn setup(_: &mut harness::seed::Draw) -> Setup {
    let mut setup = Setup::three_brokers("orders", 4);
    let ms = Duration::from_millis;
    setup.broker.groups = Coordination {
        initial_rebalance_delay: ms(50),
        min_session_timeout: ms(100),
        offsets_topic_partitions: 2,
        ..Coordination::default()
    };
    let menace = |fault, count| Menace {
        fault,
        target: Target::Broker,
        count,
        duration_ms: (100, 900),
        force: (0, 0),
        after: &[],
    };
    setup.times.strikes_ms = 8000;
    setup.menu = vec![menace("process_crash", (1, 2)), menace("isolate", (0, 1))];
    setup
}

/// What the members of the group were handed, as they saw it.
#[derive(Default)]
struct Log {
    seen: RefCell<BTreeSet<(i32, i64)>>,
    owners: RefCell<BTreeMap<TopicPartition, u32>>,
    lives: Cell<u32>,
    faults: RefCell<Vec<String>>,
}

impl Log {
    fn take(&self, member: u32, got: Got) {
        match got {
            Got::Nothing => {}
            Got::Records(polled) => {
                for part in polled {
                    if self.owners.borrow().get(&part.tp) != Some(&member) && part.error.is_none() {
                        self.faults.borrow_mut().push(format!("{member} reads {} and does not own it", part.tp));
                    }
                    let records = part.records.iter().map(|record| (part.tp.partition, record.offset));
                    self.seen.borrow_mut().extend(records);
                }
            }
            // Who was cut off may not know yet that it lost a partition: the newer owner is the owner.
            Got::Assigned(_, placed) => {
                self.owners.borrow_mut().extend(placed.into_keys().map(|tp| (tp, member)));
            }
            Got::Revoking(what) | Got::Lost(what) => {
                self.owners.borrow_mut().retain(|tp, owner| *owner != member || !what.contains(tp));
            }
        }
    }
}

/// One member after another, until the run ends; each lives a while, then leaves or just vanishes.
async fn members(env: SimEnv, stage: Rc<Stage>, log: Rc<Log>, assignor: Assignor) {
    while !stage.ready() {
        env.sleep(Duration::from_millis(10)).await;
    }
    while stage.phase() < Phase::FinalRead {
        let number = 9000 + log.lives.get();
        log.lives.set(log.lives.get() + 1);
        let patience = Duration::from_millis(500);
        let (bootstrap, connect_timeout) = (stage.bootstrap.clone(), patience);
        let settings = Settings { bootstrap, connect_timeout, request_timeout: patience * 2, ..Settings::default() };
        let config = GroupConfig {
            assignors: vec![assignor],
            session_timeout: Duration::from_millis(700),
            heartbeat_interval: Duration::from_millis(100),
            max_poll_interval: Duration::from_secs(2),
            auto_commit: Some(Duration::from_millis(100)),
            patience: Duration::from_secs(2),
            fetch: ConsumerConfig {
                out_of_range: OutOfRange::Earliest,
                max_wait: Duration::from_millis(100),
                ..ConsumerConfig::default()
            },
            watch: Some(Rc::new(OnTape::new(stage.tape.clone(), number, 0, 0))),
            ..GroupConfig::new("billing")
        };
        let consumer = GroupConsumer::new(Client::new(env.clone(), settings), config);
        consumer.subscribe(Topics::List(["orders".into()].into()));
        let until = env.now().after(Duration::from_millis(500 + env.draw() % 3000));
        while env.now() < until || (stage.tape.now() > CHURN_NS && stage.phase() < Phase::FinalRead) {
            match consumer.poll(Duration::from_millis(100)).await {
                Ok(got) => log.take(number, got),
                Err(error) => log.faults.borrow_mut().push(format!("{number}: {error}")),
            }
        }
        if env.draw().is_multiple_of(2) {
            consumer.close(env.now().after(Duration::from_secs(2))).await;
        } else {
            drop(consumer);
            stage.tape.note(Kind::Quit { client: number, incarnation: 0 });
        }
        log.owners.borrow_mut().retain(|_, owner| *owner != number);
    }
}

/// What is known of the group's offsets: committed for sure, by partition; and what each look-up must find at least.
#[derive(Default)]
struct Offsets {
    commits: BTreeMap<u64, (TpId, i64)>,
    committed: BTreeMap<TpId, i64>,
    fetches: BTreeMap<u64, (TpId, i64)>,
    rounds: BTreeSet<i32>,
    checked: usize,
    faults: Vec<String>,
}

impl Offsets {
    fn see(&mut self, event: &Event) {
        match &event.kind {
            Kind::Call { op, call: Call::Commit { tp, offset, .. }, .. } => {
                self.commits.insert(*op, (*tp, *offset));
            }
            Kind::Call { op, call: Call::FetchOffset { tp, .. }, .. } => {
                let least = self.committed.get(tp).copied().unwrap_or(-1);
                self.fetches.insert(*op, (*tp, least));
            }
            Kind::Return { op, outcome: Outcome::Ok, reply: Reply::None, .. } => {
                if let Some((tp, offset)) = self.commits.remove(op) {
                    let before = self.committed.insert(tp, offset).unwrap_or(-1);
                    if before > offset {
                        self.faults.push(format!("at {}: {tp:?} is committed at {offset} after {before}", event.at));
                    }
                }
            }
            Kind::Return { op, outcome: Outcome::Ok, reply: Reply::Offset { offset }, .. } => {
                if let Some((tp, least)) = self.fetches.remove(op) {
                    self.checked += 1;
                    if *offset < least {
                        self.faults.push(format!("at {}: {tp:?} is fetched at {offset} after {least}", event.at));
                    }
                }
            }
            Kind::Group(member) if matches!(member.what, GroupStep::Entered { .. }) => {
                self.rounds.insert(member.generation);
            }
            _ => {}
        }
    }
}

/// One run. Returns how many generations and look-ups there were.
fn check(seed: u64, assignor: Assignor) -> Result<(usize, usize), String> {
    let (log, offsets, acked) =
        (Rc::new(Log::default()), RefCell::new(Offsets::default()), RefCell::new(BTreeSet::new()));
    let theirs = log.clone();
    let guest = Guest(Rc::new(move |env: SimEnv, stage: Rc<Stage>| {
        for _ in 1..MEMBERS {
            env.spawn("members", members(env.clone(), stage.clone(), theirs.clone(), assignor));
        }
        Box::pin(members(env, stage, theirs.clone(), assignor))
    }));
    let sends = RefCell::new(BTreeMap::new());
    let mut tap = |event: &Event| {
        offsets.borrow_mut().see(event);
        match event.kind {
            Kind::Call { op, call: Call::Send { tp, .. }, .. } => drop(sends.borrow_mut().insert(op, tp)),
            Kind::Return { op, reply: Reply::Sent { offset }, outcome: Outcome::Ok, .. } => {
                let sent = sends.borrow_mut().remove(&op);
                if let Some(tp) = sent.filter(|_| event.at < DUE_NS) {
                    acked.borrow_mut().insert((i32::try_from(tp.0).unwrap(), offset));
                }
            }
            _ => {}
        }
    };
    let report = run_with(&RunSpec::new(&SCENARIO, seed), Some(guest), Some(&mut tap));
    let offsets = offsets.into_inner();
    let mut faults = log.faults.take();
    faults.extend(offsets.faults);
    let (seen, acked) = (log.seen.take(), acked.into_inner());
    faults.extend(acked.difference(&seen).take(3).map(|at| format!("{at:?} was acknowledged and never handed out")));
    faults.extend(acked.is_empty().then(|| "nothing was acknowledged".to_owned()));
    // The group's own partitions are no part of the load, and not in the run's list.
    let of_load = report.findings.iter().filter(|f| !f.what.contains("not in the run's list"));
    faults.extend(of_load.map(|f| format!("{:?} {}: {}", f.severity, f.invariant, f.what)));
    if !faults.is_empty() {
        return Err(format!("seed {seed}: {faults:#?}\n{}", report.replay));
    }
    Ok((offsets.rounds.len(), offsets.checked))
}

#[test]
fn a_group_reads_everything_through_crashes_and_cuts() {
    let seeds = std::env::var("LOGQUAKE_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(3_usize);
    let (mut failed, mut generations, mut look_ups) = (Vec::new(), 0, 0);
    for seed in 0..seeds as u64 {
        for assignor in [Assignor::Range, Assignor::CooperativeSticky] {
            match check(seed, assignor) {
                Ok((rounds, fetches)) => (generations, look_ups) = (generations + rounds, look_ups + fetches),
                Err(why) => failed.push(format!("{}: {why}", assignor.name())),
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    println!("{seeds} seeds: {generations} generations, {look_ups} look-ups of offsets");
    assert!(generations >= 6 * seeds && look_ups >= 12 * seeds, "too little happened to prove anything");
}
