//! Pages of files as our commands write them.

use std::time::Duration;

use ::load::arrivals::Arrivals;
use ::load::backlog::Backlog;
use ::load::events::{Episode, What};
use ::load::limits::{Bound, Floor};
use ::load::machine::Used;
use ::load::outcome::{Checks, Figures, Outcome, Quantiles};
use ::load::over::Place;
use ::load::rounds::Rounds;
use ::load::spec::{Drive, Reading, Spec};
use ::load::steady::Window;
use harness::bench::cluster::{self, ClusterBench, Plain, Turn};
use harness::bench::log::{self, Beside, LogBench};
use harness::bench::rebalance::{Costs, Row as Storm};
use harness::contract::Contract;
use harness::history::file::{Header, Writer};
use harness::history::synth::{Shape, Synth};
use harness::invariant::Rules;
use harness::report::RunReport;
use harness::verdict::Verdict;
use proptest::prelude::*;
use serde::Serialize;

use super::*;
use crate::capacity::{plan, tests as capacity};
use crate::document::{html, markdown};
use crate::outcome::{Determinism, Gate, Hunted};
use crate::suite::tests::mixed;
use crate::text::{Step, fixture};

fn json(name: &str, value: &impl Serialize) -> Source {
    Source { name: name.into(), bytes: serde_json::to_vec(value).expect("JSON") }
}

fn hunted(defect: &str, found: u64, ms: u64) -> Hunted {
    Hunted {
        defect: defect.into(),
        scenario: "power_loss".into(),
        expected: vec!["W3".into()],
        found_by: if found > 0 { vec!["W3".into()] } else { vec![] },
        others: vec![],
        hunts: 5,
        found,
        seeds_median: 3,
        cpu_median: Duration::from_millis(ms),
        cpu_p90: Duration::from_millis(3 * ms),
        strikes: Some(1),
        drawn: Some(1),
        replay: Some(format!("logquake run power_loss --seed 7 --keep 1 --planted {defect}")),
    }
}

fn planted() -> Vec<Hunted> {
    vec![hunted("st-ack-before-fsync", 5, 450), hunted("canary", 5, 20), hunted("st-torn", 0, 0)]
}

fn gate() -> Gate {
    let step =
        |name: &str, verdict| Step { name: name.into(), verdict, detail: "seen".into(), wall: Duration::from_secs(3) };
    let wall = Duration::from_secs(1);
    Gate {
        verdict: Verdict::Fail,
        steps: vec![step("meta", Verdict::Pass), step("sweep", Verdict::Fail)],
        determinism: Some(Determinism { equal: 3, events: 100, unequal: vec![], interrupted: false, wall }),
        planted: Some(planted()),
        back: vec![fixture::failed()],
        costs: vec![],
        sweep: Some(mixed()),
    }
}

fn bench_log() -> LogBench {
    let beside = Beside { log: 900.0, plain: 1000.0, ratio: (0.9, 0.8, 0.95) };
    let options = log::Options::default();
    let (append, fetch, commit, commit_one) = (beside, beside, beside, beside);
    LogBench { options, append, fetch, commit, commit_one, recovery: (2000.0, 1900.0, 2100.0), page_us: 1.2 }
}

fn bench_cluster() -> ClusterBench {
    let (turn, plain) = (Turn { rate: 300.0, client: 1.0, nodes: 2.0 }, Plain { rate: 900.0, cpu: 0.5 });
    let row = cluster::Row {
        batch_bytes: 65_536,
        one: turn,
        three: Turn { rate: 120.0, ..turn },
        plain_one: plain,
        plain_three: Plain { rate: 300.0, ..plain },
        ratio: (0.4, 0.38, 0.42),
        cores: 0.43,
        disk: (0.33, 0.3, 0.35),
    };
    ClusterBench { options: cluster::Options::default(), rows: vec![row] }
}

