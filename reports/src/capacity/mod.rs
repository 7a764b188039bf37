//! How many brokers, partitions and consumers a load needs, and why: pure functions from inputs to an answer with its derivation.
//!
//! Inputs may be ranges. A plan is reckoned three times: with every input at the end that needs least, nominal, and at the end
//! that needs most; since more of an input never needs less in one place and more in another, the brokers, partitions,
//! consumers and bytes of every case in between lie between those of the first and the last.

mod backlog;
mod cluster;
mod derivation;
mod document;
mod file;
mod given;
pub mod input;
mod load;
mod loss;
mod measured;
mod parse;
mod partitions;
mod reread;
mod sensitivity;
mod show;
pub mod unit;

#[cfg(test)]
mod properties;
#[cfg(test)]
pub(crate) mod tests;

use serde::Serialize;

pub use backlog::Burst;
pub use derivation::Line;
pub use document::document;
pub use file::{Named, Written, stated};
pub use given::{Given, Inputs, Refused, Source};
pub use reread::inputs_of;
pub use sensitivity::{Margin, Sensitivity};

use cluster::Need;
use derivation::{Sheet, range};
use given::{Case, Point};
use unit::Kind;

/// More brokers than this are a wrong unit somewhere.
const MOST_BROKERS: f64 = 1e6;

/// What binds where each replica needs a broker of its own, and all resources ask for fewer.
const REPLICATION: &str = "replication";

/// A number of the answer, and the range that comes of the inputs' ranges.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// In this unit.
    pub unit: Kind,
    /// If every input is favourable.
    pub low: f64,
    /// What comes of the nominal inputs.
    pub nominal: f64,
    /// If every input is unfavourable.
    pub high: f64,
}

impl Answer {
    /// The nominal one, as people read it.
    pub fn show(&self) -> String {
        self.unit.show(self.nominal)
    }

    /// The range, as people read it; nothing if it is none.
    pub fn range(&self) -> Option<String> {
        range(self.unit, self.low, self.high)
    }
}

/// What a resource asks for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resource {
    /// The resource.
    pub name: &'static str,
    /// What all brokers must give together.
    pub demand: String,
    /// What one of them may be asked for, margins taken off.
    pub each: String,
    /// Brokers, before they are rounded up.
    pub exact: f64,
    /// Brokers.
    pub brokers: Answer,
    /// Of what all brokers may be asked for, how much is left.
    pub headroom: f64,
    /// The same, when as many are lost as may be.
    pub headroom_after_loss: f64,
}

/// An input as it was taken.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Assumed {
    /// What kind of input it is.
    pub group: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Its unit.
    pub unit: Kind,
    /// How much, and who says so.
    #[serde(flatten)]
    pub given: Given,
}

/// A plan: the answer, what it rests on, and how it follows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Brokers, those that may be lost included.
    pub brokers: Answer,
    /// Partitions.
    pub partitions: Answer,
    /// Consumers of a group.
    pub consumers: Answer,
    /// Bytes on all disks.
    pub stored: Answer,
    /// Records a second, at the peak.
    pub peak: Answer,
    /// Brokers that may be lost of these.
    pub lost: f64,
    /// Which resource binds; or replication, if it needs more brokers than any.
    pub binds: &'static str,
    /// So many times what the next resource asks for, and which that is.
    pub next: (f64, &'static str),
    /// By resource.
    pub resources: Vec<Resource>,
    /// What each margin costs.
    pub margins: Vec<Margin>,
    /// Inputs that move the answer, those that move it most first.
    pub sensitivity: Vec<Sensitivity>,
    /// Inputs of which half as much again changes no number of brokers.
    pub idle: Vec<&'static str>,
    /// The inputs.
    pub inputs: Vec<Assumed>,
    /// How it follows, line by line.
    pub lines: Vec<Line>,
    /// The peak, as the consumers see it.
    #[serde(skip)]
    pub burst: Burst,
}

impl Plan {
    /// The line of that name.
    pub fn line(&self, name: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.name == name)
    }
}

