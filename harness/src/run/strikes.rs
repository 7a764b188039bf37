//! Carries out a plan: watches triggers, has targets resolved, keeps the steps to come and the cures.

use std::collections::VecDeque;

use broker::fact::Fact;

use super::aim::{Found, Scene};
use super::roles::{Moved, Roles};
use super::waits::{self, Now, Since, Tally};
use crate::fault::{self, Aim, Heal, Injected, Step};
use crate::history::{Event, Kind};
use crate::plan::{Mark, Plan, Trigger};
use crate::report::Struck;
use crate::sim::{Host, World};

/// Nanoseconds in a millisecond.
const MS: u64 = 1_000_000;

/// The strikes of one run.
pub(super) struct Strikes {
    rows: Vec<Row>,
    tally: Tally,
    roles: Roles,
    /// Since the recipe's last strike.
    since: Since,
    /// The APIs whose requests are waited for.
    apis: Vec<i16>,
    /// Replicas of each partition.
    replicas: usize,
    began: Option<u64>,
}

struct Row {
    struck: Struck,
    hosts: Vec<Host>,
    /// What it goes on to do, and when.
    steps: VecDeque<Step>,
    cure: Option<(u64, Heal)>,
    /// Since it struck.
    since: Since,
}

impl Row {
    /// Whether it is a step of a recipe.
    fn is_step(&self) -> bool {
        matches!(self.struck.strike.trigger, Trigger::Then { .. })
    }
}

impl Strikes {
    pub(super) fn new(plan: Plan, replicas: u32) -> Self {
        let row = |strike| {
            let struck = Struck { strike, at: None, healed: None, on: String::new() };
            Row { struck, hosts: Vec::new(), steps: VecDeque::new(), cure: None, since: Since::default() }
        };
        let apis = waits::apis(&plan);
        let rows = plan.strikes.into_iter().map(row).collect();
        let replicas = usize::try_from(replicas).unwrap_or(1);
        let (tally, roles, since) = (Tally::default(), Roles::default(), Since::default());
        Self { rows, tally, roles, since, apis, replicas, began: None }
    }

    /// The strikes phase begins: triggers count from here.
    pub(super) fn begin(&mut self, world: &dyn World) {
        self.began = Some(world.now());
        self.tally = Tally::default();
        self.since = self.now(world).since(&self.apis, 0);
    }

    fn now<'a>(&'a self, world: &'a dyn World) -> Now<'a> {
        Now { tally: &self.tally, roles: &self.roles, world }
    }

    /// Counts what triggers can count, and learns who is what.
    pub(super) fn see(&mut self, event: &Event) {
        let moved = self.roles.see(event).map(|moved| match moved {
            Moved::Shrunk => Mark::Shrunk,
            Moved::Grown => Mark::Grown,
            Moved::ServedNear => Mark::ServedNear,
            Moved::Bumped => Mark::Bumped,
        });
        let (told, tp) = match &event.kind {
            Kind::Fact { fact, tp, .. } => (mark_of(fact), *tp),
            Kind::Strike { .. } => (Some(Mark::Struck), None),
            Kind::Down { node: Some(_), .. } => (Some(Mark::Down), None),
            _ => (None, None),
        };
        for mark in told.into_iter().chain(moved) {
            self.tally.count(mark, tp);
        }
    }

    /// Strikes what is due. Returns the events that say so.
    pub(super) fn strike(&mut self, world: &mut dyn World) -> Vec<Kind> {
        let Some(began) = self.began else { return Vec::new() };
        let now = world.now();
        let mut said = Vec::new();
        for n in 0..self.rows.len() {
            if self.rows[n].struck.at.is_some() || !self.due(n, began, world) {
                continue;
            }
            let found = self.resolve(n, world);
            self.rows[n].inject(world, found, now);
            let Struck { strike, on, .. } = &self.rows[n].struck;
            // One that found nothing to harm is no strike: the history must not count it as one.
            if self.rows[n].cure.is_some() {
                let (strike, fault, on) = (strike.id, strike.fault.clone(), on.clone());
                said.push(Kind::Strike { strike, fault, on, minority: self.minority(world) });
            }
            if self.rows[n].struck.at.is_some() {
                let since = self.now(world).since(&self.apis, said.len());
                self.rows[n].since = since.clone();
                if self.rows[n].is_step() {
                    self.since = since;
                }
            }
        }
        said
    }

    fn resolve(&self, n: usize, world: &dyn World) -> Found {
        let hosts = |of: &dyn Fn(&Row) -> bool| -> Vec<Host> {
            self.rows.iter().filter(|row| of(row)).flat_map(|row| row.hosts.iter().copied()).collect()
        };
        let (struck, hit) = (hosts(&|row| row.cure.is_some()), hosts(&Row::is_step));
        let scene = Scene { world, roles: &self.roles, struck: &struck, hit: &hit, replicas: self.replicas };
        scene.resolve(&self.rows[n].struck.strike)
    }

