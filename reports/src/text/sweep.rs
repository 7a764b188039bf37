//! A sweep: a row per scenario, what broke by scenario and invariant, and a line to play each again.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use comfy_table::{Attribute, Cell};
use harness::report::RunReport;
use harness::sweep::Tally;
use harness::verdict::{Finding, Severity, Verdict};

use super::page;
use crate::outcome::{MOST_VACUOUS_PERCENT, Sweep, is_idle};

/// Seeds named in one line.
const MOST_SEEDS: usize = 8;

/// The whole report of a sweep.
pub fn sweep(sweep: &Sweep, width: usize) -> String {
    let mut text = tallies(sweep, width);
    text.push('\n');
    text.push_str(&broken(sweep, width));
    text.push_str(&vacuous(sweep, width));
    text + &page::closing(sweep.verdict(), &line(sweep), width)
}

/// A sweep in one line.
pub fn line(sweep: &Sweep) -> String {
    let total = sweep.swept.total();
    let minutes = sweep.wall.as_secs_f64() / 60.0;
    let took = if sweep.wall.is_zero() {
        format!("{} of CPU time", page::span(Duration::from_nanos(total.cpu_ns)))
    } else {
        format!("{}, {:.0} runs/min", page::span(sweep.wall), total.runs as f64 / minutes)
    };
    let mut text = format!(
        "{} in {took}, {} simulated s per CPU-s, {}",
        page::plural(total.runs, "run", "runs"),
        speed(&total),
        page::plural(total.failed, "failed", "failed"),
    );
    if total.vacuous > 0 {
        let _ = write!(text, ", {} vacuous", page::count(total.vacuous));
    }
    if sweep.interrupted {
        let why = if sweep.missing.is_empty() { "stopped early".into() } else { sweep.missing.join("; ") };
        let _ = write!(text, ", {why}: a partial result");
    }
    text
}

fn tallies(sweep: &Sweep, width: usize) -> String {
    let header = ["scenario", "runs", "failed", "vacuous", "expected losses", "simulated s", "s per CPU-s"];
    let mut table = page::table(width, &header);
    for (name, tally) in &sweep.swept.scenarios {
        table.add_row(row(Cell::new(name), tally));
    }
    if sweep.swept.scenarios.len() > 1 {
        table.add_row(row(Cell::new("all").add_attribute(Attribute::Bold), &sweep.swept.total()));
    }
    let by = if sweep.jobs == 0 { "taken together".into() } else { format!("{} threads", sweep.jobs) };
    page::heading("Sweep", &by) + &page::finish(&table)
}

fn row(name: Cell, tally: &Tally) -> [Cell; 7] {
    let mark = |n: u64, verdict| match n {
        0 => page::number(0),
        _ => page::number_coloured(page::count(n), verdict),
    };
    [
        name,
        page::number(page::count(tally.runs)),
        mark(tally.failed, Verdict::Fail),
        mark(tally.vacuous, Verdict::Vacuous),
        page::number(page::count(tally.expected)),
        page::number(page::count(tally.world_ns / 1_000_000_000)),
        page::number(speed(tally)),
    ]
}

fn speed(tally: &Tally) -> String {
    page::count(tally.world_ns.checked_div(tally.cpu_ns).unwrap_or(0))
}

/// What broke: runs that break the same invariant in the same scenario are one entry, told by their first seed.
fn broken(sweep: &Sweep, width: usize) -> String {
    let mut groups: BTreeMap<(&str, &str), Vec<(&RunReport, &Finding)>> = BTreeMap::new();
    for report in sweep.swept.reports.iter().filter(|r| r.verdict == Verdict::Fail) {
        let gravest = report.findings.iter().find(|f| f.severity == Severity::Violation);
        if let Some(finding) = gravest {
            groups.entry((&report.scenario, &finding.invariant)).or_default().push((report, finding));
        }
    }
    if groups.is_empty() {
        return String::new();
    }
    let mut text = page::heading("Findings", "");
    for ((scenario, invariant), runs) in groups {
        text.push_str(&group(scenario, invariant, &runs, sweep, width));
    }
    let alone = sweep.swept.total().failed.saturating_sub(sweep.again.len() as u64);
    if alone > 0 {
        let left = format!(
            "  {} not run again in a fresh process",
            page::plural(alone, "failed seed was", "failed seeds were")
        );
        let _ = writeln!(text, "{}", page::paint(page::DIM, left));
    }
    text.push('\n');
    text
}

