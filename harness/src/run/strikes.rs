//! Carries out a plan: watches triggers, resolves targets, keeps the cures.

use crate::fault::{self, Aim, Heal};
use crate::history::{Event, Kind};
use crate::plan::{Mark, Plan, Strike, Target, Trigger};
use crate::report::Struck;
use crate::seed::Seed;
use crate::sim::{Host, World};
use broker::fact::Fact;

/// Nanoseconds in a millisecond.
const MS: u64 = 1_000_000;

/// The strikes of one run.
pub(super) struct Strikes {
    rows: Vec<Row>,
    counts: [u64; MARKS],
    began: Option<u64>,
}

struct Row {
    struck: Struck,
    cure: Option<(u64, Heal)>,
}

const MARKS: usize = 7;

impl Strikes {
    pub(super) fn new(plan: Plan) -> Self {
        let row = |strike| Row { struck: Struck { strike, at: None, healed: None, on: String::new() }, cure: None };
        Self { rows: plan.strikes.into_iter().map(row).collect(), counts: [0; MARKS], began: None }
    }

    /// The strikes phase begins: triggers count from here.
    pub(super) fn begin(&mut self, now: u64) {
        self.began = Some(now);
        self.counts = [0; MARKS];
    }

    /// Counts what triggers can count.
    pub(super) fn see(&mut self, event: &Event) {
        if let Kind::Fact { fact, .. } = &event.kind
            && let Some(mark) = mark_of(fact)
        {
            self.counts[mark as usize] += 1;
        }
    }

    /// Strikes what is due. Returns the events that say so.
    pub(super) fn strike(&mut self, world: &mut dyn World) -> Vec<Kind> {
        let Some(began) = self.began else { return Vec::new() };
        let now = world.now();
        let mut said = Vec::new();
        for row in &mut self.rows {
            if row.struck.at.is_some() || !due(&row.struck.strike.trigger, began, now, &self.counts) {
                continue;
            }
            row.inject(world, now);
            let Struck { strike, on, .. } = &row.struck;
            // One that found nothing to harm is no strike: the history must not count it as one.
            if row.cure.is_some() && on != fault::PASSED {
                said.push(Kind::Strike { strike: strike.id, fault: strike.fault.clone(), on: on.clone() });
            }
        }
        said
    }

    /// Cures what is due; everything, if `all`. Returns the events that say so.
    pub(super) fn heal(&mut self, world: &mut dyn World, all: bool) -> Vec<Kind> {
        let now = world.now();
        let mut said = Vec::new();
        for row in &mut self.rows {
            let Some((due, heal)) = row.cure.take_if(|(due, _)| all || *due <= now) else { continue };
            debug_assert!(all || due <= now);
            heal(world);
            row.struck.healed = Some(now);
            said.push(Kind::Heal { strike: row.struck.strike.id });
        }
        said
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
    fn inject(&mut self, world: &mut dyn World, now: u64) {
        let strike = &self.struck.strike;
        self.struck.at = Some(now);
        let fault = fault::find(&strike.fault);
        let aim = resolve(world, strike);
        match (fault, aim) {
            (Some(fault), Some(aim)) => {
                let injected = (fault.inject)(world, aim, strike);
                self.struck.on = injected.on;
                self.cure = Some((now + strike.duration_ms * MS, injected.heal));
            }
            (None, _) => self.struck.on = format!("no fault is named {:?}", strike.fault),
            (_, None) => self.struck.on = fault::PASSED.into(),
        }
    }
}

fn due(trigger: &Trigger, began: u64, now: u64, counts: &[u64; MARKS]) -> bool {
    match trigger {
        Trigger::At { ms } => now >= began + ms * MS,
        Trigger::Nth { of, n, by_ms } => counts[*of as usize] >= *n || now >= began + by_ms * MS,
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
        _ => None,
    }
}

/// Finds the hosts a strike hits, among those that are up. With one broker, every partition's leader is that broker.
fn resolve(world: &dyn World, strike: &Strike) -> Option<Aim> {
    let mut draw = Seed::new(strike.salt).split("target", 0).draw();
    let up = |hosts: Vec<Host>| -> Vec<Host> { hosts.into_iter().filter(|h| world.up(*h)).collect() };
    let (brokers, clients) = (up(world.brokers()), up(world.clients()));
    let mut one = |hosts: &[Host]| (!hosts.is_empty()).then(|| *draw.pick(hosts));
    let (broker, client) = (one(&brokers), one(&clients));
    match strike.target {
        Target::Broker | Target::LeaderOf(_) => Some(Aim { host: broker?, peer: client.unwrap_or(broker?) }),
        Target::Client => Some(Aim { host: client?, peer: broker.unwrap_or(client?) }),
        Target::ClientLink => Some(Aim { host: broker?, peer: client? }),
    }
}
