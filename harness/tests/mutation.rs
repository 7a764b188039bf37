//! The checker sees: every mutation of a good history that breaks a promise is caught, by an invariant that is meant to
//! catch it, wherever the mutation is made; the history itself, unmutated, gives no finding.

use harness::contract::Contract;
use harness::history::mutate::{Index, Mutation, all, of_apps, of_clusters, of_epochs, of_groups};
use harness::history::synth::{Shape, Synth, apps, copies, groups};
use harness::history::{Event, Kind};
use harness::invariant::{Checked, Checker, Rules};
use harness::verdict::{Severity, Verdict};
use proptest::prelude::*;

/// Judges a history that goes on, in silence, until every call in it is overdue.
fn check(events: &[Event], rules: &Rules) -> Checked {
    let mut checker = Checker::new(rules.clone());
    events.iter().for_each(|e| checker.see(e));
    let last = events.iter().map(|e| e.at).max().unwrap_or(0);
    checker.end(last + (rules.contract.call_deadline_ms + 1) * 1_000_000)
}

/// A good history and what it is judged by; without facts if `white_box` is false.
fn good(shape: Shape, seed: u64, white_box: bool) -> (Vec<Event>, Rules) {
    let events = Synth::new(shape, seed).filter(|e| white_box || !matches!(e.kind, Kind::Fact { .. })).collect();
    (events, Rules { white_box, ..Synth::rules(shape) })
}

/// What went uncaught, if it did.
fn escapes(mutation: &Mutation, events: &[Event], rules: &Rules, site: usize) -> Option<String> {
    let mut mutated = events.to_vec();
    (mutation.make)(&mut mutated, site);
    let checked = check(&mutated, rules);
    let caught = mutation.finds.iter().any(|id| checked.violates(id));
    let said = || checked.findings.iter().map(|f| format!("{}: {}", f.invariant, f.what)).collect::<Vec<_>>();
    (!caught).then(|| format!("`{}` at {site}: {:?}; found {:?}", mutation.name, events[site], said()))
}

