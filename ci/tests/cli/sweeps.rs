//! Sweeps: parts, budgets, files that they go on from, and results where CI systems look for them.

use std::process::{Command, Output, Stdio};

use super::{code, err, flat, logquake, out};

#[test]
fn a_sweep_counts_what_it_ran_and_shards_do_not_overlap() {
    let runs = |shard: &str| {
        let output = logquake(&["sweep", "steady", "--seeds", "0..5", "--shard", shard, "--json"]);
        assert_eq!(code(&output), 0, "{}", err(&output));
        let sweep: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        sweep["swept"]["scenarios"]["steady"]["runs"].as_u64().expect("a count")
    };
    assert_eq!(runs("1/1"), 5);
    assert_eq!(runs("1/2") + runs("2/2"), 5);
}

#[test]
fn results_are_left_where_ci_systems_look_for_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let (xml, page) = (file("results.xml"), file("page.md"));
    let sweep = |args: &[&str]| {
        let mut sweep = Command::new(env!("CARGO_BIN_EXE_logquake"));
        sweep.args(["sweep", "steady", "--json"]).args(args);
        sweep.envs([("NO_COLOR", "1"), ("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", &page)]);
        sweep.output().expect("starts")
    };
    let read = |path: &String| std::fs::read_to_string(path).expect("was written");
    let passed = sweep(&["--seeds", "0..1", "--junit", &xml]);
    assert_eq!((code(&passed), err(&passed)), (0, String::new()));
    assert!(read(&xml).contains(r#"<testcase name="B3" classname="logquake.steady">"#), "{}", read(&xml));
    // Of two parts, seed 0 is the first.
    let empty = sweep(&["--seeds", "0..1", "--shard", "2/2"]);
    assert_eq!(err(&empty), "::warning title=sweep done::there was nothing to run\n");
    for (output, wanted) in [(&passed, 0), (&empty, 4)] {
        let parsed: Result<serde_json::Value, _> = serde_json::from_slice(&output.stdout);
        assert!(parsed.is_ok() && code(output) == wanted, "{}", out(output));
    }
    let (first, second) = (read(&page).find("Logquake: PASS"), read(&page).find("Logquake: VACUOUS"));
    assert!(first.is_some() && first < second, "{}", read(&page));
    let nowhere = sweep(&["--seeds", "0..100000", "--junit", &file("no/such/place.xml")]);
    assert_eq!((code(&nowhere), out(&nowhere)), (4, String::new()));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "files of the test, not of a broker")]
fn a_sweep_goes_on_where_its_file_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (file, other) = (path("part-1.jsonl"), path("part-2.jsonl"));
    let sweep = |file: &str, more: &[&str]| {
        logquake(&[&["sweep", "steady", "power_loss", "--seeds", "0..4", "--resume", file], more].concat())
    };
    // The time of a run leaves nothing out: JSON without it and without who ran it.
    let counts = |output: &Output| {
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let of = |name: &str, key: &str| json["swept"]["scenarios"][name][key].clone();
        let counts =
            ["steady", "power_loss"].map(|name| ["runs", "failed", "vacuous", "world_ns"].map(|key| of(name, key)));
        (counts, json["swept"]["invariants"].clone(), json["verdicts"].clone())
    };
    let whole = sweep(&file, &["--json"]);
    assert_eq!((code(&whole), err(&whole)), (0, String::new()));
    let text = std::fs::read_to_string(&file).expect("written");
    assert_eq!(text.lines().count(), 9, "{text}");
    // Killed in the middle of the fourth run's line.
    let cut: usize = text.lines().take(4).map(|line| line.len() + 1).sum::<usize>() + 7;
    std::fs::write(&file, &text[..cut]).expect("written");
    let resumed = sweep(&file, &["--json"]);
    assert_eq!(code(&resumed), 0, "{}", err(&resumed));
    assert!(err(&resumed).contains("is torn and dropped") && err(&resumed).contains("goes on after 3 runs"));
    assert_eq!(counts(&resumed), counts(&whole));
    assert_eq!(std::fs::read_to_string(&file).expect("written").lines().count(), 9);
    for wrong in [&["steady", "--seeds", "0..4"][..], &["steady", "power_loss", "--seeds", "0..5"]] {
        let output = logquake(&[&["sweep", "--resume", &file], wrong].concat());
        assert!(
            code(&output) == 64 && err(&output).contains("cannot be continued: it is of other"),
            "{}",
            err(&output)
        );
    }
    // In parts, it is the same; and what is missing is named.
    std::fs::remove_file(&file).expect("it is there");
    assert_eq!(code(&sweep(&file, &["--shard", "1/2"])), 0);
    let half = logquake(&["merge", &file]);
    assert_eq!(code(&half), 4);
    assert!(flat(&half).contains("part 2 of 2 is not there"), "{}", out(&half));
    assert_eq!(code(&sweep(&other, &["--shard", "2/2"])), 0);
    let merged = logquake(&["merge", &other, &file, "--json"]);
    assert_eq!((code(&merged), err(&merged), counts(&merged)), (0, String::new(), counts(&whole)));
    let twice = logquake(&["merge", &file, &other, &file]);
    assert!(err(&twice).contains("4 runs are in more than one file and counted once: seeds 0, 2"), "{}", err(&twice));
    let part = sweep(&file, &["--shard", "2/2"]);
    assert!(code(&part) == 64 && err(&part).contains("it is part 1 of 2, not part 2"), "{}", err(&part));
    let alien = text.replacen("\"program\":\"", "\"program\":\"9", 1);
    std::fs::write(&other, alien).expect("written");
    let mixed = logquake(&["merge", &file, &other]);
    assert!(code(&mixed) == 64 && err(&mixed).contains("made by another program"), "{}", err(&mixed));
}

