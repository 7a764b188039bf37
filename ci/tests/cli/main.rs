//! The program as a person meets it: exit codes, messages for wrong input, output that machines can read.

mod runs;
mod serving;
mod sweeps;

use std::process::{Command, Output};

fn logquake(args: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_logquake"));
    // These tests may be a job of GitHub's themselves.
    let program =
        program.args(args).env("NO_COLOR", "1").env_remove("GITHUB_ACTIONS").env_remove("GITHUB_STEP_SUMMARY");
    program.output().expect("starts")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("not killed by a signal")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// Without regard to where lines break.
fn flat(output: &Output) -> String {
    out(output).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

#[track_caller]
fn wrong(args: &[&str], says: &[&str]) {
    let output = logquake(args);
    assert_eq!(code(&output), 64, "{args:?}: {}", err(&output));
    for part in says {
        assert!(err(&output).contains(part), "{args:?} does not say {part:?}:\n{}", err(&output));
    }
    assert_eq!(out(&output), "", "{args:?} prints to the standard output");
}

#[test]
fn wrong_input_is_answered_with_what_is_valid() {
    wrong(&["rnu"], &["unrecognized subcommand 'rnu'"]);
    wrong(&["swep"], &["'sweep'"]);
    wrong(&["run", "powr_loss"], &["'power_loss'", "`logquake list`"]);
    wrong(&["run", "steady", "--sed", "1"], &["'--seed'"]);
    wrong(&["run", "steady", "--planted", "st-ack"], &["'st-ack-before-fsync'"]);
    wrong(&["run", "steady", "--keep", "a"], &["0,3", "none"]);
    wrong(&["run", "steady", "--with", "{\"lod\":1}"], &["unknown field `lod`"]);
    wrong(&["run", "steady", "--hang-after", "60"], &["60s"]);
    wrong(&["sweep", "--seeds", "9..3"], &["A..B", "0..2000"]);
    wrong(&["sweep", "--shard", "9/8"], &["K/N"]);
    wrong(&["sweep", "--budget", "soon"], &["60s or 10m"]);
    wrong(&["sweep", "--jobs", "0"], &["--jobs"]);
    wrong(&["explain", "B33"], &["'B3'"]);
    wrong(&["explain", "nonsense"], &["`logquake list`"]);
    wrong(&["run", "steady", "--seed", "x"], &["a whole number"]);
    wrong(&["list", "faluts"], &["'faults'"]);
    wrong(&["replay", "stedy:3"], &["Did you mean 'steady'?"]);
    wrong(&["replay", "steady:x"], &["'x' is no seed"]);
    wrong(&["replay", "steady", "power_loss"], &["one scenario"]);
    wrong(&["serve"], &["--data <DIR>"]);
    wrong(&["serve", "--data", "x", "--listen", "9092"], &["host:port"]);
    wrong(&["serve", "--data", "x", "--flush", "sometimes"], &["always, never"]);
    wrong(&["serve", "--data", "x", "-o", "num.partition=4"], &["'num.partitions'"]);
    let voters = "0@a:1,1@b:1,2@c:1";
    wrong(&["serve", "--data", "x", "--node-id", "3", "--voters", voters], &["no node 3", "0, 1, 2", "--node-id"]);
    wrong(&["serve", "--data", "x", "--voters", "a:1"], &["'a:1' is no voter", "0@127.0.0.1:9092"]);
    wrong(&["serve", "--data", "x", "--voters", "0@a:1,0@b:1"], &["node 0 is there twice"]);
    wrong(&["serve", "--data", "x", "--voters", "0@a:1,1@a:1"], &["a:1 is there twice"]);
    wrong(&["serve", "--data", "x", "--nodes", "3", "--voters", voters], &["cannot be used with"]);
    wrong(&["serve", "--data", "x", "--nodes", "3", "--listen", "h:0"], &["3 ports", "127.0.0.1:9092"]);
    wrong(&["serve", "--data", "x", "--nodes", "0"], &["1..=9"]);
    wrong(&["serve", "--data", "x", "-o", "default.replication.factor=3"], &["needs 3 nodes"]);
    wrong(&["serve", "--data", "x", "-o", "default.replication.factor=0"], &["at least 1"]);
    wrong(&[], &["Usage: logquake"]);
}

#[test]
fn help_has_examples_and_is_no_error() {
    for command in [
        "gate",
        "list",
        "explain",
        "run",
        "replay",
        "shrink",
        "sweep",
        "merge",
        "meta",
        "planted",
        "report",
        "check",
        "serve",
        "bench",
        "completions",
    ] {
        let output = logquake(&[command, "--help"]);
        assert_eq!(code(&output), 0, "{command}");
        assert!(out(&output).contains("Examples:\n  logquake "), "{command}");
    }
    let output = logquake(&["--help"]);
    assert_eq!(code(&output), 0);
    assert!(out(&output).contains("Exit codes: 0 pass"));
}

#[test]
fn list_names_everything_and_explain_explains_it() {
    let lists: serde_json::Value = serde_json::from_str(&out(&logquake(&["list", "--json"]))).expect("JSON");
    for (list, has) in
        [("scenarios", "power_loss"), ("faults", "torn_tail"), ("invariants", "B3"), ("planted defects", "canary")]
    {
        let rows = lists[list].as_array().unwrap_or_else(|| panic!("no {list}"));
        assert!(rows.iter().any(|row| row["name"] == has), "{list} has no {has}");
        let output = logquake(&["explain", has]);
        assert_eq!(code(&output), 0);
        assert!(out(&output).starts_with(has), "{}", out(&output));
    }
}

#[test]
fn without_a_terminal_nothing_is_coloured() {
    let output = Command::new(env!("CARGO_BIN_EXE_logquake")).arg("list").env_remove("NO_COLOR").output();
    assert!(!output.expect("starts").stdout.contains(&0x1b));
}

#[test]
fn completions_know_the_scenarios() {
    let output = logquake(&["completions", "bash"]);
    assert_eq!(code(&output), 0);
    assert!(out(&output).contains("power_loss_lazy_flush"));
}

#[test]
fn every_subcommand_has_a_page_of_the_manual() {
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("man1");
    assert_eq!(code(&logquake(&["man", "--out", out.to_str().expect("UTF-8")])), 0);
    let page = |name: &str| std::fs::read_to_string(out.join(format!("{name}.1"))).expect(name);
    assert!(page("logquake").contains("Exit codes: 0 pass") && page("logquake").contains("logquake\\-sweep(1)"));
    for (name, says) in [
        ("logquake-sweep", "\\-\\-resume"),
        ("logquake-bench-load", "\\-\\-rounds"),
        ("logquake-gate", "logquake gate \\-\\-quick"),
    ] {
        assert!(page(name).starts_with(".ie") && page(name).contains(says), "{}", page(name));
    }
    // Each example is a line of its own.
    assert!(page("logquake-merge").contains(".nf"), "{}", page("logquake-merge"));
}

#[cfg(not(feature = "planted"))]
#[test]
fn a_build_without_defects_says_so() {
    wrong(&["planted"], &["no planted defects"]);
    wrong(&["run", "steady", "--planted", "canary"], &["no planted defects"]);
}