fn shapes() -> impl Strategy<Value = Shape> {
    let parts = (60u64..600, 1u32..5, 1u32..4, 1u32..3, 1u64..6, 0u64..60);
    parts.prop_map(|(ops, producers, partitions, tailers, batch, crashes)| Shape {
        ops,
        producers,
        partitions,
        tailers,
        batch,
        crashes,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_good_history_gives_no_finding(shape in shapes(), seed in any::<u64>(), white_box in any::<bool>()) {
        let (events, rules) = good(shape, seed, white_box);
        let checked = check(&events, &rules);
        // A short history may be vacuous: nothing crashed, nobody polled.
        let broken: Vec<_> = checked.findings.iter().filter(|f| f.severity != Severity::Vacuous).collect();
        prop_assert!(broken.is_empty(), "{:#?}", broken);
    }

    #[test]
    fn every_mutation_is_caught(shape in shapes(), seed in any::<u64>(), pick in any::<prop::sample::Index>()) {
        for white_box in [true, false] {
            let (events, rules) = good(shape, seed, white_box);
            let index = Index::of(&events);
            for mutation in all().filter(|m| white_box || m.black_box) {
                let sites = (mutation.sites)(&index);
                if !sites.is_empty() {
                    let escaped = escapes(mutation, &events, &rules, sites[pick.index(sites.len())]);
                    prop_assert!(escaped.is_none(), "{}", escaped.unwrap_or_default());
                }
            }
        }
    }
}

/// Not a sample: every mutation at every place of one history, with facts and without.
#[test]
fn every_mutation_is_caught_at_every_place() {
    let shape = Shape { ops: 250, crashes: 60, ..Shape::default() };
    // The first history in which every mutation can be made.
    let offers = |seed: &u64| {
        let (events, _) = good(shape, *seed, true);
        let index = Index::of(&events);
        all().all(|m| !(m.sites)(&index).is_empty())
    };
    let seed = (0..100).find(offers).expect("no history offers a place for every mutation");
    for white_box in [true, false] {
        let (events, rules) = good(shape, seed, white_box);
        assert_ne!(check(&events, &rules).verdict, Verdict::Fail);
        let index = Index::of(&events);
        for mutation in all().filter(|m| white_box || m.black_box) {
            let sites = (mutation.sites)(&index);
            let escaped: Vec<_> = sites.iter().filter_map(|s| escapes(mutation, &events, &rules, *s)).collect();
            assert!(escaped.is_empty(), "{} of {} escaped: {:#?}", escaped.len(), sites.len(), &escaped[..1]);
        }
    }
}

/// The same of clusters: three brokers, with elections, and every mutation at every place.
#[test]
fn every_mutation_of_a_cluster_is_caught_at_every_place() {
    let shape = Shape { ops: 200, crashes: 60, ..Shape::default() };
    let history = |seed: u64| copies::on_three(Synth::new(shape, seed), shape);
    let offers = |seed: &u64| {
        let events = history(*seed);
        let index = Index::of(&events);
        of_clusters().all(|m| !(m.sites)(&index).is_empty())
    };
    let seed = (0..100).find(offers).expect("no history offers a place for every mutation");
    let (events, rules) = (history(seed), copies::rules(shape));
    assert_ne!(check(&events, &rules).verdict, Verdict::Fail);
    let index = Index::of(&events);
    for mutation in of_clusters() {
        let sites = (mutation.sites)(&index);
        let escaped: Vec<_> = sites.iter().filter_map(|s| escapes(mutation, &events, &rules, *s)).collect();
        assert!(escaped.is_empty(), "{} of {} escaped: {:#?}", escaped.len(), sites.len(), &escaped[..1]);
    }
}

/// The same of consumer groups, with facts and without: a group beside a good history, and every mutation at every place.
#[test]
fn every_mutation_of_a_group_is_caught_at_every_place() {
    // Nobody sends more than there is.
    let rules = |shape: Shape| {
        let rules = groups::rules(shape);
        Rules { contract: Contract { lag_bound: shape.ops, ..rules.contract }, ..rules }
    };
    beside(groups::beside, rules, of_groups);
}

/// The same where the members of a group are in epochs of their own (KIP-848).
#[test]
fn every_mutation_of_a_group_of_the_newer_protocol_is_caught_at_every_place() {
    beside(groups::newer_beside, groups::rules, of_epochs);
}

/// The same of applications.
#[test]
fn every_mutation_of_an_application_is_caught_at_every_place() {
    beside(apps::beside, apps::rules, of_apps);
}

/// Every one of `mutations` at every place of a good history with something `beside` it, with facts and without.
fn beside<M: Iterator<Item = &'static Mutation>>(
    beside: fn(Synth, u64) -> Vec<Event>,
    rules: fn(Shape) -> Rules,
    mutations: impl Fn() -> M,
) {
    let shape = Shape { ops: 200, crashes: 20, ..Shape::default() };
    let history = |seed: u64| beside(Synth::new(shape, seed), seed);
    let offers = |seed: &u64| {
        let events = history(*seed);
        let index = Index::of(&events);
        mutations().all(|m| !(m.sites)(&index).is_empty())
    };
    let seed = (0..100).find(offers).expect("no history offers a place for every mutation");
    for white_box in [true, false] {
        let events: Vec<Event> =
            history(seed).into_iter().filter(|e| white_box || !matches!(e.kind, Kind::Fact { .. })).collect();
        let rules = Rules { white_box, ..rules(shape) };
        assert_ne!(check(&events, &rules).verdict, Verdict::Fail, "{:#?}", check(&events, &rules).findings);
        let index = Index::of(&events);
        for mutation in mutations() {
            let sites = (mutation.sites)(&index);
            let escaped: Vec<_> = sites.iter().filter_map(|s| escapes(mutation, &events, &rules, *s)).collect();
            assert!(escaped.is_empty(), "{} of {} escaped: {:#?}", escaped.len(), sites.len(), &escaped[..1]);
        }
    }
}

/// Numbers at the ends of their ranges, as a foreign file may hold them, are findings and no panic.
#[test]
fn hostile_numbers_are_found_and_do_no_harm() {
    let shape = Shape { ops: 120, crashes: 60, ..Shape::default() };
    let (events, rules) = (groups::beside(Synth::new(shape, 3), 3), groups::rules(shape));
    let numbers = ["9223372036854775807", "-9223372036854775808", "-1"];
    let text: Vec<_> = events.iter().map(|e| serde_json::to_string(e).expect("an event is JSON")).collect();
    for field in ["offset", "position", "high", "last", "base", "log_end", "log_start", "upto", "end", "seq", "records"]
    {
        for number in numbers {
            let spoilt = |line: &String| serde_json::from_str(&spoil(line, field, number)).ok();
            let hostile: Vec<Event> = text.iter().filter_map(spoilt).collect();
            assert!(check(&hostile, &rules).events == hostile.len() as u64);
        }
    }
}

/// The line with each number of that field replaced.
fn spoil(line: &str, field: &str, number: &str) -> String {
    let key = format!("\"{field}\":");
    let mut parts = line.split(&key);
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c == '-' || c.is_ascii_digit());
        out += &format!("{key}{number}{rest}");
    }
    out
}
