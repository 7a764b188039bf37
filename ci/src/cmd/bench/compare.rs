//! `bench compare`: brokers under the same load in turns, and by how much one is ahead.

use std::fmt::Write as _;

use load::compared::{Compared, Pair};
use load::outcome::{Outcome, grouped};
use load::rounds::Rounds;
use load::statistics::Shows;
use load::workloads::Case;

use super::load::{Common, ended, exit, interrupted};
use crate::ask::Usage;
use crate::exit::Exit;
use crate::job::target::{Target, cannot};
use crate::screen;

/// The arguments of `bench compare`.
#[derive(clap::Args)]
pub struct Compare {
    #[command(flatten)]
    common: Common,
    /// What to measure: own, program:PATH, kafka://HOST:PORT,... or peer:NAME, which ci/peers/NAME.sh starts; the others are
    /// compared with the first. One that cannot do what a case asks for is left out of it.
    #[arg(long = "target", value_name = "TARGET", required = true)]
    targets: Vec<Target>,
    /// Rounds: in each of them every target is measured, in turns. An interval needs six that are results.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=99))]
    rounds: u64,
}

impl Compare {
    /// Measures in turns, and prints the ratios.
    pub fn go(self) -> anyhow::Result<Exit> {
        if self.targets.len() < 2 {
            return Err(Usage("a comparison needs two targets: --target own --target kafka://HOST:PORT".into()).into());
        }
        self.common.check_pids(&self.targets)?;
        let beside = self.common.beside(&self.targets)?;
        let (mut all, mut failed) = (Vec::new(), None);
        for (name, case) in self.common.cases()?.into_iter().take_while(|_| !interrupted()) {
            let mut sides: Vec<Vec<Outcome>> = self.targets.iter().map(|_| Vec::new()).collect();
            failed = self.in_turns(&name, &case, &mut sides).err();
            // Where the first was left out there is nothing to compare with.
            let others = sides.iter().skip(1).filter(|other| !sides[0].is_empty() && !other.is_empty());
            let pairs = others.map(|other| Pair::of(&sides[0], other)).collect();
            let sides = self.targets.iter().zip(sides).filter(|(_, side)| !side.is_empty());
            let rounds = |(target, outcomes)| beside.of(target, &case.spec, Rounds::of(name.clone(), outcomes));
            let sides = sides.map(rounds).collect::<anyhow::Result<_>>()?;
            let compared = Compared { workload: name, sides, pairs };
            if !compared.sides.is_empty() {
                if !self.common.json {
                    screen::out(&told(&compared))?;
                }
                all.push(compared);
            }
            if failed.is_some() {
                break;
            }
        }
        if self.common.json {
            screen::out(&reports::json::pretty(&all)?)?;
        }
        // What was measured until then stands.
        if let Some(why) = failed {
            return Err(why);
        }
        let outcomes = all.iter().flat_map(|compared| &compared.sides).flat_map(|side| &side.outcomes);
        Ok(ended(outcomes.map(exit).min()))
    }

    /// Adds the rounds of each target; nothing of one that cannot do it.
    fn in_turns(&self, name: &str, case: &Case, outcomes: &mut [Vec<Outcome>]) -> anyhow::Result<()> {
        let mut able: Vec<usize> = (0..self.targets.len()).collect();
        for _ in 0..self.rounds {
            for at in able.clone() {
                if interrupted() {
                    return Ok(());
                }
                match self.common.one(&self.targets[at], name, case) {
                    Ok(done) => outcomes[at].push(done.outcome),
                    Err(why) if cannot(&why) => {
                        screen::remark(&format!("left out: {why:#}"));
                        able.retain(|other| *other != at);
                    }
                    Err(why) => return Err(why),
                }
            }
            // The other way round each second time, so that what drifts falls on all.
            able.reverse();
        }
        Ok(())
    }
}

fn told(compared: &Compared) -> String {
    let mut text = format!("{}: medians of each target's results\n", compared.workload);
    _ = writeln!(
        text,
        "  {:>14} {:>9} {:>8} {:>8} {:>6} {:>8} {:>11} {:>8}",
        "records/s", "MB/s", "p50 us", "p99 us", "cores", "CPU s/GB", "flushes/ack", "results"
    );
    for side in &compared.sides {
        let name = side.outcomes.first().map_or("", |outcome| outcome.target.as_str());
        let used = |of: fn(&Outcome) -> Option<f64>, places: usize| {
            side.median(of).map_or("?".into(), |median| format!("{median:.places$}"))
        };
        let (rate, mb) = (grouped(side.rate.median), side.megabytes.median);
        let (p50, p99) = (side.p50_us.median, side.p99_us.median);
        let (cores, cpu) = (used(|o| o.used.broker, 2), used(|o| o.cpu_s_per_gb, 2));
        let (flushes, of) = (used(|o| o.flushes_per_ack, 4), format!("{}/{}", side.results(), side.outcomes.len()));
        _ = writeln!(
            text,
            "  {rate:>14} {mb:>9.1} {p50:>8.0} {p99:>8.0} {cores:>6} {cpu:>8} {flushes:>11} {of:>8}  {name}"
        );
        if let Some((bound, part)) = &side.limit {
            let bound_at = grouped(bound.rate);
            _ = writeln!(text, "                 {part:.2} of the limit by {}: {bound_at} records/s", bound.by);
        }
        for (why, count) in side.reasons() {
            _ = writeln!(text, "                 no result {count} times: {why}");
        }
    }
    compared.pairs.iter().for_each(|pair| text.push_str(&ratios(pair)));
    text
}

fn ratios(pair: &Pair) -> String {
    let mut text = format!("  {} / {}\n", pair.first, pair.other);
    if pair.rate.is_none() && pair.at_least.is_none() {
        text.push_str("    no ratio: in no round both came to a result\n");
    }
    let all = [
        ("records/s", pair.rate),
        ("at least", pair.at_least),
        ("publish p99", pair.p99),
        ("CPU a MB", pair.cpu_per_mb),
    ];
    for (name, ratio) in all {
        let Some(ratio) = ratio else { continue };
        let verdict = if ratio.shows() == Shows::NoDifference { "   (no difference shown)" } else { "" };
        let interval = match ratio.interval {
            Some((low, high)) => format!("95 %: {low:.3}..{high:.3}"),
            None => "too few rounds for an interval".into(),
        };
        _ = writeln!(text, "    {name:12}  {:.3}   {interval}{verdict}", ratio.median);
    }
    text
}
