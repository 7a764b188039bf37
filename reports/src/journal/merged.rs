//! Journals taken together: in whatever order they come, and however often, the sum is the same, and it is that of one sweep.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};
use std::ops::Range;

use harness::report::RunReport;
use harness::sweep::{MOST_KEPT, Swept};
use harness::verdict::Verdict;

use super::line::{Header, Line, Run};
use crate::capacity::Refused;
use crate::outcome::{Again, Confirmed, Sweep};
use crate::text;
use crate::verdicts::Verdicts;

/// A run's place: its scenario's in the header, and its seed.
type Place = (usize, u64);

/// Seeds named of those that are missing.
const FEW: usize = 8;

/// What is known of a sweep's runs.
#[derive(Clone, Debug)]
pub struct Merged {
    header: Header,
    runs: BTreeMap<Place, Run>,
    /// Reports of failed and of vacuous runs: of each the first ones, as many as a sweep keeps.
    reports: [BTreeMap<Place, RunReport>; 2],
    again: BTreeMap<(String, u64), Again>,
    /// Runs that had more than one history: the least and the greatest trace.
    differ: BTreeMap<Place, (u64, u64)>,
    /// Runs that more than one file has.
    twice: BTreeSet<Place>,
    /// Parts that have used up their budget.
    spent: BTreeSet<u64>,
}

/// What there was to read.
#[derive(Debug)]
pub enum Read {
    /// Not even a whole first line: whoever wrote it was killed at once.
    Nothing,
    /// So many bytes of whole lines; and whether half a line follows, which was being written when its writer was killed.
    Whole {
        /// Where the next line belongs.
        bytes: u64,
        /// Whether something lies behind that.
        torn: bool,
    },
}

impl Merged {
    /// Of nothing yet.
    pub fn new(header: Header) -> Self {
        Self {
            header,
            runs: BTreeMap::new(),
            reports: Default::default(),
            again: BTreeMap::new(),
            differ: BTreeMap::new(),
            twice: BTreeSet::new(),
            spent: BTreeSet::new(),
        }
    }

    /// What was asked.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Runs that are known.
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Takes in a whole journal. It must be of the same sweep as `into`; of any, if that is none.
    pub fn read(into: Option<Self>, mut from: impl BufRead) -> Result<(Option<Self>, Read), Refused> {
        let (mut all, mut own) = (into, BTreeSet::new());
        let (mut line, mut bytes, mut number, mut part) = (Vec::new(), 0, 0, 0);
        let refused = |e: io::Error| Refused(e.to_string());
        let first = |line: &[u8]| match Line::parse(line) {
            Ok(Line::Sweep(header)) => Ok(header),
            _ => Err(Refused("it is no journal of a sweep: `logquake sweep --resume FILE` writes them".into())),
        };
        while from.read_until(b'\n', &mut line).map_err(refused)? > 0 {
            if line.last() != Some(&b'\n') {
                let read = if number == 0 { Read::Nothing } else { Read::Whole { bytes, torn: true } };
                return Ok((all, read));
            }
            number += 1;
            bytes += line.len() as u64;
            match &mut all {
                _ if number == 1 => {
                    let header = first(&line)?;
                    part = header.shard.0;
                    match all.as_ref().map(|all| all.header.differs(&header)) {
                        Some(Some(why)) => return Err(Refused(format!("it is {why}"))),
                        Some(None) => {}
                        None => all = Some(Self::new(header)),
                    }
                }
                Some(all) => {
                    all.line(&line, part, &mut own).map_err(|Refused(why)| Refused(format!("line {number}: {why}")))?
                }
                None => {}
            }
            line.clear();
        }
        Ok((all, if number == 0 { Read::Nothing } else { Read::Whole { bytes, torn: false } }))
    }

    /// Takes in one line of a part's file; `own` are the runs that the file had before.
    fn line(&mut self, line: &[u8], part: u64, own: &mut BTreeSet<Place>) -> Result<(), Refused> {
        let (run, report) = match Line::parse(line).map_err(|e| Refused(e.to_string()))? {
            Line::Sweep(_) => return Err(Refused("a second beginning".into())),
            Line::Again(confirmed) => {
                self.confirmed(confirmed);
                return Ok(());
            }
            Line::Spent(part) => {
                self.spent(part);
                return Ok(());
            }
            Line::Run(run) => (run, None),
            Line::Told(run, report) => (run, Some(*report)),
        };
        self.resumed(part);
        let (from, until) = self.header.seeds;
        if run.scenario >= self.header.scenarios.len() || !(from..until).contains(&run.seed) {
            return Err(Refused(format!("seed {} of scenario {} is none of this sweep's", run.seed, run.scenario)));
        }
        let place = (run.scenario, run.seed);
        if own.insert(place) && self.runs.contains_key(&place) {
            self.twice.insert(place);
        }
        self.add(run, report);
        Ok(())
    }

