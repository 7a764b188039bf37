//! A plan as a document: the answer first, then what it rests on, then how it follows.

use super::derivation::range;
use super::input;
use super::loss::FULL;
use super::unit::Kind;
use super::{Answer, Plan, Source};
use crate::chart;
use crate::document::{Column, Document, Row, Section, Step, Table};

/// Parts of the derivation that are results of their own.
const RESULTS: &[&str] = &["Losing one broker", "Falling behind and catching up"];

/// What one is told of `plan`.
pub fn document(plan: &Plan) -> Document {
    let mut sections = vec![answer(plan), resources(plan), margins(plan)];
    sections.extend(RESULTS.iter().map(|part| results(plan, part)));
    sections.extend([sensitivity(plan), inputs(plan)]);
    sections.extend(derivation(plan));
    Document { title: "Capacity plan".into(), lead: lead(plan), sections, ..Document::default() }
}

fn lead(plan: &Plan) -> String {
    let (times, next) = plan.next;
    let so_many = |answer: &Answer, one: &str, many: &str| {
        let range = answer.range().map_or(String::new(), |range| format!(" ({range})"));
        format!("{}{range} {}", answer.show(), if answer.nominal == 1.0 { one } else { many })
    };
    format!(
        "{}, {}, {}, {}. {} binds: it asks for {} times as many brokers as {next}, which is next.",
        so_many(&plan.brokers, "broker", "brokers"),
        so_many(&plan.partitions, "partition", "partitions"),
        so_many(&plan.consumers, "consumer a group", "consumers a group"),
        so_many(&plan.stored, "on disk", "on disk"),
        capital(plan.binds),
        so_many_times(times),
    )
}

/// With a decimal where that says something.
fn so_many_times(times: f64) -> String {
    if times < 100.0 { format!("{times:.1}") } else { Kind::Count.show(times) }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

fn answer(plan: &Plan) -> Section {
    let row = |name: &str, answer: &Answer| Row::new([name.into(), answer.show(), answer.range().unwrap_or_default()]);
    let lost = format!("brokers, {} of which may be lost", plan.lost);
    let rows = vec![
        row(if plan.lost > 0.0 { &lost } else { "brokers" }, &plan.brokers).strong(true),
        row("partitions", &plan.partitions),
        row("consumers of a group", &plan.consumers),
        row("on disk, all replicas", &plan.stored),
        row("records at the peak", &plan.peak),
    ];
    let columns = vec![Column::words(""), Column::numbers("nominal"), Column::numbers("range")];
    let note = if plan.inputs.iter().any(|input| input.given.low != input.given.high) {
        "The range is what comes of all inputs at their favourable and at their unfavourable ends."
    } else {
        "No input was given a range (as 400..600B or 10x±20%), so there is none here."
    };
    Section { title: "Answer".into(), note: note.into(), table: Table::new(columns, rows), ..Section::default() }
}

fn resources(plan: &Plan) -> Section {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let rows = plan.resources.iter().map(|one| {
        let cells = [
            one.name.into(),
            one.demand.clone(),
            one.each.clone(),
            one.brokers.show(),
            one.brokers.range().unwrap_or_default(),
            percent(one.headroom),
            percent(one.headroom_after_loss),
        ];
        Row::new(cells).strong(one.name == plan.binds)
    });
    let rows: Vec<Row> = rows.collect();
    let columns = vec![
        Column::words("resource"),
        Column::numbers("all need"),
        Column::numbers("one gives"),
        Column::numbers("brokers"),
        Column::numbers("range"),
        Column::numbers("headroom"),
        Column::numbers("after loss"),
    ];
    let (times, next) = plan.next;
    let note = format!(
        "{} binds, {} times {next}. What one gives is what is left of it by its margin; headroom is what is left of that \
         with {} brokers, and after the loss of {}.",
        capital(plan.binds),
        so_many_times(times),
        plan.brokers.show(),
        plan.lost,
    );
    let bar = |one: &super::Resource| {
        let brokers = &one.brokers;
        chart::Bar::between(one.name, brokers.nominal, (brokers.low, brokers.high)).main(one.name == plan.binds)
    };
    let bars: Vec<chart::Bar> = plan.resources.iter().map(bar).collect();
    let table = Table::new(columns, rows);
    let chart_says =
        "Brokers that each resource asks for, before any are added for loss; a line where it may be fewer or more.";
    Section {
        title: "Brokers by resource".into(),
        note,
        chart: chart::across(&bars).unwrap_or_default(),
        chart_says: chart_says.into(),
        table,
        ..Section::default()
    }
}

fn margins(plan: &Plan) -> Section {
    let last = plan.margins.len().saturating_sub(1);
    let row = |(at, margin): (usize, &super::Margin)| {
        Row::new([margin.with.clone(), margin.brokers.to_string(), margin.binds.into()]).strong(at == last)
    };
    let rows = plan.margins.iter().enumerate().map(row).collect();
    let columns = vec![Column::words("with"), Column::numbers("brokers"), Column::words("binds")];
    let note = "What the bare load needs, what each margin alone adds to that, and all of them.";
    Section {
        title: "What margins cost".into(),
        note: note.into(),
        table: Table::new(columns, rows),
        ..Section::default()
    }
}

/// The results of one part of the derivation.
fn results(plan: &Plan, part: &str) -> Section {
    let lines = plan.lines.iter().filter(|line| line.part == part);
    let rows =
        lines.map(|line| Row::new([line.name.into(), line.result(), line.range().unwrap_or_default()])).collect();
    let columns = vec![Column::words(""), Column::numbers("nominal"), Column::numbers("range")];
    let (chart, chart_says) = if part == RESULTS[1] && plan.burst.peak_lag().get() > 0.0 {
        let says = "How far a group is behind, in records, from the beginning of the peak until it has caught up.";
        (chart::lag(&plan.burst).unwrap_or_default(), says.into())
    } else {
        Default::default()
    };
    let note = if part == RESULTS[0] { loss_note(plan) } else { lag_note(plan) };
    let (note, table) = (note.into(), Table::new(columns, rows));
    Section { title: part.into(), note, chart, chart_says, table, ..Section::default() }
}

fn loss_note(plan: &Plan) -> &'static str {
    let single = plan.inputs.iter().any(|one| one.name == input::REPLICATION.row.name && one.given.nominal < 2.0);
    let too_full = plan.line(FULL).is_none_or(|line| line.nominal > 1.0);
    if single {
        "With one replica there is nothing to copy it from: what a lost broker has is lost."
    } else if too_full {
        "The disks of those that are left cannot hold it all: some partitions stay short of a replica until there is a broker \
         again. --lose-brokers 1, or a smaller --fill, makes room."
    } else {
        ""
    }
}

