//! The phases of a run, in order, each with its end and its deadline.

use std::rc::Rc;

use crate::history::{Event, Kind, Phase, Tape};
use crate::invariant::Checker;
use crate::plan::Plan;
use crate::report::RunReport;
use crate::scenario::Setup;
use crate::sim::World;
use crate::sim::turmoil::{Broken, SimWorld};
use crate::verdict::{Finding, Severity, Verdict};

use super::backlog::Backlog;
use super::handoff::Handoffs;
use super::outage::Outages;
use super::strikes::Strikes;
use super::trace::Trace;
use super::{Guest, RunSpec, Stage, cast, cost};

/// Nanoseconds in a millisecond.
const MS: u64 = 1_000_000;
/// Topics must exist and clients must be connected within this long.
const WARM_UP_MS: u64 = 10_000;
/// The final read must get on within the drain deadline and this.
const READ_SLACK_MS: u64 = 2_000;

/// The API keys of what members of groups ask: OffsetCommit and OffsetFetch, FindCoordinator to SyncGroup, ConsumerGroupHeartbeat.
const GROUP_APIS: [i16; 8] = [8, 9, 10, 11, 12, 13, 14, 68];

/// However they get on, the drain and the final read end here.
const LONGEST_PHASE_MS: u64 = 300_000;

/// One run on its way to a verdict.
pub(super) struct Script<'a> {
    spec: &'a RunSpec,
    tap: Option<&'a mut dyn FnMut(&Event)>,
    stage: Rc<Stage>,
    tape: Tape,
    world: SimWorld,
    strikes: Strikes,
    checker: Checker,
    trace: Trace,
    outages: Outages,
    backlog: Backlog,
    handoffs: Handoffs,
    counter: cost::Counter,
    phases: Vec<(Phase, u64)>,
    buffer: Vec<Event>,
    broken: Option<Finding>,
    cpu_began: u64,
}

impl<'a> Script<'a> {
    pub(super) fn new(
        spec: &'a RunSpec,
        setup: Setup,
        plan: Plan,
        guest: Option<Guest>,
        tap: Option<&'a mut dyn FnMut(&Event)>,
    ) -> Self {
        let cpu_began = cost::thread_cpu_ns();
        let (world, stage) = cast::assemble(setup, spec.root(), guest);
        let checker = Checker::new(spec.rules(&stage.setup));
        let backlog = Backlog::new(&stage.setup.contract);
        let strikes = Strikes::new(plan, stage.setup.contract.replication);
        Self {
            spec,
            tap,
            tape: world.tape(),
            stage,
            world,
            strikes,
            checker,
            trace: Trace::default(),
            outages: Outages::default(),
            backlog,
            handoffs: Handoffs::default(),
            counter: cost::Counter::default(),
            phases: Vec::new(),
            buffer: Vec::new(),
            broken: None,
            cpu_began,
        }
    }

    /// Plays every phase. A run that breaks (panic, hang) goes to its verdict at once.
    pub(super) fn play(mut self) -> RunReport {
        let stage = Rc::clone(&self.stage);
        let times = stage.setup.times;
        let drain_ms = stage.setup.contract.drain_deadline_ms;
        self.enter(Phase::WarmUp);
        self.until(WARM_UP_MS, |s| s.stage.ready());
        if !stage.ready() {
            self.breaks(
                "warm-up",
                format!("topics were not made and seen within {WARM_UP_MS} ms of a faultless start"),
            );
        }
        self.enter(Phase::Steady);
        self.until(times.steady_ms, |_| false);
        self.enter(Phase::Strikes);
        self.strikes.begin(&self.world);
        self.until(times.strikes_ms, |s| s.strikes.over());
        self.strikes.end();
        self.enter(Phase::Heal);
        self.heal_all();
        self.enter(Phase::Drain);
        let drained = |s: &Self| s.stage.drained() && s.strikes.whole() && s.backlog.is_empty();
        // Groups that are far behind and slow are not stuck.
        self.while_it_moves(stage.setup.load.delivery_timeout_ms + drain_ms, |s| s.backlog.moves(), drained);
        self.enter(Phase::FinalRead);
        // Tiny segments over slow links take their time.
        let polls = |s: &Self| s.stage.final_polls();
        self.while_it_moves(drain_ms + READ_SLACK_MS, polls, |s| s.stage.final_read_done());
        self.enter(Phase::Audit);
        self.audit();
        self.verdict()
    }