/// The plan for these inputs. Refuses those that do not go together, and those that ask for more than [`MOST_BROKERS`].
pub fn plan(inputs: &Inputs) -> Result<Plan, Refused> {
    inputs.check()?;
    let [low, nominal, high] =
        [Case::Favourable, Case::Nominal, Case::Unfavourable].map(|case| Solved::of(&inputs.at(case)));
    if high.brokers() > MOST_BROKERS {
        let brokers = Kind::Count.show(high.brokers());
        return Err(Refused(format!("that would take {brokers} brokers by {}: is a unit wrong?", high.binds().0)));
    }
    let (sensitivity, idle) = sensitivity::sensitivity(inputs, &nominal.bare());
    let answer = |unit, of: fn(&Solved) -> f64| Answer { unit, low: of(&low), nominal: of(&nominal), high: of(&high) };
    let (binds, exact, next) = nominal.binds();
    let resources = (0..nominal.needs.len()).map(|at| resource([&low, &nominal, &high], at)).collect();
    Ok(Plan {
        brokers: answer(Kind::Count, Solved::brokers),
        partitions: answer(Kind::Count, |solved| solved.partitions),
        consumers: answer(Kind::Count, |solved| solved.consumers),
        stored: answer(Kind::Bytes, |solved| solved.stored),
        peak: answer(Kind::RecordsPerSecond, |solved| solved.peak),
        lost: nominal.lost,
        binds,
        next: (exact / next.exact, next.resource),
        resources,
        margins: sensitivity::margins(inputs),
        sensitivity,
        idle,
        inputs: assumed(inputs),
        burst: nominal.burst,
        lines: nominal.sheet.spanning([low.sheet, high.sheet]),
    })
}

fn assumed(inputs: &Inputs) -> Vec<Assumed> {
    let groups = input::ALL.iter().flat_map(|(group, rows)| rows.iter().map(move |row| (*group, *row)));
    let one = |(group, row): (&'static str, &'static input::Row)| {
        let given = inputs.get(row)?.clone();
        Some(Assumed { group, name: row.name, about: row.about, unit: row.kind, given })
    };
    groups.filter_map(one).collect()
}

fn resource([low, nominal, high]: [&Solved; 3], at: usize) -> Resource {
    let need = &nominal.needs[at];
    let brokers = [low, nominal, high].map(|solved| solved.needs[at].brokers.get());
    let left = nominal.brokers - nominal.lost;
    Resource {
        name: need.resource,
        demand: need.demand.clone(),
        each: need.each.clone(),
        exact: need.exact,
        brokers: Answer { unit: Kind::Count, low: brokers[0], nominal: brokers[1], high: brokers[2] },
        headroom: 1.0 - need.exact / nominal.brokers,
        headroom_after_loss: 1.0 - need.exact / left,
    }
}

/// A plan at one point, reckoned.
struct Solved {
    sheet: Sheet,
    needs: Vec<Need>,
    by_copies: bool,
    brokers: f64,
    lost: f64,
    partitions: f64,
    consumers: f64,
    stored: f64,
    peak: f64,
    burst: Burst,
}

/// What of it the other tables compare.
pub(crate) struct Bare {
    brokers: f64,
    /// What the resource that asks for most asks for, before it is rounded up.
    exact: f64,
    binds: &'static str,
}

/// The nominal answer alone.
fn bare(inputs: &Inputs) -> Result<Bare, Refused> {
    inputs.check()?;
    Ok(Solved::of(&inputs.at(Case::Nominal)).bare())
}

impl Solved {
    fn of(at: &Point) -> Self {
        let mut sheet = Sheet::default();
        let load = load::load(&mut sheet, at);
        let traffic = load::traffic(&mut sheet, at, &load);
        let parallel = partitions::parallel(&mut sheet, at, &load);
        let cluster = cluster::cluster(&mut sheet, at, &load, &traffic, &parallel);
        loss::loss(&mut sheet, at, &load, &traffic, &cluster);
        let burst = backlog::backlog(&mut sheet, at, &load, &parallel);
        let brokers = cluster.brokers.get();
        let by_rack = (brokers / at.get(&input::RACKS).get()).ceil() * at.get(&input::LOSE_RACKS).get();
        Self {
            sheet,
            needs: cluster.needs,
            by_copies: cluster.by_copies,
            brokers,
            lost: by_rack.max(at.get(&input::LOSE_BROKERS).get()),
            partitions: parallel.partitions.get(),
            consumers: parallel.consumers.get(),
            stored: load.stored.get(),
            peak: load.peak.get(),
            burst,
        }
    }

    fn brokers(&self) -> f64 {
        self.brokers
    }

    /// What binds, to how many brokers before rounding up, and what is next.
    fn binds(&self) -> (&'static str, f64, &Need) {
        let mut order: Vec<&Need> = self.needs.iter().collect();
        order.sort_by(|a, b| b.exact.total_cmp(&a.exact));
        if self.by_copies {
            (REPLICATION, self.brokers, order[0])
        } else {
            (order[0].resource, order[0].exact, order[1])
        }
    }

    fn bare(&self) -> Bare {
        let exact = self.needs.iter().map(|need| need.exact).fold(0.0, f64::max);
        Bare { brokers: self.brokers, exact, binds: self.binds().0 }
    }
}