fn lag_note(plan: &Plan) -> &'static str {
    if plan.burst.pace <= plan.burst.base {
        "So many consumers do not keep up with the average: they never catch up."
    } else {
        ""
    }
}

fn sensitivity(plan: &Plan) -> Section {
    let decided = |name: &str| input::find(name).is_some_and(|row| row.decided);
    let row = |one: &super::Sensitivity| {
        let show = |brokers: Option<f64>| brokers.map_or("-".into(), |brokers| brokers.to_string());
        let more = if decided(one.input) { format!("one more: {}", show(one.more)) } else { show(one.more) };
        let moves = format!("{:+.1} %", one.moves * 100.0);
        Row::new([one.input.into(), show(one.less), more, show(one.half_more), moves])
    };
    let rows = plan.sensitivity.iter().map(row).collect();
    let columns = vec![
        Column::words("input"),
        Column::numbers("10 % less"),
        Column::numbers("10 % more"),
        Column::numbers("50 % more"),
        Column::numbers("moves need by"),
    ];
    let first = plan.sensitivity.first().filter(|one| one.moves != 0.0);
    let most = plan.sensitivity.iter().filter(|one| first.is_some_and(|first| alike(one.moves, first.moves)));
    let most: Vec<&str> = most.filter(|one| !decided(one.input)).map(|one| one.input).collect();
    let mut note = match most.as_slice() {
        [] => String::new(),
        [one] => format!("{one} moves the answer most. "),
        many => format!("{} move the answer most. ", many.join(", ")),
    };
    note.push_str(
        "Brokers if one input were otherwise; by how much a tenth more of it moves the need, before it is rounded up.",
    );
    if !plan.idle.is_empty() {
        note.push_str(&format!(" Half as much again, or one more, changes nothing: {}.", plan.idle.join(", ")));
    }
    Section { title: "Sensitivity".into(), note, table: Table::new(columns, rows), ..Section::default() }
}

fn alike(one: f64, other: f64) -> bool {
    (one.abs() - other.abs()).abs() < 1e-6
}

