//! A sweep: what became of each scenario's runs, what they put to the test, and what broke.

use std::collections::BTreeMap;

use harness::report::RunReport;
use harness::sweep::Tally;
use harness::verdict::Verdict;

use super::{Chapter, Figure, Input, cases, percent, told};
use crate::chart::{self, Heat};
use crate::document::{Column, Row, Section, Table};
use crate::outcome::Sweep;
use crate::verdicts::{Count, Seeds};
use crate::{suite, text};

pub(super) fn is(input: &Input<'_>) -> bool {
    input.has(&["swept", "again", "jobs"])
}

pub(super) fn read(input: &Input<'_>) -> Result<Chapter, String> {
    Ok(chapter(&input.parse()?))
}

/// The chapter of a sweep.
pub(super) fn chapter(sweep: &Sweep) -> Chapter {
    let cases = cases(&suite::sweep(sweep));
    let sections = vec![told(&cases), outcomes(sweep), by_seed(sweep), tested(sweep), seeds(sweep)];
    let (verdict, line) = (Some(sweep.verdict()), text::sweep_line(sweep));
    Chapter { title: "Sweep".into(), verdict, line, cases, sections, figures: figures(sweep), json: None }
}

const fn passed(tally: &Tally) -> u64 {
    tally.runs.saturating_sub(tally.failed + tally.vacuous)
}

fn outcomes(sweep: &Sweep) -> Section {
    let place = |count: u64, of: &Tally, bad| Heat {
        share: percent(count, of.runs) / 100.0,
        says: text::count(count),
        bad: bad && count > 0,
        absent: false,
    };
    let places =
        |of: &Tally| vec![place(passed(of), of, false), place(of.vacuous, of, false), place(of.failed, of, true)];
    let rows: Vec<(&str, Vec<Heat>)> =
        sweep.swept.scenarios.iter().map(|(name, tally)| (name.as_str(), places(tally))).collect();
    let chart = chart::heat(&["passed", "vacuous", "failed"], &rows, true).unwrap_or_default();
    let row = |(name, of): (&str, &Tally)| {
        let counts = [of.runs, passed(of), of.vacuous, of.failed, of.expected, of.world_ns / 1_000_000_000];
        let [runs, passed, vacuous, failed, expected, world] = counts.map(text::count);
        let speed = text::count(of.world_ns.checked_div(of.cpu_ns).unwrap_or(0));
        Row::new([name.into(), runs, passed, vacuous, failed, expected, world, speed]).strong(of.failed > 0)
    };
    let total = sweep.swept.total();
    let all = sweep.swept.scenarios.iter().map(|(name, tally)| (name.as_str(), tally)).chain([("all", &total)]);
    let columns = vec![
        Column::words("scenario"),
        Column::numbers("runs"),
        Column::numbers("passed"),
        Column::numbers("vacuous"),
        Column::numbers("failed"),
        Column::numbers("expected losses"),
        Column::numbers("simulated s"),
        Column::numbers("s per CPU-s"),
    ];
    let says = "Runs by scenario and by what became of them: the fuller the colour, the larger their share of the scenario's runs.";
    Section::part("Outcomes by scenario", "", Table::new(columns, all.map(row).collect())).drawn(chart, says)
}

/// Places in a row of seeds at most.
const PLACES: u64 = 40;
/// Every so manieth place is named by its first seed.
const NAMED: usize = 5;
/// Seeds named in a cell of the table.
const FEW: usize = 12;

