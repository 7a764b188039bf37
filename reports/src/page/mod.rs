//! One page made of any set of results: what our commands have written is recognised by its content, judged results come first,
//! and each has a chapter with its charts and their numbers.
//!
//! A new kind of result is one file here, with a function that recognises it and one that makes a [`Chapter`] of it, and one row
//! in [`KINDS`]. What it gives as [`Figure`]s is compared with a baseline without further ado.

mod cluster;
mod compare;
mod gate;
mod history;
mod load;
mod log;
mod owners;
mod plan;
mod planted;
mod rebalance;
mod run;
mod search;
mod sweep;
mod tide;
mod versus;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use harness::verdict::Verdict;
use serde_json::Value;

pub use crate::capacity::Refused;
use crate::document::{Case, Column, Data, Document, Row, Section, Table};
use crate::suite::{End, Suite, Told};
use crate::text;

/// A file, and what is in it.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A kind of result.
struct Kind {
    /// What it is called.
    name: &'static str,
    /// What writes it.
    from: &'static str,
    /// Whether this is one, going by what is at its top.
    is: fn(&Input<'_>) -> bool,
    /// Reads it. An error says what is wrong with it.
    read: fn(&Input<'_>) -> Result<Chapter, String>,
}

/// All that can be shown.
const KINDS: &[Kind] = &[
    Kind { name: "history", from: "logquake run --history FILE", is: history::is, read: history::read },
    Kind { name: "run", from: "logquake run|replay|check --json", is: run::is, read: run::read },
    Kind { name: "sweep", from: "logquake sweep|merge --json", is: sweep::is, read: sweep::read },
    Kind { name: "gate", from: "logquake gate --json", is: gate::is, read: gate::read },
    Kind { name: "planted", from: "logquake planted --json", is: planted::is, read: planted::read },
    Kind { name: "bench log", from: "logquake bench log --json", is: log::is, read: log::read },
    Kind { name: "bench cluster", from: "logquake bench cluster --json", is: cluster::is, read: cluster::read },
    Kind { name: "bench rebalance", from: "logquake bench rebalance --json", is: rebalance::is, read: rebalance::read },
    Kind { name: "bench load", from: "logquake bench load --json", is: load::is, read: load::read },
    Kind { name: "bench search", from: "logquake bench search --json", is: search::is, read: search::read },
    Kind { name: "bench compare", from: "logquake bench compare --json", is: versus::is, read: versus::read },
    Kind { name: "plan", from: "logquake plan --format json", is: plan::is, read: plan::read },
];

/// A file that is being read.
struct Input<'a> {
    name: &'a str,
    bytes: &'a [u8],
    /// If it is one JSON document.
    json: Option<Value>,
}

impl<'a> Input<'a> {
    fn new(source: &'a Source) -> Self {
        let Source { name, bytes } = source;
        Self { name, bytes, json: serde_json::from_slice(bytes).ok() }
    }

    /// Whether it is an object with all of these keys.
    fn has(&self, keys: &[&str]) -> bool {
        self.json.as_ref().is_some_and(|json| keys.iter().all(|key| json.get(key).is_some()))
    }

    /// Whether it is a list of objects with all of these keys.
    fn lists(&self, keys: &[&str]) -> bool {
        let all = self.json.as_ref().and_then(Value::as_array).filter(|all| !all.is_empty());
        all.is_some_and(|all| all.iter().all(|one| keys.iter().all(|key| one.get(key).is_some())))
    }

    fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(self.bytes).map_err(|e| e.to_string())
    }
}

/// What is told of one file.
#[derive(Clone, Debug, Default)]
struct Chapter {
    /// What it is.
    title: String,
    /// What it amounts to; nothing if it judges nothing.
    verdict: Option<Verdict>,
    /// The same in one line.
    line: String,
    /// What is no pass.
    cases: Vec<Case>,
    /// Its sections.
    sections: Vec<Section>,
    /// What can be compared with a baseline.
    figures: Vec<Figure>,
    /// What the page keeps of it, if that is not the file itself.
    json: Option<String>,
}

/// A number that can be compared.
#[derive(Clone, Debug, PartialEq)]
struct Figure {
    /// What it is of; the same in each file of this kind.
    name: String,
    /// How much.
    value: f64,
    /// Of what.
    unit: &'static str,
    /// Which is better.
    better: Better,
}

/// Which of two numbers is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Better {
    Less,
    More,
    /// It is merely another.
    Neither,
}

impl Figure {
    fn less(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, better: Better::Less }
    }

    fn more(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { better: Better::More, ..Self::less(name, value, unit) }
    }

    fn neither(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { better: Better::Neither, ..Self::less(name, value, unit) }
    }
}