    /// Takes in a run, and its report if there is one. Of two with one place, the lesser is kept, whichever came first.
    pub fn add(&mut self, run: Run, report: Option<RunReport>) {
        let place = (run.scenario, run.seed);
        if let Some(report) = report.filter(|report| report.verdict != Verdict::Pass) {
            let kept = &mut self.reports[usize::from(report.verdict == Verdict::Vacuous)];
            let order = |of: &RunReport| (of.trace, of.cost.cpu_ns);
            if kept.get(&place).is_none_or(|other| order(&report) < order(other)) {
                kept.insert(place, report);
            }
            if kept.len() > MOST_KEPT {
                kept.pop_last();
            }
        }
        let Some(other) = self.runs.get_mut(&place) else {
            self.runs.insert(place, run);
            return;
        };
        if other.trace != run.trace {
            let (least, most) = self.differ.entry(place).or_insert((other.trace, other.trace));
            (*least, *most) = ((*least).min(run.trace), (*most).max(run.trace));
        }
        if worst(&run) < worst(other) {
            *other = run;
        }
    }

    /// Takes in what became of a failed run in a fresh process: the worst word on it counts.
    pub fn confirmed(&mut self, confirmed: Confirmed) {
        let Confirmed { scenario, seed, again } = confirmed;
        let order = |again: &Again| (again.same(), again.words());
        let known = self.again.entry((scenario, seed)).or_insert_with(|| again.clone());
        if order(&again) < order(known) {
            *known = again;
        }
    }

    /// A part has used up its budget.
    pub fn spent(&mut self, part: u64) {
        self.spent.insert(part);
    }

    /// A part goes on after all: what it lacks is missing until it says again that its time is up.
    pub fn resumed(&mut self, part: u64) {
        self.spent.remove(&part);
    }

    /// Whether a run that did not pass is still written with its report.
    pub fn has_room(&self, verdict: Verdict) -> bool {
        let [failed, vacuous] = self.reports.each_ref().map(BTreeMap::len);
        match verdict {
            Verdict::Pass => false,
            Verdict::Vacuous => failed + vacuous < MOST_KEPT,
            Verdict::Fail => failed < MOST_KEPT,
        }
    }

    /// Failed runs that no fresh process has seen.
    pub fn unconfirmed(&self) -> impl Iterator<Item = &RunReport> {
        self.reports[0].values().filter(|report| !self.again.contains_key(&(report.scenario.clone(), report.seed)))
    }

    /// What is left to be run of this part, in the order of seeds: of each of these seeds, these scenarios.
    pub fn left(&self) -> Vec<(Range<u64>, Vec<usize>)> {
        let ((from, until), all) = (self.header.seeds, 0..self.header.scenarios.len());
        let Some(last) = self.runs.keys().map(|(_, seed)| *seed).max() else {
            return vec![(from..until, all.collect())];
        };
        let (part, of) = self.header.shard;
        let mut left = Vec::new();
        for seed in (from..=last).filter(|seed| seed % of + 1 == part) {
            let lacks: Vec<usize> =
                all.clone().filter(|scenario| !self.runs.contains_key(&(*scenario, seed))).collect();
            if !lacks.is_empty() {
                left.push((seed..seed + 1, lacks));
            }
        }
        if last + 1 < until {
            left.push((last + 1..until, all.collect()));
        }
        left
    }

