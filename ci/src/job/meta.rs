//! The same run in two fresh processes, compared event by event while both run.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader};
use std::ops::Range;
use std::sync::atomic::Ordering;

use anyhow::Context;
use harness::run::RunSpec;
use harness::scenario::Scenario;
use rayon::prelude::*;
use reports::outcome::{Determinism, Unequal};

use super::progress;
use crate::exit::Exit;
use crate::wall::Wall;
use crate::{child, interrupt};

/// Equal lines kept to be shown before a difference.
const CONTEXT: usize = 3;
/// Pairs that are not equal, beyond which nothing more is learnt.
const MOST_UNEQUAL: usize = 20;

/// Compares every scenario with every seed. `jobs` processes run at a time.
pub fn meta(scenarios: &[&'static Scenario], seeds: Range<u64>, jobs: usize) -> anyhow::Result<Determinism> {
    let wall = Wall::start();
    let stop = interrupt::asked();
    let specs: Vec<RunSpec> =
        seeds.flat_map(|seed| scenarios.iter().map(move |scenario| RunSpec::new(scenario, seed))).collect();
    let bar = progress::bar("meta", specs.len() as u64);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs.div_ceil(2)).build()?;
    let pair = |spec: &RunSpec| {
        let done = (!stop.load(Ordering::Relaxed)).then(|| pair(spec));
        bar.inc(1);
        done
    };
    let pairs: Vec<anyhow::Result<Compared>> = pool.install(|| specs.par_iter().filter_map(pair).collect());
    bar.finish_and_clear();
    let interrupted = stop.load(Ordering::Relaxed);
    let mut sum = Determinism { equal: 0, events: 0, unequal: vec![], interrupted, wall: wall.elapsed() };
    for compared in pairs {
        match compared {
            // A Ctrl-C reaches the processes too: what they leave then is no evidence.
            Err(_) | Ok(Compared { unlike: Some(_), .. }) if interrupted => {}
            Err(e) => return Err(e),
            Ok(Compared { lines, unlike: None }) => {
                sum.equal += 1;
                sum.events += lines;
            }
            Ok(Compared { unlike: Some(unlike), .. }) if sum.unequal.len() < MOST_UNEQUAL => sum.unequal.push(unlike),
            Ok(_) => {}
        }
    }
    Ok(sum)
}

/// What it amounts to.
pub fn exit(outcome: &Determinism) -> Exit {
    match outcome {
        Determinism { unequal, .. } if !unequal.is_empty() => Exit::Safety,
        Determinism { equal: 0, .. } | Determinism { interrupted: true, .. } => Exit::Incomplete,
        _ => Exit::Pass,
    }
}

struct Compared {
    lines: u64,
    unlike: Option<Unequal>,
}

fn pair(spec: &RunSpec) -> anyhow::Result<Compared> {
    let (mut first, mut second) = (child::events(spec)?, child::events(spec)?);
    let (Some(a), Some(b)) = (first.stdout.take(), second.stdout.take()) else {
        anyhow::bail!("a process without a standard output");
    };
    let (lines, unlike) = compare(BufReader::new(a), BufReader::new(b))?;
    // Their outputs are closed or of no more use: a process that still writes must not be waited for.
    if unlike.is_some() {
        let _ = (first.kill(), second.kill());
    }
    let (first, second) = (first.wait()?, second.wait()?);
    let place = || format!("{} seed {}", spec.scenario.name, spec.seed);
    if unlike.is_none() && first.code() != second.code() {
        anyhow::bail!("{}: equal events, but one process ended with {first}, the other with {second}", place());
    }
    if unlike.is_none() && lines == 0 {
        return Err(anyhow::anyhow!("no events; the process ended with {first}")).with_context(place);
    }
    let (scenario, seed) = (spec.scenario.name.to_string(), spec.seed);
    let unlike =
        unlike.map(|d| Unequal { scenario, seed, line: lines + 1, before: d.before, first: d.first, second: d.second });
    Ok(Compared { lines, unlike })
}

#[derive(Debug, PartialEq)]
struct Difference {
    before: Vec<String>,
    first: String,
    second: String,
}

/// How many lines are equal, and what follows them if the two do not end there.
fn compare(mut a: impl BufRead, mut b: impl BufRead) -> io::Result<(u64, Option<Difference>)> {
    let mut before: VecDeque<Vec<u8>> = VecDeque::new();
    let mut lines = 0;
    let (mut first, mut second) = (Vec::new(), Vec::new());
    loop {
        first.clear();
        second.clear();
        a.read_until(b'\n', &mut first)?;
        b.read_until(b'\n', &mut second)?;
        if first != second {
            let before = before.iter().map(|line| text(line)).collect();
            return Ok((lines, Some(Difference { before, first: text(&first), second: text(&second) })));
        }
        if first.is_empty() {
            return Ok((lines, None));
        }
        lines += 1;
        let mut oldest = if before.len() == CONTEXT { before.pop_front().unwrap_or_default() } else { Vec::new() };
        std::mem::swap(&mut oldest, &mut first);
        before.push_back(oldest);
    }
}

fn text(line: &[u8]) -> String {
    if line.is_empty() { "(the end)".into() } else { String::from_utf8_lossy(line).trim_end().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_streams_have_no_difference() {
        assert_eq!(compare(&b"a\nb\n"[..], &b"a\nb\n"[..]).unwrap(), (2, None));
        assert_eq!(compare(&b""[..], &b""[..]).unwrap(), (0, None));
    }

    #[test]
    fn the_first_difference_is_shown_with_what_came_before() {
        let (lines, unlike) = compare(&b"1\n2\n3\n4\n5\nx\n"[..], &b"1\n2\n3\n4\n5\ny\n"[..]).unwrap();
        let before = vec!["3".into(), "4".into(), "5".into()];
        assert_eq!((lines, unlike), (5, Some(Difference { before, first: "x".into(), second: "y".into() })));
    }

    #[test]
    fn a_stream_that_ends_early_is_different() {
        let (lines, unlike) = compare(&b"1\n"[..], &b"1\n2\n"[..]).unwrap();
        let unlike = unlike.unwrap();
        assert_eq!((lines, unlike.first.as_str(), unlike.second.as_str()), (1, "(the end)", "2"));
        assert!(compare(&b"1\n2"[..], &b"1\n2\n"[..]).unwrap().1.is_some());
    }
}
