//! `bench compare`: brokers under the same load, in turns, as ratios with what they are worth.

use ::load::compared::{Compared, Pair};
use ::load::outcome::{Outcome, grouped};
use ::load::rounds::Rounds;
use ::load::statistics::{Ratio, Shows};

use super::{Chapter, Figure, Input};
use crate::chart::{self, Bar};
use crate::document::{Column, Row, Section, Table};

/// Two targets, and the workload that they were under.
type Named<'a> = (&'a str, &'a Pair);

/// What is compared, and whether more of it is better.
type What = (&'static str, bool, fn(&Pair) -> Option<Ratio>);

const ALL: [What; 4] = [
    ("Throughput", true, |pair| pair.rate),
    ("Throughput, at least: the generator was the first's limit", true, |pair| pair.at_least),
    ("Publish p99", false, |pair| pair.p99),
    ("Processor time a megabyte", false, |pair| pair.cpu_per_mb),
];

/// What the first is, in the order in which they are counted.
const IS: [&str; 4] = ["ahead", "behind", "no difference shown", "too few rounds"];

pub(super) fn is(input: &Input<'_>) -> bool {
    input.lists(&["workload", "sides", "pairs"])
}

pub(super) fn read(input: &Input<'_>) -> Result<Chapter, String> {
    let compared: Vec<Compared> = input.parse()?;
    let mut all: Vec<Named<'_>> = Vec::new();
    for of in &compared {
        all.extend(of.pairs.iter().map(|pair| (of.workload.as_str(), pair)));
    }
    let ratios =
        || ALL.iter().flat_map(|(_, more, of)| all.iter().filter_map(|(_, pair)| Some(is_it(of(pair)?, *more))));
    let counts: Vec<String> = IS
        .iter()
        .map(|is| (is, ratios().filter(|it| it == is).count()))
        .filter(|(_, n)| *n > 0)
        .map(|(is, n)| format!("{is} in {n}"))
        .collect();
    let first = all.first().map_or("nothing", |(_, pair)| pair.first.as_str());
    let line = if counts.is_empty() { "no ratio, in no round both came to a result".into() } else { counts.join(", ") };
    let sections = ALL.iter().filter_map(|what| section(&all, what)).chain(sides(&compared)).collect();
    let figure = |(workload, pair): &Named<'_>, (name, more, of): &What| {
        let name = format!("{workload}: {} for that of {}", name.to_lowercase(), pair.other);
        let ratio = of(pair)?.median;
        Some(if *more { Figure::more(name, ratio, "") } else { Figure::less(name, ratio, "") })
    };
    let figures = all.iter().flat_map(|pair| ALL.iter().filter_map(move |what| figure(pair, what))).collect();
    Ok(Chapter {
        title: "Bench compare".into(),
        line: format!("{first}: {line}"),
        sections,
        figures,
        ..Chapter::default()
    })
}

/// One of [`IS`].
fn is_it(ratio: Ratio, more: bool) -> &'static str {
    IS[match ratio.shows() {
        Shows::More => usize::from(!more),
        Shows::Less => usize::from(more),
        Shows::NoDifference => 2,
        Shows::TooFewRounds => 3,
    }]
}

/// Of one kind of ratio; nothing if there is none.
fn section(all: &[Named<'_>], (title, more, of): &What) -> Option<Section> {
    let known: Vec<(&Named<'_>, Ratio)> = all.iter().filter_map(|named| Some((named, of(named.1)?))).collect();
    known.first()?;
    let bar = |((_, pair), ratio): &(&Named<'_>, Ratio)| {
        let range = ratio.interval.unwrap_or((ratio.median, ratio.median));
        let behind = is_it(*ratio, *more) == "behind";
        Bar { range, ..Bar::new(short(&pair.other), ratio.median, format!("{:.2}", ratio.median)) }.main(behind)
    };
    let groups: Vec<(&str, Vec<Bar>)> =
        known.chunk_by(|((a, _), _), ((b, _), _)| a == b).map(|of| (of[0].0.0, of.iter().map(bar).collect())).collect();
    let chart = chart::ratios(&groups).unwrap_or_default();
    let row = |((workload, pair), ratio): &(&Named<'_>, Ratio)| {
        let interval = ratio.interval.map_or("-".into(), |(low, high)| format!("{low:.3}..{high:.3}"));
        let shown = is_it(*ratio, *more);
        let results = format!("{} and {}", pair.results.0, pair.results.1);
        let [workload, first, other] = [*workload, &pair.first, &pair.other].map(str::to_owned);
        let cells = [workload, first, other, format!("{:.3}", ratio.median), interval, shown.into(), results];
        Row::new(cells).strong(shown == "behind")
    };
    let columns = vec![
        Column::words("workload"),
        Column::words("first"),
        Column::words("other"),
        Column::numbers("first / other"),
        Column::numbers("95 %"),
        Column::words("the first is"),
        Column::words("results"),
    ];
    let better = if *more { "more" } else { "less" };
    let says = format!(
        "The first for the other, median of rounds that were measured in turns, on a logarithmic scale: {better} than 1, the \
         upright line, is better. A line over the interval of 95 %, if there were rounds enough for one; where the first is \
         behind beyond doubt, the bar has the other colour."
    );
    Some(Section::part(*title, "", Table::new(columns, known.iter().map(row).collect())).drawn(chart, says))
}

/// A target without what it is, for which there is no room.
fn short(target: &str) -> &str {
    let name = target.split_once(',').map_or(target, |(name, _)| name);
    name.strip_prefix("peer:").unwrap_or(name)
}

/// What each came to by itself; nothing if nobody was measured.
fn sides(compared: &[Compared]) -> Option<Section> {
    let rows: Vec<Row> = compared.iter().flat_map(|of| &of.sides).map(side).collect();
    rows.first()?;
    let columns = vec![
        Column::words("workload"),
        Column::words("broker"),
        Column::numbers("records/s"),
        Column::numbers("MB/s"),
        Column::numbers("p50 us"),
        Column::numbers("p99 us"),
        Column::numbers("cores"),
        Column::numbers("CPU s/GB"),
        Column::numbers("flushes/ack"),
        Column::words("results"),
        Column::words("why others are none"),
    ];
    let note = "Medians of each one's results; where none is one, of all its rounds.";
    Some(Section::part("What each came to", note, Table::new(columns, rows)))
}

fn side(side: &Rounds) -> Row {
    let used = |of: fn(&Outcome) -> Option<f64>, places: usize| {
        side.median(of).map_or("-".into(), |median| format!("{median:.places$}"))
    };
    let latency = |us: f64| if us > 0.0 { format!("{us:.0}") } else { "-".into() };
    let why: Vec<String> = side.reasons().iter().map(|(why, count)| format!("{count}: {why}")).collect();
    Row::new([
        side.workload.clone(),
        side.outcomes.first().map_or(String::new(), |outcome| outcome.target.clone()),
        grouped(side.rate.median),
        format!("{:.1}", side.megabytes.median),
        latency(side.p50_us.median),
        latency(side.p99_us.median),
        used(|o| o.used.broker, 2),
        used(|o| o.cpu_s_per_gb, 2),
        used(|o| o.flushes_per_ack, 4),
        format!("{} of {}", side.results(), side.outcomes.len()),
        why.join("; "),
    ])
}