fn storms() -> Costs {
    let row = |protocol: &'static str, idle_per_mille| Storm {
        protocol: protocol.into(),
        members: 3,
        runs: 10,
        delivered: 1000,
        again: 12,
        idle_per_mille,
        requests: 30.5,
        ..Storm::default()
    };
    Costs(vec![row("eager", 40.0), row("cooperative", 12.5)])
}

fn bench_load() -> Rounds {
    let checks = Checks { sent: 1000, acked: 1000, read: 1000, ..Checks::default() };
    let figures = Figures { counted: 1000, seconds: 2.0, checks, pages_us: [Some(0.7), Some(0.8)] };
    let outcome = Outcome::new(&Spec::default(), "own", Used::default(), Vec::new(), figures);
    // This machine's own are not the same everywhere.
    let outcome = Outcome { kernel: None, congestion: None, cpus: 2, ..outcome };
    let bound = Bound { by: "write() into the page cache".into(), rate: 2000.0 };
    Rounds::of("sequential_append/1KiB".into(), vec![outcome]).beside(bound, None)
}

#[test]
fn a_bench_says_what_it_is_worth() {
    let source = json("load.json", &[bench_load()]);
    let page = page(std::slice::from_ref(&source), None).unwrap_or_else(|why| panic!("{why}"));
    let text = markdown(&page);
    for told in ["500", "0.25", "write() into the page cache", "1 of 1", "a result"] {
        assert!(text.contains(told), "{told}: {text}");
    }
}

#[test]
fn what_comes_at_a_rate_is_held_against_what_it_must_take() {
    let drive = Drive::Open { rate: 500.0, arrivals: Arrivals::Fixed };
    let mut rounds = bench_load();
    for outcome in &mut rounds.outcomes {
        (outcome.spec.drive, outcome.publish.p50) = (drive, 90);
    }
    let bound = Bound { by: "write() into the page cache".into(), rate: 2000.0 };
    let floor = Floor { by: "a round trip of 100 bytes".into(), us: 30.0 };
    let open = Rounds::of("tail_read/1k".into(), rounds.outcomes).beside(bound, Some(floor));
    assert!(open.to_string().contains("p50 is 3.0 times a round trip of 100 bytes: 30 us"), "{open}");
    let source = json("load.json", &[open]);
    let text = markdown(&page(std::slice::from_ref(&source), None).unwrap_or_else(|why| panic!("{why}")));
    for told in ["3.0", "a round trip of 100 bytes", "0.2500 of write() into the page cache"] {
        assert!(text.contains(told), "{told}: {text}");
    }
    assert!(!text.contains("Beside the machine's limits"), "a rate that was asked for is near no limit: {text}");
}

/// A round in which something happened.
fn eventful() -> Rounds {
    let mut rounds = bench_load();
    let of = &mut rounds.outcomes[0];
    let window = |n: u64| Window { at_ms: 1000 + n * 500, records: 50, p50_us: 100, p99_us: 9000, lag: n };
    of.windows = (0..12).map(window).collect();
    of.spec.reading = Reading::Tail { groups: 1 };
    let quantiles = Quantiles { count: 5, p50: 777, p99: 888_888, ..Quantiles::default() };
    of.calm = Some(quantiles);
    of.episodes = vec![Episode {
        what: What::Kill,
        node: 0,
        from_ms: 2000,
        cured_ms: 3000,
        over_ms: Some(3500),
        silent_ms: 1234.0,
        all_silent_ms: 1200.0,
        unread_ms: None,
        publish: quantiles,
        end_to_end: None,
    }];
    of.backlog = Some(Backlog { records: 5000, drain_s: 2.5, drained: true, from_ms: 4000, ..Backlog::default() });
    rounds
}

#[test]
fn what_happened_is_told_beside_what_was_measured() {
    let text = markdown(&page(&[json("load.json", &[eventful()])], None).unwrap_or_else(|why| panic!("{why}")));
    for told in ["its course", "kill -9", "1.50", "1.23", "888888", "5,000 records, worked off in 2.50 s"] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let chapter = load::read(&Input::new(&json("load.json", &[eventful()]))).expect("a chapter");
    let drawn = chapter.sections.iter().find(|section| section.title.contains("course")).expect("its course");
    assert!(drawn.chart.contains("kill -9") && drawn.chart.contains("catching up"), "{}", drawn.chart);
}

