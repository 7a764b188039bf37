//! Single runs: what they print, record and replay, and the pages that are made of it.

use harness::history::Event;
use harness::history::file::Reader;
use harness::report::RunReport;

use super::{code, err, logquake, out, wrong};

#[test]
fn a_run_ends_in_its_replay_line() {
    let output = logquake(&["run", "steady", "--seed", "3"]);
    assert_eq!(code(&output), 0, "{}", out(&output));
    assert_eq!(out(&output).lines().last(), Some("Replay  logquake run steady --seed 3"));
}

#[test]
fn a_report_in_json_is_the_report() {
    let output = logquake(&["run", "power_loss", "--seed", "3", "--json"]);
    let report: RunReport = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!((report.scenario.as_str(), report.seed), ("power_loss", 3));
    assert_eq!(report.replay, "logquake run power_loss --seed 3");
}

#[test]
fn a_history_is_the_same_on_the_standard_output_and_in_a_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("steady.jsonl.zst");
    let plain = out(&logquake(&["run", "steady", "--seed", "3", "--history", "-"]));
    let streamed: Vec<Event> = plain.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    assert!(streamed.len() > 100);
    let name = path.to_str().expect("UTF-8");
    assert_eq!(code(&logquake(&["run", "steady", "--seed", "3", "--history", name])), 0);
    #[expect(clippy::disallowed_methods, reason = "a test reads what the program wrote")]
    let file = std::fs::File::open(&path).expect("written");
    let (header, events) = Reader::new(file).expect("a history");
    assert_eq!((header.scenario.as_str(), header.seed), ("steady", 3));
    let filed: Vec<Event> = events.map(|event| event.expect("an event")).collect();
    assert!(filed == streamed, "the file holds another history");
}

/// The history of a run, written without compression.
fn plain_history(dir: &std::path::Path, run: &[&str]) -> String {
    let path = dir.join("history.jsonl.zst");
    let name = path.to_str().expect("UTF-8");
    logquake(&[run, &["--history", name]].concat());
    #[expect(clippy::disallowed_methods, reason = "a test reads what the program wrote")]
    let (header, events) = Reader::new(std::fs::File::open(&path).expect("written")).expect("a history");
    let mut plain = serde_json::to_string(&header).expect("JSON") + "\n";
    for event in events {
        plain += &(serde_json::to_string(&event.expect("an event")).expect("JSON") + "\n");
    }
    plain
}

#[test]
fn a_recorded_history_is_judged_as_its_run_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = out(&logquake(&["run", "power_loss", "--seed", "3"]));
    let plain = plain_history(dir.path(), &["run", "power_loss", "--seed", "3"]);
    let path = dir.path().join("plain.jsonl");
    let check = |plain: &str| {
        #[expect(clippy::disallowed_methods, reason = "a test writes what the program reads")]
        std::fs::write(&path, plain).expect("written");
        logquake(&["check", path.to_str().expect("UTF-8")])
    };
    let good = check(&plain);
    assert_eq!(code(&good), 0, "{}", out(&good));
    let compressed = logquake(&["check", dir.path().join("history.jsonl.zst").to_str().expect("UTF-8")]);
    for told in [&good, &compressed] {
        for line in run.lines().filter(|l| l.starts_with("Trace ") || l.starts_with(" B3 ") || l.starts_with(" W16")) {
            assert!(out(told).contains(line), "{line} is not in\n{}", out(told));
        }
    }
    // The same history, but a record that was acknowledged is not in the final read.
    let is_last = |line: &&str| line.contains(r#""kind":"deliver""#) && line.contains(r#""last":true"#);
    let gone = plain.lines().find(is_last).expect("a final read");
    let bad = check(&plain.replace(&format!("{gone}\n"), ""));
    assert_eq!(code(&bad), 1, "{}", out(&bad));
    assert!(out(&bad).contains("B3 violation"), "{}", out(&bad));
    let torn = check(&plain[..plain.len() - 9]);
    assert_eq!(code(&torn), 4);
    assert!(err(&torn).contains("was not written to its end"), "{}", err(&torn));
    let missing = logquake(&["check", "/nonexistent/x.jsonl"]);
    assert!(code(&missing) == 4 && err(&missing).contains("cannot read /nonexistent/x.jsonl"), "{}", err(&missing));
}