fn group(scenario: &str, invariant: &str, runs: &[(&RunReport, &Finding)], sweep: &Sweep, width: usize) -> String {
    let Some((report, finding)) = runs.first() else { return String::new() };
    let title = page::paint(page::BAD, invariant);
    let mut text = format!("  {title} broken by {scenario}, {}\n", seeds(runs));
    let words = format!("seed {}: {}", report.seed, finding.what);
    text.push_str(&page::wrap(words.split(' ').map(String::from), "    ", 4, width));
    let again = sweep.again.iter().find(|c| c.scenario == report.scenario && c.seed == report.seed);
    if let Some(confirmed) = again {
        let style = if confirmed.again.same() { page::DIM } else { page::BAD };
        let _ = writeln!(text, "    Again   {}", page::paint(style, confirmed.again.words()));
    }
    let _ = writeln!(text, "    Replay  {}", page::paint(page::BOLD, &report.replay));
    text
}

fn seeds(runs: &[(&RunReport, &Finding)]) -> String {
    let named: Vec<String> = runs.iter().take(MOST_SEEDS).map(|(r, _)| r.seed.to_string()).collect();
    let more = runs.len().saturating_sub(MOST_SEEDS);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{} {}{rest}", if runs.len() == 1 { "seed" } else { "seeds" }, named.join(" "))
}

/// What was not put to the test, by its first seed; of a scenario that spoils the sweep, if there is one.
fn vacuous(sweep: &Sweep, width: usize) -> String {
    let reports = || sweep.swept.reports.iter().filter(|r| r.verdict == Verdict::Vacuous);
    let spoils = |r: &&RunReport| sweep.swept.scenarios.get(&r.scenario).is_some_and(is_idle);
    let Some(report) = reports().find(spoils).or_else(|| reports().next()) else {
        return String::new();
    };
    let why = report.findings.iter().find(|f| f.severity == Severity::Vacuous).map_or("", |f| f.what.as_str());
    let note = format!("more than {MOST_VACUOUS_PERCENT} in 100 runs of a scenario, beyond chance, are no pass");
    let mut text = page::heading("Vacuous", &note);
    let words = format!("{} seed {}: {why}", report.scenario, report.seed);
    text.push_str(&page::wrap(words.split(' ').map(String::from), "    ", 4, width));
    let _ = writeln!(text, "    Replay  {}\n", page::paint(page::BOLD, &report.replay));
    text
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use harness::sweep::Swept;

    use super::super::fixture;
    use super::*;
    use crate::outcome::{Again, Confirmed};
    use crate::verdicts::Verdicts;

    fn clean() -> Sweep {
        let mut swept = Swept::default();
        for _ in 0..1200 {
            swept.add(fixture::passed());
        }
        let (missing, verdicts) = (vec![], Verdicts::default());
        let wall = Duration::from_millis(60_250);
        Sweep { swept, again: vec![], interrupted: false, wall, jobs: 2, missing, verdicts }
    }

    fn plain(sweep: &Sweep) -> String {
        strip_str(&super::sweep(sweep, 100)).to_string()
    }

    #[test]
    fn nothing_found() {
        insta::assert_snapshot!(plain(&clean()));
    }

    #[test]
    fn findings_are_grouped_and_confirmed() {
        let mut sweep = clean();
        for seed in 100..112 {
            sweep.swept.add(RunReport { seed, ..fixture::failed() });
        }
        sweep.swept.add(fixture::vacuous());
        let again = Again::Same { trace: fixture::failed().trace };
        sweep.again = vec![Confirmed { scenario: "power_loss".into(), seed: 100, again }];
        insta::assert_snapshot!(plain(&sweep));
    }

    #[test]
    fn a_scenario_that_mostly_proves_nothing_is_no_pass() {
        let mut sweep = clean();
        sweep.swept.add(fixture::vacuous());
        assert_eq!(sweep.verdict(), Verdict::Pass);
        for _ in 0..200 {
            sweep.swept.add(fixture::vacuous());
        }
        assert_eq!(sweep.verdict(), Verdict::Vacuous);
        let by_chance = RunReport { scenario: "a_quiet_one".into(), ..fixture::vacuous() };
        sweep.swept.add(by_chance);
        for seed in 0..9 {
            sweep.swept.add(RunReport { scenario: "a_quiet_one".into(), seed, ..fixture::passed() });
        }
        assert!(
            plain(&sweep).contains(&format!("    {} seed", fixture::vacuous().scenario)),
            "not the one that is no pass"
        );
        assert_eq!(Sweep { swept: Swept::default(), ..sweep }.verdict(), Verdict::Vacuous);
    }

    #[test]
    fn an_interrupted_sweep_says_so_and_is_no_pass() {
        let sweep = Sweep { interrupted: true, ..clean() };
        assert_eq!(sweep.verdict(), Verdict::Vacuous);
        assert!(plain(&sweep).contains("stopped early"));
    }

    #[test]
    fn a_run_that_does_not_repeat_itself_fails_the_sweep() {
        let mut sweep = clean();
        let again = Again::Differs { first: 1, second: 2 };
        sweep.again = vec![Confirmed { scenario: "power_loss".into(), seed: 100, again }];
        assert_eq!(sweep.verdict(), Verdict::Fail);
    }
}