#[test]
fn a_sweep_is_drawn_with_its_law() {
    let at = |value: u64| {
        let place = Place { case: "many".into(), axis: "producers".into(), value, law: None };
        let mut rounds = Rounds { over: Some(place), ..bench_load() };
        rounds.rate.median *= (value as f64).sqrt();
        rounds
    };
    let mut all: Vec<Rounds> = [1, 4, 16, 64].into_iter().map(at).collect();
    let law = ::load::over::law(&all.iter().collect::<Vec<_>>());
    assert!(law.is_some());
    all.iter_mut().filter_map(|one| one.over.as_mut()).for_each(|place| place.law.clone_from(&law));
    let text = markdown(&page(&[json("load.json", &all)], None).unwrap_or_else(|why| panic!("{why}")));
    for told in ["many over producers", "by the law", "4,000", "contention"] {
        assert!(text.contains(told), "{told}: {text}");
    }
}

fn bench_search() -> serde_json::Value {
    let trial = |rate: f64, held: bool| {
        let mut outcome = bench_load().outcomes.remove(0);
        outcome.publish =
            Quantiles { count: 9, p50: 120, p99: if held { 900 } else { 90_000 }, ..Quantiles::default() };
        serde_json::json!({ "rate": rate, "held": held, "outcome": outcome })
    };
    let trials = [trial(1e4, true), trial(2e4, true), trial(4e4, false)];
    serde_json::json!([{ "workload": "tail_read/10k", "p99_us": 20_000, "highest": 2e4, "trials": trials,
                         "curve": [trial(2e3, true)] }])
}

#[test]
fn a_search_shows_what_was_sustained() {
    let chapter = search::read(&Input::new(&json("search.json", &bench_search()))).expect("a chapter");
    assert!(chapter.line.contains("tail_read/10k: 20,000 records/s"), "{}", chapter.line);
    let rates: Vec<&str> = chapter.sections[0].table.rows.iter().map(|row| &*row.cells[0]).collect();
    assert_eq!(rates, ["2,000", "10,000", "20,000", "40,000"]);
    // Of the rate that was not sustained the two latencies that there are stand alone.
    assert_eq!(chapter.sections[0].chart.matches("<circle").count(), 2, "{}", chapter.sections[0].chart);
}

fn bench_compare() -> serde_json::Value {
    let ratio = |median: f64| serde_json::json!({ "median": median, "interval": [median * 0.9, median * 1.05] });
    let pair = |other: &str, rate: f64, p99: f64| {
        serde_json::json!({ "first": "own", "other": other, "rate": ratio(rate), "p99": ratio(p99),
                            "cpu_per_mb": null, "results": [7, 6] })
    };
    serde_json::json!([{ "workload": "append", "sides": [], "pairs": [pair("redis", 2.5, 2.0), pair("nats", 1.01, 0.5)] }])
}

#[test]
fn a_comparison_says_who_is_ahead() {
    let chapter = versus::read(&Input::new(&json("compare.json", &bench_compare()))).expect("a chapter");
    assert_eq!(chapter.line, "own: ahead in 2, behind in 1, no difference shown in 1");
    let told: Vec<&str> =
        chapter.sections.iter().flat_map(|of| of.table.rows.iter().map(|row| &*row.cells[5])).collect();
    assert_eq!(told, ["ahead", "no difference shown", "behind", "ahead"]);
    let titles = |chapter: &Chapter| chapter.sections.iter().map(|of| of.title.clone()).collect::<Vec<_>>();
    assert_eq!(titles(&chapter), ["Throughput", "Publish p99"]);
    // The generator was the limit; or nothing came to a result.
    let mut value = bench_compare();
    for pair in value[0]["pairs"].as_array_mut().expect("pairs") {
        pair["at_least"] = pair["rate"].take();
        pair["p99"] = serde_json::Value::Null;
    }
    let chapter = versus::read(&Input::new(&json("compare.json", &value))).expect("a chapter");
    assert_eq!(titles(&chapter), ["Throughput, at least: the generator was the first's limit"]);
    assert_eq!(chapter.line, "own: ahead in 1, no difference shown in 1");
    for pair in value[0]["pairs"].as_array_mut().expect("pairs") {
        pair["at_least"] = serde_json::Value::Null;
    }
    let chapter = versus::read(&Input::new(&json("compare.json", &value))).expect("a chapter");
    assert!(chapter.sections.is_empty() && chapter.line.contains("no ratio"), "{}", chapter.line);
}