/// The page of these files, in their order; each is compared with the baseline if it is of that kind.
pub fn page(sources: &[Source], baseline: Option<&Source>) -> Result<Document, Refused> {
    let baseline = baseline.map(|source| Ok::<_, Refused>((source, recognised(source)?))).transpose()?;
    let (mut chapters, mut data, mut compared) = (Vec::new(), Vec::new(), Vec::new());
    for source in sources {
        let (kind, mut chapter) = recognised(source)?;
        if let Some((base, (_, of))) = baseline.as_ref().filter(|(_, (other, _))| other.name == kind.name) {
            compared.push(compare::section(&chapter, &source.name, of, &base.name));
        }
        let kept = chapter.json.take().or_else(|| compact(source));
        let name = if is_json(&source.name) { source.name.clone() } else { format!("{}.json", source.name) };
        data.extend(kept.map(|json| Data { name: file_name(&name), json }));
        chapters.push((source, chapter));
    }
    if let Some((base, (kind, _))) = baseline.as_ref().filter(|_| compared.is_empty()) {
        let of = kind.name;
        return Err(Refused(format!("the baseline {} is of kind '{of}', and none of the other files is", base.name)));
    }
    let judged: Vec<Verdict> = chapters.iter().filter_map(|(_, chapter)| chapter.verdict).collect();
    let mut sections = vec![verdicts(&chapters)];
    if !compared.is_empty() {
        let what =
            "Ratios are of the newer number to the baseline's. Times of CPU and of real clocks differ from run to run.";
        sections.push(Section::chapter("What changed", what));
        sections.append(&mut compared);
    }
    for (source, chapter) in chapters {
        sections.push(Section::chapter(format!("{}: {}", chapter.title, source.name), chapter.line));
        sections.extend(
            chapter.sections.into_iter().filter(|one| !one.is_empty()).map(|one| Section { part: true, ..one }),
        );
    }
    let verdict = judged.iter().max().copied();
    Ok(Document { title: "Logquake report".into(), lead: lead(&judged, sources.len()), verdict, sections, data })
}

fn recognised(source: &Source) -> Result<(&'static Kind, Chapter), Refused> {
    let input = Input::new(source);
    let kind = KINDS.iter().find(|kind| (kind.is)(&input)).ok_or_else(|| unknown(&source.name))?;
    let chapter = (kind.read)(&input);
    let refused = |why| Refused(format!("{} looks like what `{}` writes, but: {why}", source.name, kind.from));
    Ok((kind, chapter.map_err(refused)?))
}

fn unknown(name: &str) -> Refused {
    let valid: Vec<String> = KINDS.iter().map(|kind| format!("`{}`", kind.from)).collect();
    Refused(format!("{name} is none of our results; valid is what these write: {}", valid.join(", ")))
}

/// The file itself without blanks.
fn compact(source: &Source) -> Option<String> {
    let value: Value = serde_json::from_slice(&source.bytes).ok()?;
    serde_json::to_string(&value).ok()
}

fn is_json(name: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("json"))
}

/// Without folders, which whoever reads the page does not have.
fn file_name(path: &str) -> String {
    path.rsplit(['/', '\\']).next().unwrap_or(path).into()
}

fn lead(judged: &[Verdict], files: usize) -> String {
    let of = text::plural(files as u64, "file", "files");
    let count = |verdict| judged.iter().filter(|one| **one == verdict).count();
    let words = |(verdict, word)| match count(verdict) {
        0 => None,
        n => Some(format!("{n} {word}")),
    };
    let told = [(Verdict::Fail, "failed"), (Verdict::Vacuous, "proved too little"), (Verdict::Pass, "passed")];
    let told: Vec<String> = told.into_iter().filter_map(words).collect();
    match judged.len() {
        0 => format!("Measurements from {of}; nothing in them is judged."),
        all => format!(
            "Of {} {}. Made from {of}.",
            text::plural(all as u64, "judged result", "judged results"),
            told.join(", ")
        ),
    }
}

/// Cases shown at the top at most; the others are in their chapters.
const MOST: usize = 50;

/// The verdict on each, and what is no pass with the line that plays it again.
fn verdicts(chapters: &[(&Source, Chapter)]) -> Section {
    let row = |(source, chapter): &(&Source, Chapter)| {
        let word = chapter.verdict.map_or("-", text::verdict_word);
        let cells = [chapter.title.clone(), word.into(), chapter.line.clone(), source.name.clone()];
        Row::new(cells).strong(chapter.verdict == Some(Verdict::Fail))
    };
    let columns = vec![Column::words("result"), Column::words("verdict"), Column::words("seen"), Column::words("file")];
    let mut cases: Vec<Case> = chapters.iter().flat_map(|(_, chapter)| chapter.cases.clone()).collect();
    cases.sort_by_key(|case| std::cmp::Reverse(case.verdict));
    // One run may break a promise many times, and a gate's sweep may be there on its own.
    let mut seen = BTreeSet::new();
    cases.retain(|case| seen.insert((case.name.clone(), case.replay.clone())));
    let more = cases.len().saturating_sub(MOST);
    cases.truncate(MOST);
    // Their stories are told in their chapters.
    cases.iter_mut().for_each(|case| case.story.clear());
    let note = if more > 0 { format!("{more} more that are no pass are in their chapters.") } else { String::new() };
    let table = Table::new(columns, chapters.iter().map(row).collect());
    Section { cases, table, ..Section::chapter("Verdict", note) }
}

/// What of these suites is no pass.
fn cases(suites: &[Suite]) -> Vec<Case> {
    let case = |suite: &Suite, name: &str, end: &End| {
        let (verdict, Told { what, story, replay }) = match end {
            End::Kept(_) | End::Skipped => return None,
            End::Untested(told) => (Verdict::Vacuous, told.clone()),
            End::Broken(told) => (Verdict::Fail, told.clone()),
        };
        Some(Case { name: format!("{} {name}", suite.name), verdict, what, story, replay })
    };
    let all = suites.iter().flat_map(|suite| suite.cases.iter().filter_map(move |(name, end)| case(suite, name, end)));
    let mut all: Vec<Case> = all.collect();
    all.sort_by_key(|case| std::cmp::Reverse(case.verdict));
    all
}

/// The section that tells what is no pass; empty if there is nothing.
fn told(cases: &[Case]) -> Section {
    Section { cases: cases.to_vec(), ..Section::part("What is no pass", "", Table::default()) }
}

/// `part` of `of` in per cent; none of nothing.
fn percent(part: u64, of: u64) -> f64 {
    100.0 * part as f64 / of.max(1) as f64
}