#[test]
fn a_trace_is_what_viewers_open() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("trace.json");
    let output = logquake(&["run", "broker_crash", "--seed", "3", "--trace", path.to_str().expect("UTF-8")]);
    assert_eq!(out(&output).lines().last(), Some("Replay  logquake run broker_crash --seed 3"));
    #[expect(clippy::disallowed_methods, reason = "a test reads what the program wrote")]
    let bytes = std::fs::read(&path).expect("written");
    let trace: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("traceEvents");
    assert!(events.iter().any(|e| e["ph"] == "X") && events.iter().all(|e| e["pid"].is_u64()));
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let output = logquake(&["run", "steady", "--history", "/nonexistent/x.jsonl"]);
    assert_eq!(code(&output), 4);
    assert!(err(&output).contains("/nonexistent/x.jsonl"), "{}", err(&output));
}

#[test]
fn the_same_seed_in_two_processes_is_the_same_run() {
    let output = logquake(&["meta", "steady", "power_loss", "--seeds", "0..2"]);
    assert_eq!(code(&output), 0, "{}{}", out(&output), err(&output));
    assert!(out(&output).contains("4 pairs of processes equal byte for byte"), "{}", out(&output));
}

#[test]
fn a_replay_is_the_same_run_again() {
    for words in [&["replay", "power_loss:3"][..], &["replay", "logquake", "run", "power_loss", "--seed", "3"]] {
        let output = logquake(words);
        assert!(out(&output).contains("Again   the same run in a fresh process"), "{}", out(&output));
    }
}

#[test]
fn a_run_that_takes_too_long_is_a_hang_and_says_which() {
    let output = logquake(&["run", "steady", "--seed", "3", "--hang-after", "1ms"]);
    assert_eq!(code(&output), 2, "{}", err(&output));
    assert!(err(&output).contains("Replay  logquake run steady --seed 3"), "{}", err(&output));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "files of the test, not of a broker")]
fn a_report_is_one_page_of_what_was_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (history, run, sweep, page) = (path("run.jsonl.zst"), path("run.json"), path("sweep.json"), path("page.html"));
    let save = |args: &[&str], to: &str| std::fs::write(to, logquake(args).stdout);
    save(&["run", "broker_crash", "--seed", "1", "--json", "--history", &history], &run).expect("a report");
    save(&["sweep", "steady", "broker_crash", "--seeds", "0..2", "--json"], &sweep).expect("a sweep");
    let output = logquake(&["report", &history, &run, &sweep, "--baseline", &run, "-o", &page]);
    assert_eq!((code(&output), out(&output)), (0, String::new()), "{}", err(&output));
    let html = std::fs::read_to_string(&page).expect("a page");
    for part in [
        "<!DOCTYPE html>",
        "broker_crash seed 1",
        "Outcomes by scenario",
        "Outcomes by seed",
        "run.json beside",
        "0 worse",
    ] {
        assert!(html.contains(part), "{part} is not on the page");
    }
    let output = logquake(&["report", &sweep, "--format", "markdown"]);
    assert!(out(&output).starts_with("# Logquake report: PASS\n") && out(&output).contains("| steady | 2 | 2 |"));
    let output = logquake(&["report", &sweep, "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["verdict"], "pass");
    wrong(&["report"], &["<FILE>..."]);
    wrong(&["report", &page], &["page.html is none of our results", "`logquake sweep|merge --json`"]);
    wrong(&["report", &sweep, "--baseline", &run], &["of kind 'run'"]);
}

#[cfg(feature = "planted")]
mod planted {
    use super::*;

    #[test]
    fn the_canary_is_found_by_a_safety_invariant() {
        let output = logquake(&["run", "steady", "--seed", "0", "--planted", "canary"]);
        assert_eq!(code(&output), 1, "{}", out(&output));
        assert!(out(&output).contains("B3 violation"), "{}", out(&output));
    }

    #[test]
    fn a_finding_shrinks_to_the_strikes_that_it_needs_and_replays() {
        let output = logquake(&["shrink", "power_loss", "--seed", "0", "--planted", "canary"]);
        assert_eq!(code(&output), 1, "{}", out(&output));
        let told = out(&output);
        let last: Vec<&str> = told.lines().rev().take(2).collect();
        assert!(last[0].starts_with("Shrunk  ") && last[0].contains(" to 0 for "), "{told}");
        let replay = last[1].strip_prefix("Replay  logquake ").expect("a replay line");
        assert!(replay.contains("--keep none --planted canary"), "{replay}");
        let again = logquake(&replay.split(' ').collect::<Vec<_>>());
        assert_eq!(code(&again), 1, "{}", out(&again));
    }

    #[test]
    fn a_hunt_finds_it_by_name() {
        let output = logquake(&["planted", "canary", "--hunts", "1", "--json"]);
        assert_eq!(code(&output), 0, "{}", out(&output));
        let hunted: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(hunted[0]["found_by"], serde_json::json!(["B3"]));
    }
}
