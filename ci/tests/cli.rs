//! The program as a person meets it: exit codes, messages for wrong input, output that machines can read.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use harness::history::Event;
use harness::history::file::Reader;
use harness::report::RunReport;

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

/// Waits until the process hears SIGINT and has begun to work: so much of its CPU time is spent.
#[expect(clippy::disallowed_methods, reason = "this waits for another process")]
fn at_work(pid: u32) {
    let proc = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let hears = || {
        let caught = proc("status").lines().find_map(|line| line.strip_prefix("SigCgt:").map(str::to_string));
        caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 2 != 0)
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
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("sweep.jsonl").display().to_string();
    let sweep = Command::new(env!("CARGO_BIN_EXE_logquake"))
        .args(["sweep", "steady", "--seeds", "0..1000000", "--jobs", "1", "--json", "--resume", &file])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    at_work(sweep.id());
    let asked = Command::new("kill").args(["-INT", &sweep.id().to_string()]).status().expect("kill");
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

#[test]
fn a_run_that_takes_too_long_is_a_hang_and_says_which() {
    let output = logquake(&["run", "steady", "--seed", "3", "--hang-after", "1ms"]);
    assert_eq!(code(&output), 2, "{}", err(&output));
    assert!(err(&output).contains("Replay  logquake run steady --seed 3"), "{}", err(&output));
}

#[test]
fn serve_says_where_it_listens_and_ends_cleanly_when_asked() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let mut serve = Command::new(env!("CARGO_BIN_EXE_logquake"))
        .args(["serve", "--listen", "127.0.0.1:0", "--flush", "always", "--data"])
        .arg(&data)
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut said = BufReader::new(serve.stderr.take().expect("piped")).lines();
    let first = said.next().expect("a line").expect("UTF-8");
    assert!(first.starts_with("serving Kafka clients on 127.0.0.1:") && !first.contains(":0 "), "{first}");
    let asked = Command::new("kill").args(["-TERM", &serve.id().to_string()]).status().expect("kill");
    assert!(asked.success());
    assert_eq!(serve.wait().expect("ends").code(), Some(0));
    assert_eq!(said.last().expect("a line").expect("UTF-8"), "stopped");
    assert!(data.is_dir());
}

/// The first of so many free ports in a row.
fn free_ports(count: u16) -> u16 {
    let free = |port: &u16| (0..count).all(|n| std::net::TcpListener::bind(("127.0.0.1", port + n)).is_ok());
    (20_000..60_000)
        .step_by(usize::from(count))
        .skip(usize::from(std::process::id() as u16 % 4000))
        .find(free)
        .expect("free")
}

#[test]
fn three_nodes_of_one_process_become_ready_and_end_cleanly_when_asked() {
    let dir = tempfile::tempdir().expect("a directory");
    let port = free_ports(3);
    let mut serve = Command::new(env!("CARGO_BIN_EXE_logquake"))
        .args(["serve", "--nodes", "3", "--listen", &format!("127.0.0.1:{port}"), "-o", "default.replication.factor=3"])
        .arg("--data")
        .arg(dir.path())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let said = BufReader::new(serve.stderr.take().expect("piped")).lines();
    let mut said = said.map(|line| line.expect("UTF-8"));
    let mut nodes: Vec<_> = said.by_ref().take(3).collect();
    nodes.sort_unstable();
    for (n, line) in (0..).zip(&nodes) {
        let expected = format!("node {n}: serving Kafka clients on 127.0.0.1:{} from ", port + n);
        assert!(line.starts_with(&expected) && line.ends_with(&format!("node-{n}")), "{line}");
    }
    assert_eq!(said.next().as_deref(), Some("the cluster is ready: every node serves"));
    let asked = Command::new("kill").args(["-TERM", &serve.id().to_string()]).status().expect("kill");
    assert!(asked.success());
    assert_eq!(serve.wait().expect("ends").code(), Some(0));
    assert_eq!(said.last().as_deref(), Some("stopped"));
}

#[test]
fn a_node_that_cannot_listen_takes_its_process_along_and_says_why() {
    let dir = tempfile::tempdir().expect("a directory");
    let (port, data) = (free_ports(3), dir.path().to_str().expect("UTF-8"));
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port + 1)).expect("free");
    let output = logquake(&["serve", "--nodes", "3", "--listen", &format!("127.0.0.1:{port}"), "--data", data]);
    assert_eq!(code(&output), 4);
    assert!(err(&output).contains(&format!("cannot serve on 127.0.0.1:{}", port + 1)), "{}", err(&output));
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

#[cfg(not(feature = "planted"))]
#[test]
fn a_build_without_defects_says_so() {
    wrong(&["planted"], &["no planted defects"]);
    wrong(&["run", "steady", "--planted", "canary"], &["no planted defects"]);
}
