//! Checks a synthetic history of ten million client calls (or as many as the first argument says) with every invariant,
//! and prints the time it took and the most memory it held.
//!
//! `cargo run --release -p logquake-harness --example check_10m`

use harness::history::synth::{Shape, Synth};
use harness::invariant::Checker;

/// The most memory this process has held, in KiB, as Linux tells it.
#[expect(clippy::disallowed_methods, reason = "the system's own figures are no file of a node")]
fn peak_kib() -> Option<u64> {
    let status = std::fs::read("/proc/self/status").ok()?;
    let status = String::from_utf8(status).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// Seconds of processor time that this thread has had: on a busy machine wall time says little.
#[expect(clippy::disallowed_methods, reason = "the system's own figures are no file of a node")]
fn cpu() -> f64 {
    let stat = std::fs::read("/proc/thread-self/schedstat").unwrap_or_default();
    let first = stat.split(|b| *b == b' ').next().and_then(|n| std::str::from_utf8(n).ok()?.parse::<u64>().ok());
    first.unwrap_or(0) as f64 / 1e9
}

#[expect(clippy::disallowed_methods, reason = "a measurement: the one place where wall time is wanted")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn main() {
    let ops = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(10_000_000);
    let shape = Shape { ops, producers: 64, partitions: 16, tailers: 2, batch: 8, crashes: 1 };
    // First the generator alone, so that its share can be told from the checker's.
    let began = cpu();
    let events = Synth::new(shape, 1).count();
    let generating = cpu() - began;

    let (began, begin) = (cpu(), now());
    let (mut checker, mut at) = (Checker::new(Synth::rules(shape)), 0);
    for event in Synth::new(shape, 1) {
        at = event.at;
        checker.see(&event);
    }
    let (records, acked, delivered, facts) = checker.ledger().counts();
    let checked = checker.end(at);
    let (whole, wall) = (cpu() - began, begin.elapsed().as_secs_f64());
    let checking = whole - generating;

    println!("{ops} calls: {records} records sent, {acked} acknowledged, {delivered} delivered, {facts} facts");
    let (verdict, findings, rows) = (checked.verdict, checked.findings.len(), checked.evidence.len());
    println!("verdict {verdict:?}, {findings} findings, {rows} invariants");
    println!("{checking:.2} s of processor time to check ({whole:.2} s with the generator; {wall:.2} s of wall time)");
    println!("{:.1} million events at {:.1} million a second", events as f64 / 1e6, events as f64 / checking / 1e6);
    if let Some(kib) = peak_kib() {
        println!("peak memory {} MiB (VmHWM), the generator's log included", kib / 1024);
    }
}