fn history() -> Source {
    let shape = Shape::default();
    let header = Header::new("steady", 7, &Rules::new(Contract::default(), 3));
    let mut writer = Writer::new(Vec::new(), &header).expect("a writer");
    Synth::new(shape, 4).for_each(|event| writer.note(&event).expect("written"));
    Source { name: "steady.jsonl.zst".into(), bytes: writer.finish().expect("a file") }
}

/// One of each kind, in the order of the table.
fn each() -> Vec<Source> {
    vec![
        history(),
        json("run.json", &fixture::failed()),
        json("sweep.json", &mixed()),
        json("gate.json", &gate()),
        json("planted.json", &planted()),
        json("log.json", &bench_log()),
        json("cluster.json", &bench_cluster()),
        json("rebalance.json", &storms()),
        json("load.json", &[bench_load()]),
        json("search.json", &bench_search()),
        json("compare.json", &bench_compare()),
        json("plan.json", &plan(&capacity::inputs(capacity::TEXTBOOK)).expect("a plan")),
    ]
}

#[test]
fn each_kind_is_recognised_and_no_other_takes_it_for_its_own() {
    let each = each();
    assert_eq!(each.len(), KINDS.len());
    for (source, kind) in each.iter().zip(KINDS) {
        let input = Input::new(source);
        let takes: Vec<&str> = KINDS.iter().filter(|kind| (kind.is)(&input)).map(|kind| kind.name).collect();
        assert_eq!(takes, [kind.name], "{}", source.name);
        let page = page(std::slice::from_ref(source), None).unwrap_or_else(|why| panic!("{why}"));
        assert!(page.sections.iter().any(|section| section.title.ends_with(&source.name)), "{}", source.name);
        assert_eq!(page.data.len(), 1);
    }
}

#[test]
fn a_page_of_everything() {
    let document = page(&each()[1..], None).expect("a page");
    let told = markdown(&document);
    // What a plan says is told in its own snapshot.
    let told = told.split("\n## Capacity plan").next().expect("text");
    insta::assert_snapshot!(told);
}

#[test]
fn a_page_of_a_history_shows_it_over_time() {
    let document = page(&[history()], None).expect("a page");
    let find = |title: &str| document.sections.iter().find(|section| section.title == title);
    let tide = find("Throughput, latency and lag").expect("a section");
    assert!(tide.chart.contains("<svg") && tide.table.rows.len() > 100, "{}", tide.table.rows.len());
    assert!(find("Promises").is_some_and(|section| !section.table.rows.is_empty()));
    assert!(document.data[0].json.contains("\"over_time\"") && document.data[0].name == "steady.jsonl.zst.json");
}

#[test]
fn the_page_needs_nothing_else_and_every_chart_has_its_numbers() {
    let document = page(&each(), None).expect("a page");
    let page = html(&document).expect("HTML");
    for outside in ["http://", "https://", "url(", "@import", "src=", "<link", "fetch("] {
        let foreign = page.matches(outside).count();
        // The namespace of SVG is a name and no address.
        let names = if outside == "http://" { page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count() } else { 0 };
        assert_eq!(foreign, names, "{outside}");
    }
    for section in document.sections.iter().filter(|section| !section.chart.is_empty()) {
        assert!(!section.table.rows.is_empty() && !section.chart_says.is_empty(), "{}", section.title);
        assert!(
            section.table.rows.iter().all(|row| row.cells.len() == section.table.columns.len()),
            "{}",
            section.title
        );
    }
    assert_eq!(page.matches("<svg ").count(), page.matches("role=\"img\" aria-labelledby=\"t").count());
    assert_eq!(page.matches("application/json\" class").count(), each().len());
    let json =
        page.split("json\" class=\"data\">").nth(3).and_then(|rest| rest.split("</script>").next()).expect("data");
    let back: Value = serde_json::from_str(json).expect("JSON");
    assert!(back == serde_json::from_slice::<Value>(&each()[2].bytes).expect("JSON"), "the data are not the file's");
}