/// What became of which seeds: the same seed of all scenarios stands in one column.
fn by_seed(sweep: &Sweep) -> Section {
    let Some((from, until)) = sweep.verdicts.span() else { return Section::default() };
    let each = (until - from).div_ceil(PLACES).max(sweep.verdicts.step());
    let begins = |n: u64| from.saturating_add(n.saturating_mul(each));
    let count = (until - from).div_ceil(each);
    let place = |of: &Seeds, n: u64| {
        let count = of.count(begins(n), begins(n + 1).min(until));
        let (bad, runs) = (count.failed > 0, count.runs());
        let says = match count {
            Count { failed: 1..=9, .. } => count.failed.to_string(),
            Count { failed: 10.., .. } => "+".into(),
            Count { vacuous: 1.., .. } => "v".into(),
            Count { .. } => String::new(),
        };
        // One failure in ten thousand runs is what one looks for: it must not be pale.
        let share =
            if bad { 0.6 + 0.4 * percent(count.failed, runs) / 100.0 } else { percent(count.vacuous, runs) / 100.0 };
        Heat { share, says, bad, absent: runs == 0 }
    };
    let all = &sweep.verdicts.0;
    let rows: Vec<(&str, Vec<Heat>)> =
        all.iter().map(|(name, of)| (name.as_str(), (0..count).map(|n| place(of, n)).collect())).collect();
    let name = |n: usize| if n.is_multiple_of(NAMED) { begins(n as u64).to_string() } else { String::new() };
    let names: Vec<String> = (0..rows.first().map_or(0, |(_, places)| places.len())).map(name).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let chart = chart::heat(&names, &rows, false).unwrap_or_default();
    let row = |(name, of): (&String, &Seeds)| {
        let Count { passed, vacuous, failed } = of.count(from, until);
        let which = |count: u64, verdict| {
            let first: Vec<String> = of.which(verdict).take(FEW).map(|seed| seed.to_string()).collect();
            if count > FEW as u64 {
                format!("{}: {}, ...", text::count(count), first.join(", "))
            } else {
                first.join(", ")
            }
        };
        let cells = [
            name.clone(),
            text::count(passed + vacuous + failed),
            which(failed, Verdict::Fail),
            which(vacuous, Verdict::Vacuous),
        ];
        Row::new(cells).strong(failed > 0)
    };
    let columns = vec![
        Column::words("scenario"),
        Column::numbers("seeds run"),
        Column::words("those that failed"),
        Column::words("those that proved nothing"),
    ];
    let seeds = if each == 1 { "one seed a place".into() } else { format!("{} seeds a place", text::count(each)) };
    let says = format!(
        "Seeds {from} to {} from left to right, {seeds}: a number, how many failed (+: more than nine); v, some proved nothing; an \
         empty frame, all passed; no frame, none was run. The fuller the colour, the larger their share.",
        until - 1
    );
    let table = Table::new(columns, all.iter().map(row).collect());
    Section { wide: true, ..Section::part("Outcomes by seed", "", table).drawn(chart, says) }
}

/// Letters first, then the number: B3 comes before B19.
fn order(id: &str) -> (String, u64, String) {
    let letters: String = id.chars().take_while(char::is_ascii_alphabetic).collect();
    let digits: String = id.chars().skip(letters.len()).take_while(char::is_ascii_digit).collect();
    (letters, digits.parse().unwrap_or(0), id.into())
}

fn tested(sweep: &Sweep) -> Section {
    let mut ids: Vec<&str> = sweep.swept.invariants.values().flat_map(BTreeMap::keys).map(String::as_str).collect();
    ids.sort_by_key(|id| order(id));
    ids.dedup();
    let runs = |scenario: &str| sweep.swept.scenarios.get(scenario).map_or(0, |tally| tally.runs);
    let mut rows = Vec::new();
    let mut table = Vec::new();
    for (scenario, judged) in &sweep.swept.invariants {
        let share = |id: &&str| judged.get(*id).map_or(0.0, |one| percent(one.runs, runs(scenario)) / 100.0);
        let heat = |id| Heat { share: share(id), ..Heat::default() };
        rows.push((scenario.as_str(), ids.iter().map(heat).collect()));
        let told = ids.iter().filter_map(|id| Some((id, judged.get(*id)?)));
        let words: Vec<String> = told.map(|(id, one)| format!("{id} {}", one.runs)).collect();
        table.push(Row::new([scenario.clone(), text::count(runs(scenario)), words.join(", ")]));
    }
    let chart = if ids.is_empty() { String::new() } else { chart::heat(&ids, &rows, false).unwrap_or_default() };
    let columns = vec![
        Column::words("scenario"),
        Column::numbers("runs"),
        Column::words("promise, and in how many runs it was tested"),
    ];
    let says = "Promises by scenario: the fuller the colour, the larger the share of its runs that put the promise to the test. Empty: none, \
                or none has to.";
    let section = Section::part("What was put to the test", "", Table::new(columns, table)).drawn(chart, says);
    Section { wide: true, ..section }
}

