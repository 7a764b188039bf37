//! A case that was run more than once: its medians, how far they are spread, and what of the machine's limit they are.

use std::fmt;
use std::mem::discriminant;

use crate::limits::{Bound, Floor};
use crate::outcome::{Flag, Outcome, grouped};
use crate::over::Place;
use crate::statistics::{Spread, figure};

/// What one case came to, of all rounds.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Rounds {
    /// The workload and the case.
    pub workload: String,
    /// Records a second.
    pub rate: Spread,
    /// Megabytes (10^6 bytes) of values a second.
    pub megabytes: Spread,
    /// The medians of the publish latency, in microseconds.
    pub p50_us: Spread,
    /// Its 99th percentiles.
    pub p99_us: Spread,
    /// What would limit any broker on this machine, and how much of that it is.
    pub limit: Option<(Bound, f64)>,
    /// Of an open loop: the least that a record takes on this machine, and how many times that the median is; end to end where
    /// that is timed, else of the publish latency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<(Floor, f64)>,
    /// Where in a sweep they are, if they are of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Place>,
    /// Every round.
    pub outcomes: Vec<Outcome>,
}

impl Rounds {
    /// The medians are of the rounds that are results; if none is, of all.
    pub fn of(workload: String, outcomes: Vec<Outcome>) -> Self {
        let all: Vec<&Outcome> = counted(&outcomes).collect();
        let spread = |of: fn(&Outcome) -> f64| Spread::of(&all.iter().map(|outcome| of(outcome)).collect::<Vec<_>>());
        let (rate, megabytes) = (spread(|o| o.rate), spread(|o| o.megabytes));
        let (p50_us, p99_us) = (spread(|o| figure(o.publish.p50)), spread(|o| figure(o.publish.p99)));
        Self { workload, rate, megabytes, p50_us, p99_us, limit: None, floor: None, over: None, outcomes }
    }

    /// Beside what limits them on this machine.
    #[must_use]
    pub fn beside(self, bound: Bound, floor: Option<Floor>) -> Self {
        let part = self.rate.median / bound.rate;
        let read = self.median(|outcome| Some(figure(outcome.end_to_end?.p50)));
        let p50 = read.unwrap_or(self.p50_us.median);
        let floor = floor.filter(|_| p50 > 0.0).map(|floor| (floor.clone(), p50 / floor.us));
        Self { limit: Some((bound, part)), floor, ..self }
    }

    /// How many rounds are results.
    pub fn results(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.is_result()).count()
    }

    /// The rounds that its figures are of.
    pub fn counted(&self) -> impl Iterator<Item = &Outcome> {
        counted(&self.outcomes)
    }

    /// The median of what its figures are of; of those of them that have it.
    pub fn median(&self, of: impl Fn(&Outcome) -> Option<f64>) -> Option<f64> {
        let all: Vec<f64> = self.counted().filter_map(of).collect();
        (!all.is_empty()).then(|| Spread::of(&all).median)
    }

    /// Why rounds are no results, with the figures of the first that is none for that reason, and how many are.
    pub fn reasons(&self) -> Vec<(Flag, usize)> {
        let mut all: Vec<(Flag, usize)> = Vec::new();
        for flag in self.outcomes.iter().flat_map(|outcome| &outcome.flags).filter(|flag| flag.voids()) {
            match all.iter_mut().find(|(other, _)| discriminant(other) == discriminant(flag)) {
                Some((_, count)) => *count += 1,
                None => all.push((*flag, 1)),
            }
        }
        all
    }

    /// The round whose rate is in the middle: of the results, if there are any.
    pub fn middle(&self) -> Option<&Outcome> {
        let mut by_rate: Vec<&Outcome> = self.counted().collect();
        by_rate.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        by_rate.get(by_rate.len() / 2).copied()
    }
}

fn counted(outcomes: &[Outcome]) -> impl Iterator<Item = &Outcome> {
    let any = outcomes.iter().any(Outcome::is_result);
    outcomes.iter().filter(move |outcome| !any || outcome.is_result())
}

impl fmt::Display for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = |of: Spread, n: usize| format!("{:.n$} ({:.n$}..{:.n$})", of.median, of.least, of.most);
        let (count, results, rate) = (self.outcomes.len(), self.results(), self.rate);
        writeln!(f, "{}: median (least..most) of {results} results in {count} rounds", self.workload)?;
        write!(f, "  {} ({}..{}) records/s", grouped(rate.median), grouped(rate.least), grouped(rate.most))?;
        writeln!(f, "   {} MB/s", places(self.megabytes, 1))?;
        if self.p50_us.median > 0.0 {
            writeln!(f, "  publish p50 {} us   p99 {} us", places(self.p50_us, 0), places(self.p99_us, 0))?;
        }
        if let Some((bound, part)) = &self.limit {
            // What comes at a rate does not try for more.
            let (uses, places) = if self.floor.is_some() { ("uses ", 4) } else { ("", 2) };
            writeln!(f, "  {uses}{part:.places$} of the limit by {}: {} records/s", bound.by, grouped(bound.rate))?;
        }
        if let Some((floor, times)) = &self.floor {
            writeln!(f, "  p50 is {times:.1} times {}: {:.0} us", floor.by, floor.us)?;
        }
        if let Some(middle) = self.middle() {
            let us = |page: Option<f64>| page.map_or("?".into(), |us| format!("{us:.2} us"));
            let page = format!("{} before, {} after", us(middle.page_us), us(middle.page_after_us));
            let congestion = middle.congestion.as_deref().unwrap_or("?");
            let on = format!("{} ({} cpus, a page takes {page}, {congestion} by default)", middle.target, middle.cpus);
            writeln!(f, "  the round in the middle, on {on}:")?;
            middle.to_string().lines().try_for_each(|line| writeln!(f, "    {line}"))?;
        }
        writeln!(f)
    }
}
