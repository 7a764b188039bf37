//! `bench compare`: brokers under the same load, in turns, as ratios with what they are worth.

use ::load::compared::{Compared, Pair};
use ::load::statistics::Ratio;

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

pub(super) fn is(input: &Input<'_>) -> bool {
    input.lists(&["workload", "sides", "pairs"])
}

pub(super) fn read(input: &Input<'_>) -> Result<Chapter, String> {
    let compared: Vec<Compared> = input.parse()?;
    let mut all: Vec<Named<'_>> = Vec::new();
    for of in &compared {
        all.extend(of.pairs.iter().map(|pair| (of.workload.as_str(), pair)));
    }
    let (mut ahead, mut behind, mut equal) = (0, 0, 0);
    for (ratio, more) in
        ALL.iter().flat_map(|(_, more, of)| all.iter().filter_map(move |(_, pair)| Some((of(pair)?, *more))))
    {
        let count = match ratio.tells_apart() {
            false => &mut equal,
            true if (ratio.median > 1.0) == more => &mut ahead,
            true => &mut behind,
        };
        *count += 1;
    }
    let first = all.first().map_or("nothing", |(_, pair)| pair.first.as_str());
    let line = match ahead + behind + equal {
        0 => format!("{first}: no ratio, in no round both came to a result"),
        _ => format!("{first}: ahead in {ahead}, behind in {behind}, no difference shown in {equal}"),
    };
    let sections = ALL.iter().filter_map(|what| section(&all, what)).collect();
    let figure = |(workload, pair): &Named<'_>, (name, more, of): &What| {
        let name = format!("{workload}: {} for that of {}", name.to_lowercase(), pair.other);
        let ratio = of(pair)?.median;
        Some(if *more { Figure::more(name, ratio, "") } else { Figure::less(name, ratio, "") })
    };
    let figures = all.iter().flat_map(|pair| ALL.iter().filter_map(move |what| figure(pair, what))).collect();
    Ok(Chapter { title: "Bench compare".into(), line, sections, figures, ..Chapter::default() })
}

/// Of one kind of ratio; nothing if there is none.
fn section(all: &[Named<'_>], (title, more, of): &What) -> Option<Section> {
    let known: Vec<(&Named<'_>, Ratio)> = all.iter().filter_map(|named| Some((named, of(named.1)?))).collect();
    // There is little room for names.
    let other = &known.first()?.0.1.other;
    let alone = known.iter().all(|((_, pair), _)| pair.other == *other);
    let bar = |((workload, pair), ratio): &(&Named<'_>, Ratio)| {
        let range = ratio.interval.unwrap_or((ratio.median, ratio.median));
        let name = if alone { (*workload).to_owned() } else { format!("{workload} / {}", pair.other) };
        let behind = ratio.tells_apart() && (ratio.median > 1.0) != *more;
        Bar { range, ..Bar::new(name, ratio.median, format!("{:.2}", ratio.median)) }.main(behind)
    };
    let bars: Vec<Bar> = known.iter().map(bar).chain([Bar::new("as the other", 1.0, "1.00")]).collect();
    let chart = chart::across(&bars).unwrap_or_default();
    let row = |((workload, pair), ratio): &(&Named<'_>, Ratio)| {
        let interval = ratio.interval.map_or("too few rounds".into(), |(low, high)| format!("{low:.3}..{high:.3}"));
        let shown = match (ratio.tells_apart(), (ratio.median > 1.0) == *more) {
            (false, _) => "no difference shown",
            (true, true) => "ahead",
            (true, false) => "behind",
        };
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
        "The first for the other, median of rounds that were measured in turns: {better} than 1 is better. A line over the interval \
         of 95 %; where the first is behind beyond doubt, the bar has the other colour."
    );
    Some(Section::part(*title, "", Table::new(columns, known.iter().map(row).collect())).drawn(chart, says))
}