/// Every run that did not pass and was kept.
fn seeds(sweep: &Sweep) -> Section {
    let row = |report: &RunReport| {
        let first = report.findings.first();
        let what = first.map_or(String::new(), |finding| format!("{}: {}", finding.invariant, finding.what));
        let word = text::verdict_word(report.verdict).to_lowercase();
        let cells = [report.scenario.clone(), report.seed.to_string(), word, what, report.replay.clone()];
        Row::new(cells).strong(report.verdict == Verdict::Fail)
    };
    let columns = vec![
        Column::words("scenario"),
        Column::numbers("seed"),
        Column::words("which"),
        Column::words("first finding"),
        Column::words("replay").spare(),
    ];
    let table = Table::new(columns, sweep.swept.reports.iter().map(row).collect());
    let note = "A scenario may have a vacuous seed now and then: some draw a run too short or too gentle.";
    Section { folded: true, ..Section::part("Runs that did not pass", note, table) }
}

fn figures(sweep: &Sweep) -> Vec<Figure> {
    let total = sweep.swept.total();
    let mut all = vec![
        Figure::neither("runs", total.runs as f64, ""),
        Figure::less("failed runs", total.failed as f64, ""),
        Figure::less("vacuous runs", percent(total.vacuous, total.runs), "%"),
        Figure::more("simulated s per CPU-s", total.world_ns as f64 / total.cpu_ns.max(1) as f64, ""),
    ];
    // Parts that were taken together have none.
    if !sweep.wall.is_zero() {
        let per_minute = total.runs as f64 * 60.0 / sweep.wall.as_secs_f64();
        all.insert(3, Figure::more("runs a minute", per_minute, ""));
    }
    for (name, tally) in &sweep.swept.scenarios {
        all.push(Figure::less(format!("{name}: failed"), percent(tally.failed, tally.runs), "% of runs"));
        all.push(Figure::less(format!("{name}: vacuous"), percent(tally.vacuous, tally.runs), "% of runs"));
    }
    all
}

#[cfg(test)]
mod tests {
    use harness::verdict::Verdict;

    use crate::suite::tests::mixed;
    use crate::verdicts::Verdicts;

    #[test]
    fn each_seed_has_its_place_in_the_heat_map() {
        let small = super::by_seed(&mixed());
        let cells: Vec<_> = small.table.rows.iter().map(|row| row.cells.join("|")).collect();
        assert_eq!(cells, ["broker_crash|8||", "power_loss|2|3, 5|", "quiet|8||0, 1, 2, 3, 4, 5, 6, 7"]);
        // Two of the second row failed; its other six seeds were not run.
        let count = |what: &str| small.chart.matches(what).count();
        assert_eq!((count("fill=\"#D55E00\""), count("fill=\"#0072B2\"")), (2, 8), "{}", small.chart);
        assert_eq!(count("stroke=\"#708090\""), 8 + 2 + 8, "{}", small.chart);
        let many = |seed| if seed % 100 == 7 { Verdict::Fail } else { Verdict::Pass };
        let verdicts = Verdicts::of((0..500_000).map(|seed| ("steady", seed, many(seed))));
        let large = super::by_seed(&crate::outcome::Sweep { verdicts, ..mixed() });
        assert!(large.table.rows[0].cells[2].starts_with("5,000: 7, 107, "), "{:?}", large.table.rows[0]);
        assert_eq!(large.chart.matches("fill=\"#D55E00\"").count(), 40);
        assert!(large.chart_says.contains("12,500 seeds a place"), "{}", large.chart_says);
    }

    #[test]
    fn promises_stand_in_the_order_of_their_numbers() {
        let mut ids = vec!["B19", "RUN", "B3", "W1", "B18g", "B18"];
        ids.sort_by_key(|id| super::order(id));
        assert_eq!(ids, ["B3", "B18", "B18g", "B19", "RUN", "W1"]);
    }
}