#[test]
fn nothing_to_shrink_is_said_and_is_no_pass() {
    let output = logquake(&["shrink", "steady", "--seed", "3"]);
    assert_eq!(code(&output), 4);
    assert!(out(&output).starts_with("nothing to shrink"), "{}", out(&output));
}

#[test]
fn a_sweep_with_a_budget_ends_and_counts_what_it_ran() {
    let output = logquake(&["sweep", "steady", "--budget", "1s", "--jobs", "1", "--json"]);
    let sweep: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((code(&output), &sweep["interrupted"]), (0, &serde_json::json!(false)), "{}", err(&output));
    assert!(sweep["swept"]["scenarios"]["steady"]["runs"].as_u64().expect("a count") >= 1);
}

/// Waits until the process hears SIGINT and SIGTERM, and has begun to work: so much of its CPU time is spent.
#[expect(clippy::disallowed_methods, reason = "this waits for another process")]
fn at_work(pid: u32) {
    let proc = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let hears = || {
        let caught = proc("status").lines().find_map(|line| line.strip_prefix("SigCgt:").map(str::to_string));
        caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 0x4002 == 0x4002)
    };
    // The 14th field, in hundredths of a second; the second one may hold spaces and ends with a bracket.
    let spent = || {
        let stat = proc("stat");
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        fields.split_whitespace().nth(11).and_then(|ticks| ticks.parse().ok()).unwrap_or(0_u64)
    };
    while !hears() || spent() < 20 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_sweep_that_is_interrupted_tells_what_it_has() {
    told_when_asked_by("-INT");
}

/// As Kubernetes, Slurm and most CI do to a job that is cancelled or out of time.
#[test]
fn a_sweep_that_is_terminated_tells_what_it_has() {
    told_when_asked_by("-TERM");
}

fn told_when_asked_by(signal: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("sweep.jsonl").display().to_string();
    let sweep = Command::new(env!("CARGO_BIN_EXE_logquake"))
        .args(["sweep", "steady", "--seeds", "0..1000000", "--jobs", "1", "--json", "--resume", &file])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    at_work(sweep.id());
    let asked = Command::new("kill").args([signal, &sweep.id().to_string()]).status().expect("kill");
    assert!(asked.success());
    let output = sweep.wait_with_output().expect("ends");
    assert_eq!(code(&output), 4, "{}", err(&output));
    assert!(err(&output).contains("stopping: what is running ends first"), "{}", err(&output));
    let sweep: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let runs = sweep["swept"]["scenarios"]["steady"]["runs"].as_u64().expect("a count");
    assert!(sweep["interrupted"] == true && (1..1_000_000).contains(&runs), "{runs} runs");
    // What it has is whole.
    let merged = logquake(&["merge", &file]);
    assert_eq!(code(&merged), 4);
    assert!(flat(&merged).contains(&format!("runs missing: seeds {runs}, ")), "{}", out(&merged));
}