    fn due(&self, n: usize, began: u64, world: &dyn World) -> bool {
        match &self.rows[n].struck.strike.trigger {
            Trigger::At { ms } => world.now() >= began + ms * MS,
            Trigger::Nth { of, n, by_ms } => self.tally.of(*of) >= *n || world.now() >= began + by_ms * MS,
            Trigger::Then { waits } => {
                let next = self.rows.iter().position(|row| row.is_step() && row.struck.at.is_none());
                next == Some(n) && self.now(world).all(waits, &self.since)
            }
        }
    }

    /// Whether a recipe has been carried out, and everything is cured.
    pub(super) fn over(&self) -> bool {
        let done = |row: &Row| row.struck.at.is_some() && row.cure.is_none();
        self.rows.iter().any(Row::is_step) && self.rows.iter().all(done)
    }

    /// Whether the nodes that are struck or down at present leave a majority of several brokers, and of the controllers.
    fn minority(&self, world: &dyn World) -> bool {
        let brokers = world.brokers();
        let held = |host: &Host| self.rows.iter().any(|row| row.cure.is_some() && row.hosts.contains(host));
        let failing = |hosts: &[Host]| hosts.iter().filter(|host| !world.up(**host) || held(host)).count();
        let controllers = world.controllers();
        let (lost, voters_lost) = (failing(&brokers), failing(&controllers));
        let few = lost <= (brokers.len() - 1) / 2 && voters_lost <= controllers.len().saturating_sub(1) / 2;
        brokers.len() > 2 && lost + voters_lost > 0 && few
    }

    /// Takes the steps and cures what is due; cures everything, if `all`. Returns the events that say so.
    pub(super) fn heal(&mut self, world: &mut dyn World, all: bool) -> Vec<Kind> {
        let now = world.now();
        let mut said = Vec::new();
        for n in 0..self.rows.len() {
            let until = &self.rows[n].struck.strike.until;
            let enough = !until.is_empty() && self.now(world).all(until, &self.rows[n].since);
            let row = &mut self.rows[n];
            while !all && row.steps.front().is_some_and(|(at, _)| *at <= now) {
                row.steps.pop_front().into_iter().for_each(|(_, step)| step(world));
            }
            let Some((due, heal)) = row.cure.take_if(|(due, _)| all || enough || *due <= now) else { continue };
            debug_assert!(all || enough || due <= now);
            row.steps.clear();
            heal(world);
            row.struck.healed = Some(now);
            said.push(Kind::Heal { strike: row.struck.strike.id });
        }
        said
    }

    /// Whether every partition has a leader and all its replicas in sync; of one broker alone nothing is asked.
    pub(super) fn whole(&self) -> bool {
        self.replicas < 2 || self.roles.whole(self.replicas)
    }

    /// No strike is due any more, whatever its trigger.
    pub(super) fn end(&mut self) {
        self.began = None;
    }

    pub(super) fn into_struck(self) -> Vec<Struck> {
        self.rows.into_iter().map(|r| r.struck).collect()
    }
}

impl Row {
    fn inject(&mut self, world: &mut dyn World, found: Found, now: u64) {
        let strike = &self.struck.strike;
        let Some(fault) = fault::find(&strike.fault) else {
            self.struck.on = format!("no fault is named {:?}", strike.fault);
            self.struck.at = Some(now);
            return;
        };
        match found {
            // Its role is nobody's at this moment: it waits.
            Found::NotYet => return,
            Found::Nobody => self.struck.on = fault::PASSED.into(),
            Found::Aim(aim) => {
                let Injected { on, steps, heal } = (fault.inject)(world, &aim, strike);
                let Aim { mut hosts, .. } = aim;
                self.hosts.append(&mut hosts);
                self.struck.on = on;
                if self.struck.on == fault::PASSED {
                    self.struck.at = Some(now);
                    return;
                }
                self.steps = steps.into_iter().map(|(after, step)| (now + after, step)).collect();
                self.cure = Some((now + strike.duration_ms * MS, heal));
            }
        }
        self.struck.at = Some(now);
    }
}

fn mark_of(fact: &Fact) -> Option<Mark> {
    match fact {
        Fact::Appended { .. } => Some(Mark::Appended),
        Fact::Flushed { .. } => Some(Mark::Flushed),
        Fact::Acked { .. } => Some(Mark::Acked),
        Fact::Rolled { .. } => Some(Mark::Rolled),
        Fact::Served { .. } => Some(Mark::Served),
        Fact::Trimmed { .. } => Some(Mark::Trimmed),
        Fact::Recovered { .. } => Some(Mark::Recovered),
        Fact::Leads { .. } => Some(Mark::Leads),
        Fact::Replicated { .. } => Some(Mark::Replicated),
        Fact::Truncated { .. } => Some(Mark::Truncated),
        Fact::QuorumLeads { .. } => Some(Mark::QuorumLeads),
        Fact::Registered { .. } => Some(Mark::Registered),
        Fact::Follows { leader: Some(_), .. } => Some(Mark::Follows),
        _ => None,
    }
}