    /// What is missing of the whole sweep, in words: parts of which there is nothing, and seeds of the others, but for those for
    /// which there was no budget.
    pub fn missing(&self) -> Vec<String> {
        let ((from, until), (_, of)) = (self.header.seeds, self.header.shard);
        let mut known: BTreeMap<u64, u64> = BTreeMap::new();
        self.runs.keys().for_each(|(_, seed)| *known.entry(seed % of + 1).or_default() += 1);
        let (mut told, mut gone) = (Vec::new(), Vec::new());
        for part in (1..=of).filter(|part| !self.spent.contains(part)) {
            // Seeds below a limit that belong to the part.
            let below = |limit: u64| limit.saturating_add(of - part) / of;
            let all = below(until).saturating_sub(below(from)).saturating_mul(self.header.scenarios.len() as u64);
            match known.get(&part).copied().unwrap_or(0) {
                known if known >= all => {}
                0 => gone.push(part),
                known => told.push((part, all - known)),
            }
        }
        let lacks = |(part, lacking): (u64, u64)| {
            let of_part = (from..until).filter(|seed| seed % of + 1 == part);
            let lacks = of_part.filter(|seed| {
                (0..self.header.scenarios.len()).any(|scenario| !self.runs.contains_key(&(scenario, *seed)))
            });
            let runs = if until == u64::MAX { "runs".into() } else { text::plural(lacking, "run", "runs") };
            let which = if of == 1 { format!("{runs} missing") } else { format!("part {part}/{of} lacks {runs}") };
            format!("{which}: {}", named(&lacks.take(FEW + 1).collect::<Vec<_>>()))
        };
        let mut told: Vec<String> = told.into_iter().map(lacks).collect();
        if !gone.is_empty() {
            told.insert(0, absent(&gone, of));
        }
        told
    }

    /// Runs that more than one file has, in words: empty if there is none.
    pub fn overlap(&self) -> String {
        let seeds: BTreeSet<u64> = self.twice.iter().map(|(_, seed)| *seed).collect();
        let seeds: Vec<u64> = seeds.into_iter().collect();
        if seeds.is_empty() {
            return String::new();
        }
        let runs = text::plural(self.twice.len() as u64, "run is", "runs are");
        format!("{runs} in more than one file and counted once: {}", named(&seeds))
    }

    /// What it amounts to.
    pub fn outcome(&self) -> Sweep {
        let mut swept = Swept::default();
        // Reports of the lives that are told. They come first: a sweep has room for no more.
        let is_told =
            |(place, report): &(&Place, &RunReport)| self.runs.get(place).is_some_and(|run| run.trace == report.trace);
        let told: BTreeMap<&Place, &RunReport> = self.reports.iter().flatten().filter(is_told).collect();
        let counted =
            self.runs.iter().filter(|(place, _)| !told.contains_key(place)).map(|(_, run)| run.report(&self.header));
        told.values().copied().cloned().chain(counted).for_each(|report| swept.add(report));
        swept.reports.sort_by(|a, b| (&a.scenario, a.seed).cmp(&(&b.scenario, b.seed)));
        let name = |scenario: usize| self.header.scenarios[scenario].as_str();
        let verdicts =
            Verdicts::of(self.runs.iter().map(|((scenario, seed), run)| (name(*scenario), *seed, run.verdict)));
        let mut again = self.again.clone();
        for ((scenario, seed), (first, second)) in &self.differ {
            again.insert((name(*scenario).into(), *seed), Again::Differs { first: *first, second: *second });
        }
        let again = again.into_iter().map(|((scenario, seed), again)| Confirmed { scenario, seed, again }).collect();
        let missing = self.missing();
        swept.stopped = !missing.is_empty();
        let wall = std::time::Duration::ZERO;
        Sweep { swept, again, interrupted: !missing.is_empty(), wall, jobs: 0, missing, verdicts }
    }
}

/// Of two lives of a run the one to be told comes first.
fn worst(run: &Run) -> (Reverse<Verdict>, &Run) {
    (Reverse(run.verdict), run)
}

/// The first few of these seeds.
fn named(seeds: &[u64]) -> String {
    let first: Vec<String> = seeds.iter().take(FEW).map(u64::to_string).collect();
    let word = if seeds.len() == 1 { "seed" } else { "seeds" };
    format!("{word} {}{}", first.join(", "), if seeds.len() > FEW { ", ..." } else { "" })
}

fn absent(gone: &[u64], of: u64) -> String {
    if of == 1 {
        return "there is no run".into();
    }
    let first: Vec<String> = gone.iter().take(FEW).map(u64::to_string).collect();
    let (word, verb) = if gone.len() == 1 { ("part", "is") } else { ("parts", "are") };
    let more = if gone.len() > FEW { ", ..." } else { "" };
    format!("{word} {}{more} of {of} {verb} not there", first.join(", "))
}