    fn enter(&mut self, phase: Phase) {
        self.stage.enter(phase);
        self.phases.push((phase, self.world.now()));
        self.tape.note(Kind::Phase { phase });
    }

    /// Steps the world for at most `ms`, or until `done`.
    fn until(&mut self, ms: u64, done: impl Fn(&Self) -> bool) {
        let deadline = self.world.now() + ms * MS;
        while self.broken.is_none() && self.world.now() < deadline && !done(self) {
            self.step();
        }
    }

    /// Steps the world until `done`, for as long as `moves` goes on: what takes longer than `patience_ms` for one of those is
    /// stuck.
    fn while_it_moves(&mut self, patience_ms: u64, moves: impl Fn(&Self) -> u64, done: impl Fn(&Self) -> bool) {
        let began = self.world.now();
        loop {
            let before = moves(self);
            self.until(patience_ms, |s| done(s) || moves(s) != before);
            if moves(self) == before || done(self) || self.world.now() > began + LONGEST_PHASE_MS * MS {
                return;
            }
        }
    }

    fn step(&mut self) {
        for kind in self.strikes.strike(&mut self.world) {
            self.tape.note(kind);
        }
        for kind in self.strikes.heal(&mut self.world, false) {
            self.tape.note(kind);
        }
        if let Err(Broken { host, message }) = self.world.step() {
            self.breaks(&host, message);
        }
        self.counter.cost.steps += 1;
        self.fold();
    }

    /// Cures everything and starts every host that is down.
    fn heal_all(&mut self) {
        for kind in self.strikes.heal(&mut self.world, true) {
            self.tape.note(kind);
        }
        for host in self.world.nodes().into_iter().chain(self.world.clients()) {
            self.world.start(host);
        }
        self.fold();
    }

    /// Takes the events of this step to the strikes, the trace, the checker and the tap.
    fn fold(&mut self) {
        let mut events = std::mem::take(&mut self.buffer);
        self.tape.drain(&mut events);
        for event in events.drain(..) {
            self.counter.see(&event);
            self.strikes.see(&event);
            self.trace.see(&event);
            self.outages.see(&event);
            self.backlog.see(&event);
            self.handoffs.see(&event);
            self.checker.see(&event);
            if let Some(tap) = &mut self.tap {
                tap(&event);
            }
        }
        self.buffer = events;
    }

    /// Stops the brokers and reads their files byte for byte.
    fn audit(&mut self) {
        if self.broken.is_none()
            && let Err(why) = cast::audit(&mut self.world, &self.stage)
        {
            self.breaks("audit", why);
        }
        self.fold();
    }

    fn breaks(&mut self, host: &str, message: String) {
        let finding = Finding {
            invariant: "RUN".into(),
            severity: Severity::Violation,
            at: self.world.now(),
            tp: None,
            what: format!("{host}: {message}"),
            story: Vec::new(),
        };
        self.broken.get_or_insert(finding);
    }

    fn verdict(mut self) -> RunReport {
        self.counter.doors(self.world.traffic());
        self.counter.cost.world_ns = self.world.now();
        self.counter.cost.group_requests = GROUP_APIS.iter().map(|api| self.world.asked(*api)).sum();
        let mut checked = self.checker.end(self.world.now());
        if let Some(broken) = self.broken {
            checked.verdict = Verdict::Fail;
            checked.findings.insert(0, broken);
        }
        self.counter.cost.cpu_ns = cost::thread_cpu_ns() - self.cpu_began;
        RunReport {
            scenario: self.spec.scenario.name.into(),
            seed: self.spec.seed,
            keep: self.spec.keep.clone(),
            planted: self.spec.planted,
            verdict: checked.verdict,
            findings: checked.findings,
            evidence: checked.evidence,
            phases: self.phases,
            strikes: self.strikes.into_struck(),
            outages: self.outages.into_table(),
            groups: self.handoffs.into_table(),
            knobs: self.stage.setup.knobs(),
            partitions: self.stage.partitions.iter().map(ToString::to_string).collect(),
            cost: self.counter.cost,
            trace: self.trace.value(),
            replay: self.spec.replay(),
        }
    }
}