fn inputs(plan: &Plan) -> Section {
    let mut rows = Vec::new();
    for one in &plan.inputs {
        let given = &one.given;
        let between = range(one.unit, given.low, given.high).unwrap_or_default();
        let cells =
            [one.name.into(), one.unit.show(given.nominal), between, one.given.source.to_string(), one.about.into()];
        rows.push(Row::new(cells));
    }
    let columns = vec![
        Column::words("input"),
        Column::numbers("value"),
        Column::numbers("range"),
        Column::words("where from"),
        Column::words("what it is").spare(),
    ];
    Section { title: "Inputs".into(), note: unmeasured(plan), table: Table::new(columns, rows), ..Section::default() }
}

/// Which numbers nobody has measured or even stated.
fn unmeasured(plan: &Plan) -> String {
    let assumed = plan.inputs.iter().filter(|one| matches!(one.given.source, Source::Default(_))).count();
    let measured = plan.inputs.iter().filter(|one| matches!(one.given.source, Source::Measured(_))).count();
    let all = plan.inputs.len();
    let stated = all - assumed - measured;
    let ask = if measured == 0 {
        " None was measured: `logquake bench load --json`, `bench cluster --json` and `bench log --json` print what --measured takes."
    } else {
        ""
    };
    format!("Of {all} inputs {stated} were stated, {measured} measured, {assumed} are defaults: check those.{ask}")
}

/// A section for each part.
fn derivation(plan: &Plan) -> impl Iterator<Item = Section> {
    let step = |line: &super::Line| {
        let result = line.result();
        Step {
            name: line.name.into(),
            formula: line.formula.clone(),
            with: if line.with == result { String::new() } else { line.with.clone() },
            range: line.range().unwrap_or_default(),
            result,
        }
    };
    plan.lines.chunk_by(|one, other| one.part == other.part).enumerate().map(move |(at, lines)| {
        let note = if at == 0 { "What a line is called, later ones call it." } else { "" };
        let title = format!("Derivation: {}", lines.first().map_or("", |line| line.part).to_lowercase());
        Section { title, note: note.into(), steps: lines.iter().map(step).collect(), ..Section::default() }
    })
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::super::tests::{TEXTBOOK, inputs};
    use super::super::{Plan, plan};
    use super::*;
    use crate::document::{html, markdown};
    use crate::text;

    fn textbook() -> Plan {
        plan(&inputs(TEXTBOOK)).expect("a plan")
    }

    fn of_ranges() -> Plan {
        let load = [("rate", "80k..120k/s"), ("size", "1kB±20%"), ("compression", "2..4")];
        let rest = [("lose-racks", "1"), ("consumer-rate", "900..1100/s"), ("max-delay", "10min")];
        plan(&inputs(&[&load[..], &rest[..]].concat())).expect("a plan")
    }

    #[test]
    fn the_textbook_case_on_a_terminal() {
        insta::assert_snapshot!(strip_str(&text::document(&document(&textbook()), 80)).to_string());
    }

    #[test]
    fn ranges_as_markdown() {
        insta::assert_snapshot!(markdown(&document(&of_ranges())));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in [60, 80, 120, 160] {
            let text = strip_str(&text::document(&document(&of_ranges()), width)).to_string();
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(width), "{widest:?} in {width}: {text}");
        }
    }

    #[test]
    fn every_number_of_the_answer_is_on_the_page() {
        let plan = of_ranges();
        let page = html(&document(&plan)).expect("a page");
        for answer in [&plan.brokers, &plan.partitions, &plan.consumers, &plan.stored, &plan.peak] {
            assert!(page.contains(&format!(">{}<", answer.show())), "{answer:?}");
            assert!(page.contains(&format!(">{}<", answer.range().expect("a range"))), "{answer:?}");
        }
        for line in &plan.lines {
            assert!(page.contains(&format!("<th scope=\"row\">{}</th>", line.name)), "{}", line.name);
        }
        assert_eq!(page.matches("<svg").count(), 2);
    }

    #[test]
    fn what_is_amiss_is_said() {
        let stated = [("rate", "5k/s"), ("replication", "1"), ("consumer-rate", "1k/s"), ("consumers", "5")];
        let text = text::document(&document(&plan(&inputs(&stated)).expect("a plan")), 200);
        assert!(text.contains("what a lost broker has is lost") && text.contains("they never catch up"), "{text}");
        let replicated = text::document(&document(&textbook()), 200);
        assert!(!replicated.contains("cannot hold it all"), "{replicated}");
        let stated =
            [("rate", "115741/s"), ("size", "500B"), ("disk", "10TB"), ("fill", "100%"), ("lose-brokers", "0")];
        let tight = text::document(&document(&plan(&inputs(&stated)).expect("a plan")), 200);
        assert!(tight.contains("105") && tight.contains("cannot hold it all"), "{tight}");
    }
}
