//! However a sweep's results are spread over files, and in whatever order those come, they amount to the same.

use harness::invariant;
use harness::report::{Cost, Evidence, RunReport};
use harness::sweep::Swept;
use harness::verdict::{Promise, Verdict};
use proptest::prelude::*;

use super::*;
use crate::outcome::{Again, Confirmed};
use crate::text::fixture;

const NAMES: [&str; 3] = ["broker_crash", "power_loss", "steady"];

fn header(seeds: (u64, u64), shard: (u64, u64)) -> Header {
    Header::new("0.1.0 abc".into(), NAMES.map(String::from).to_vec(), seeds, shard)
}

/// Some report: what a sweep counts of it follows from `salt`.
fn report(scenario: usize, seed: u64, salt: u64) -> RunReport {
    let ids = invariant::ALL.iter().enumerate().filter(|(n, _)| (salt >> (n % 40)) & 1 == 0);
    let row = |(n, row): (usize, &invariant::Row)| Evidence {
        invariant: row.id.into(),
        about: row.about.into(),
        promise: Promise::Safety,
        count: (salt >> (n % 7)) % 50,
        violations: 0,
        expected: salt % 3,
    };
    let base = match salt % 11 {
        0 => fixture::failed(),
        1 | 2 => fixture::vacuous(),
        _ => fixture::passed(),
    };
    let cost = Cost { world_ns: salt % 1000, cpu_ns: salt % 100, ..Cost::default() };
    let replay = format!("logquake run {} --seed {seed}", NAMES[scenario]);
    RunReport {
        scenario: NAMES[scenario].into(),
        seed,
        trace: salt,
        cost,
        replay,
        evidence: ids.map(row).collect(),
        ..base
    }
}

/// A run's line.
fn line(report: &RunReport, header: &Header) -> String {
    let run = Run::of(report, header).expect("a scenario of the header's");
    let line = if report.verdict == Verdict::Pass { Line::Run(run) } else { Line::Told(run, Box::new(report.clone())) };
    line.text().expect("JSON")
}

fn begun(header: &Header) -> String {
    Line::Sweep(header.clone()).text().expect("JSON")
}

fn merged<'a>(files: impl IntoIterator<Item = &'a str>) -> Result<Merged, String> {
    let mut all = None;
    for file in files {
        all = Merged::read(all, file.as_bytes()).map_err(|why| why.0)?.0;
    }
    Ok(all.expect("a header"))
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("JSON")
}

/// All runs of a sweep of so many seeds.
fn runs(salts: &[u64]) -> Vec<RunReport> {
    let place = |(n, salt): (usize, &u64)| report(n % 3, 10 + n as u64 / 3, *salt);
    salts.iter().enumerate().map(place).collect()
}