#[test]
fn anything_else_is_refused_with_what_is_valid() {
    for bytes in ["", "{}", "[]", "[{}]", "7", "no JSON", "{\"rows\": []}"] {
        let source = Source { name: "x.json".into(), bytes: bytes.into() };
        let refused = page(&[source], None).expect_err(bytes);
        assert!(
            refused.0.starts_with("x.json is none of our results") && refused.0.contains("sweep|merge --json"),
            "{refused}"
        );
    }
    let half = Source { name: "x.json".into(), bytes: br#"{"swept": 1, "again": [], "jobs": 2}"#.into() };
    let refused = page(&[half], None).expect_err("a sweep of nothing");
    assert!(refused.0.contains("looks like what `logquake sweep|merge --json` writes, but: "), "{refused}");
    let torn = Source { bytes: history().bytes[..400].to_vec(), ..history() };
    assert!(page(&[torn], None).is_err_and(|refused| refused.0.contains("breaks off")));
}

#[test]
fn a_baseline_is_compared_with_its_kind_alone() {
    let mut slow = bench_log();
    slow.append.ratio.0 = 0.45;
    let (now, base) = (json("now.json", &slow), json("base.json", &bench_log()));
    let document = page(&[json("storms.json", &storms()), now.clone()], Some(&base)).expect("a page");
    let compared: Vec<&Section> =
        document.sections.iter().filter(|one| one.title.contains("beside base.json")).collect();
    assert_eq!(compared.len(), 1);
    assert_eq!(compared[0].table.rows[0].cells, ["append, beside its limit", "0.900", "0.450", "0.50", "worse"]);
    let refused = page(&[json("storms.json", &storms())], Some(&base)).expect_err("nothing to compare with");
    assert!(refused.0.contains("'bench log'"), "{refused}");
}

#[test]
fn a_baseline_that_is_the_same_has_nothing_to_tell() {
    for source in each() {
        let document = page(std::slice::from_ref(&source), Some(&source)).expect("a page");
        let compared = document.sections.iter().find(|one| one.title.contains(" beside ")).expect("a section");
        // What judging a history takes differs each time.
        let rows = compared.table.rows.iter().filter(|row| row.cells[0] != "CPU time").count();
        assert_eq!(rows, 0, "{}: {:?}", source.name, compared.table.rows);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// A name may be anything: the page has the same elements.
    #[test]
    fn whatever_a_scenario_is_called_it_is_no_markup(name in "[<>&\"'/a-z-]{1,12}") {
        let of = |name: &str| {
            let name = format!("</script><script>{name}");
            let run = RunReport { scenario: name.clone(), replay: name.clone(), ..fixture::failed() };
            let mut swept = mixed();
            swept.swept.scenarios.insert(name.clone(), Default::default());
            swept.swept.reports.push(run.clone());
            let defect = Hunted { replay: Some(name.clone()), ..hunted(&name, 0, 1) };
            let sources = [json(&name, &run), json("s", &swept), json("p", &vec![defect])];
            html(&page(&sources, None).expect("a page")).expect("HTML")
        };
        let (plain, page) = (of("x"), of(&name));
        prop_assert_eq!(page.matches("<script").count(), plain.matches("<script").count());
        prop_assert_eq!(page.matches("</script").count(), plain.matches("</script").count());
        prop_assert_eq!(plain.matches("<script").count(), 4);
        prop_assert!(!page.contains("<script>x"));
    }
}