proptest! {
    #[test]
    fn any_split_in_any_order_merges_to_what_one_sweep_has(
        salts in prop::collection::vec(any::<u64>(), 1..20),
        spread in prop::collection::vec((0..4_usize, 0..4_usize), 24),
        order in Just((0..4_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let salts: Vec<u64> = salts.iter().copied().cycle().take(salts.len().div_ceil(3) * 3).collect();
        let header = header((10, 10 + salts.len() as u64 / 3), (1, 1));
        let runs = runs(&salts);
        let mut one = Swept::default();
        runs.iter().for_each(|report| one.add(report.clone()));
        one.reports.sort_by(|a, b| (&a.scenario, a.seed).cmp(&(&b.scenario, b.seed)));
        // Each line is in one file, some in two.
        let mut files = vec![begun(&header); 4];
        for (report, (first, second)) in runs.iter().zip(&spread) {
            files[*first].push_str(&line(report, &header));
            if first < second {
                files[*second].push_str(&line(report, &header));
            }
        }
        let sum = merged(order.iter().map(|n| files[*n].as_str())).unwrap();
        let outcome = sum.outcome();
        prop_assert_eq!(json(&outcome.swept), json(&one));
        prop_assert_eq!((&outcome.missing, outcome.interrupted), (&vec![], false));
        prop_assert_eq!(sum.overlap().is_empty(), runs.iter().zip(&spread).all(|(_, (first, second))| first >= second));
        let twice = merged(order.iter().chain(&order).map(|n| files[*n].as_str())).unwrap().outcome();
        prop_assert_eq!(json(&twice), json(&outcome));
        prop_assert!(sum.left().is_empty());
    }

    /// Two lives of one seed that differ, and CPU times that always do.
    #[test]
    fn what_was_run_twice_counts_once_whichever_came_first(a in any::<u64>(), b in any::<u64>(), cpu in 0..100_u64) {
        let header = header((0, 9), (1, 1));
        let again = |salt: u64| {
            let mut other = report(0, 7, salt);
            other.cost.cpu_ns = cpu;
            other
        };
        let files: Vec<String> = [report(0, 7, a), again(a), report(0, 7, b)].iter().map(|of| begun(&header) + &line(of, &header)).collect();
        let all = |order: [usize; 3]| json(&merged(order.map(|n| files[n].as_str())).unwrap().outcome());
        let first = all([0, 1, 2]);
        for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            prop_assert_eq!(&all(order), &first);
        }
        let one = merged([files[0].as_str(), files[1].as_str()]).unwrap().outcome();
        prop_assert_eq!((one.swept.total().runs, one.again.len()), (1, 0));
        let both = merged([files[0].as_str(), files[2].as_str()]).unwrap().outcome();
        let differs = both.again.iter().any(|of| matches!(of.again, Again::Differs { .. }));
        prop_assert_eq!((both.swept.total().runs, differs), (1, a != b));
        prop_assert_eq!(both.verdict() == Verdict::Fail, a != b || one.verdict() == Verdict::Fail);
    }
}

#[test]
fn what_is_missing_is_named() {
    let (ours, theirs) = (header((0, 40), (1, 4)), header((0, 40), (3, 4)));
    let of = |header: &Header, seeds: &[u64]| {
        let runs = seeds.iter().flat_map(|seed| (0..3).map(|scenario| report(scenario, *seed, 5)));
        runs.fold(begun(header), |text, run| text + &line(&run, header))
    };
    let all = of(&ours, &[0, 4, 8, 12, 16, 20, 24, 28, 32, 36]);
    let some = of(&theirs, &[2, 6, 14, 18]);
    let sum = merged([all.as_str(), &some]).unwrap();
    let told = ["parts 2, 4 of 4 are not there", "part 3/4 lacks 18 runs: seeds 10, 22, 26, 30, 34, 38"];
    assert_eq!(sum.missing(), told);
    let outcome = sum.outcome();
    assert_eq!(outcome.verdict(), Verdict::Vacuous);
    assert!(crate::text::sweep_line(&outcome).contains("lacks 18 runs"), "{}", crate::text::sweep_line(&outcome));
    assert!(json(&crate::text::sweep_line(&outcome)).contains("of CPU time"));
    // A budget that is used up is why.
    let spent = some + &Line::Spent(3).text().unwrap();
    assert_eq!(merged([all.as_str(), &spent]).unwrap().missing(), told[..1]);
    assert_eq!(merged([begun(&header((0, 40), (1, 1))).as_str()]).unwrap().missing(), ["there is no run"]);
    let open = header((3, u64::MAX), (1, 1));
    assert_eq!(
        merged([of(&open, &[3, 4]).as_str()]).unwrap().missing(),
        ["runs missing: seeds 5, 6, 7, 8, 9, 10, 11, 12, ..."]
    );
}

#[test]
fn what_is_left_is_what_one_goes_on_with() {
    let header = header((4, 50), (2, 3));
    let mut sum = Merged::new(header.clone());
    assert_eq!(sum.left(), [(4..50, vec![0, 1, 2])]);
    for (scenario, seed) in [(0, 4), (1, 4), (2, 4), (0, 7), (2, 10)] {
        sum.add(Run::of(&report(scenario, seed, 5), &header).unwrap(), None);
    }
    assert_eq!(sum.left(), [(7..8, vec![1, 2]), (10..11, vec![0, 1]), (11..50, vec![0, 1, 2])]);
}

#[test]
fn other_sweeps_are_refused_with_the_reason() {
    let own = header((0, 9), (1, 2));
    let with = |change: &dyn Fn(&mut Header)| {
        let mut other = own.clone();
        change(&mut other);
        merged([begun(&own).as_str(), &begun(&other)]).map(|_| String::new()).unwrap_or_else(|why| why)
    };
    assert_eq!(with(&|_| {}), "");
    assert_eq!(with(&|other| other.shard.0 = 2), "");
    assert_eq!(
        with(&|other| other.program = "0.1.0 xyz".into()),
        "it is made by another program: 0.1.0 xyz, not 0.1.0 abc"
    );
    assert_eq!(with(&|other| other.seeds = (0, 10)), "it is of other seeds: 0..10, not 0..9");
    assert_eq!(with(&|other| other.shard.1 = 3), "it is one of 3 parts, not of 2");
    let gone = with(&|other| _ = other.scenarios.remove(1));
    assert_eq!(gone, "it is of other scenarios: 2, not 3, without power_loss");
    assert!(with(&|other| other.scenarios.reverse()).ends_with("in another order"));
    let alien = begun(&own) + "[3,4,\"pass\",1,0,5,[],9]\n";
    assert!(merged([alien.as_str()]).unwrap_err().starts_with("line 2: seed 4 of scenario 3 is none"));
    assert!(merged([(begun(&own) + "[0,4\n").as_str()]).unwrap_err().starts_with("line 2: "));
    assert!(merged(["{}\n"]).unwrap_err().contains("no journal"));
}

#[test]
fn half_a_last_line_is_left_out_and_said() {
    let header = header((0, 9), (1, 1));
    let whole = begun(&header) + &line(&report(0, 3, 5), &header);
    let torn = whole.clone() + &line(&report(1, 3, 11), &header);
    for cut in whole.len()..=torn.len() {
        let (all, read) = Merged::read(None, torn.as_bytes()[..cut].as_ref()).unwrap();
        let bytes = if cut == torn.len() { cut } else { whole.len() };
        let is_torn = (whole.len() + 1..torn.len()).contains(&cut);
        assert!(matches!(read, Read::Whole { bytes: at, torn } if at == bytes as u64 && torn == is_torn), "{read:?}");
        assert_eq!(all.unwrap().len(), if cut == torn.len() { 2 } else { 1 });
    }
    for cut in 0..begun(&header).len() {
        let (all, read) = Merged::read(None, &whole.as_bytes()[..cut]).unwrap();
        assert!(all.is_none() && matches!(read, Read::Nothing), "{read:?}");
    }
}

#[test]
fn confirmations_come_along_and_failed_runs_without_one_are_known() {
    let header = header((0, 9), (1, 1));
    let told = |again| Line::Again(Confirmed { scenario: "broker_crash".into(), seed: 3, again }).text().unwrap();
    let text = begun(&header) + &line(&report(0, 3, 11), &header) + &line(&report(1, 3, 22), &header);
    assert_eq!(merged([text.as_str()]).unwrap().unconfirmed().count(), 2);
    let same = text.clone() + &told(Again::Same { trace: 11 });
    let died = text + &told(Again::Died { said: "no".into() });
    let sum = merged([same.as_str()]).unwrap();
    assert_eq!((sum.unconfirmed().count(), sum.outcome().again.len()), (1, 1));
    for files in [[same.as_str(), &died], [died.as_str(), &same]] {
        let outcome = merged(files).unwrap().outcome();
        assert!(matches!(outcome.again[..], [Confirmed { again: Again::Died { .. }, .. }]), "{:?}", outcome.again);
    }
    let replays: Vec<String> = sum.outcome().swept.reports.iter().map(|report| report.replay.clone()).collect();
    assert_eq!(replays, ["logquake run broker_crash --seed 3", "logquake run power_loss --seed 3"]);
}

#[test]
fn half_a_million_runs_are_about_a_hundred_megabytes() {
    let header = header((0, 1_000_000), (1, 1));
    let mut run = fixture::passed();
    run.evidence = invariant::ALL
        .iter()
        .take(27)
        .map(|row| Evidence { invariant: row.id.into(), count: 1312, ..fixture::passed().evidence[0].clone() })
        .collect();
    run.seed = 499_999;
    assert!(line(&run, &header).len() < 220, "{}", line(&run, &header));
}
