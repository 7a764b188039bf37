//! Hunts for planted defects: who was to find each, who did, and at what cost.

use std::fmt::Write;
use std::time::Duration;

use comfy_table::Cell;
use harness::hunt::FEW;
use harness::verdict::Verdict;

use super::page;
use crate::outcome::Hunted;

/// The table of hunts, with the smallest run of each.
pub fn planted(hunted: &[Hunted], width: usize) -> String {
    let header = ["defect", "expected", "found by", "hunts", "seeds", "CPU-s p50/p90", "strikes"];
    let mut table = page::table(width, &header);
    for row in hunted {
        let verdict = if row.complete() { Verdict::Pass } else { Verdict::Fail };
        let by = if row.found_by.is_empty() { "nobody".into() } else { row.found_by.join(" ") };
        let shrunk = row.strikes.map_or("-".into(), |n| n.to_string());
        let (seeds, cpu) = match row.found {
            0 => ("-".into(), "-".into()),
            _ => (page::count(row.seeds_median), format!("{} / {}", cpu(row.cpu_median), cpu(row.cpu_p90))),
        };
        table.add_row([
            Cell::new(&row.defect),
            Cell::new(row.expected.join(" ")),
            page::coloured(by, verdict),
            page::number(format!("{}/{}", row.found, row.hunts)),
            page::number(seeds),
            page::number(cpu),
            if row.small() { page::number(shrunk) } else { page::number_coloured(shrunk, Verdict::Vacuous) },
        ]);
    }
    let note = "seeds and CPU until found, strikes of the smallest plan; medians over the hunts";
    let mut text = page::heading("Planted defects", note) + &page::finish(&table);
    text.push('\n');
    for row in hunted {
        if let Some(replay) = &row.replay {
            let _ = writeln!(text, "Replay  {replay}");
        }
        if !row.complete() {
            let _ = writeln!(text, "{}", page::paint(page::BAD, missed(row)));
        }
        if !row.small() {
            let _ = writeln!(text, "{}", page::paint(page::WARN, large(row)));
        }
    }
    let (found, all) = (hunted.iter().filter(|h| h.complete()).count(), hunted.len());
    let verdict = if all == 0 {
        Verdict::Vacuous
    } else if found == all {
        Verdict::Pass
    } else {
        Verdict::Fail
    };
    text + &page::closing(verdict, &planted_line(hunted), width)
}

/// All hunts in one line.
pub fn planted_line(hunted: &[Hunted]) -> String {
    let found = hunted.iter().filter(|h| h.complete()).count();
    let most = hunted.iter().filter_map(|h| h.strikes).max();
    let mut text = format!("{found} of {} defects found by an expected invariant in every hunt", hunted.len());
    if let Some(most) = most {
        let _ = write!(text, ", shrunk to at most {}", page::plural(most as u64, "strike", "strikes"));
    }
    let large: Vec<&str> = hunted.iter().filter(|h| !h.small()).map(|h| h.defect.as_str()).collect();
    if !large.is_empty() {
        let _ = write!(text, "; more than {FEW} drawn strikes: {}", large.join(", "));
    }
    let missing: Vec<&str> = hunted.iter().filter(|h| !h.complete()).map(|h| h.defect.as_str()).collect();
    if !missing.is_empty() {
        let _ = write!(text, "; not {}", missing.join(", "));
    }
    text
}

fn large(row: &Hunted) -> String {
    let drawn = row.drawn.unwrap_or_default();
    format!("{}: its smallest plan has {drawn} drawn strikes; at most {FEW} are wanted", row.defect)
}

/// Why a defect counts as not found.
pub(crate) fn missed(row: &Hunted) -> String {
    let others = match row.others.as_slice() {
        [] => "and nothing else did".into(),
        others => format!("only {} cried out, which does not count", others.join(" ")),
    };
    let missed = row.hunts - row.found;
    format!("{}: {missed} of {} hunts in {} did not find it; {others}", row.defect, row.hunts, row.scenario)
}

fn cpu(d: Duration) -> String {
    format!("{:.2}", d.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use anstream::adapter::strip_str;

    fn hunted(defect: &str, found: u64) -> Hunted {
        Hunted {
            defect: defect.into(),
            scenario: "power_loss".into(),
            expected: vec!["W3".into(), "B3".into()],
            found_by: if found > 0 { vec!["W3".into()] } else { vec![] },
            others: if found > 0 { vec![] } else { vec!["L10".into()] },
            hunts: 5,
            found,
            seeds_median: 3,
            cpu_median: Duration::from_millis(450),
            cpu_p90: Duration::from_millis(1234),
            strikes: (found > 0).then_some(1),
            drawn: (found > 0).then_some(1),
            replay: (found > 0).then(|| format!("logquake run power_loss --seed 7 --keep 1 --planted {defect}")),
        }
    }

    #[test]
    fn hunts() {
        let rows = [hunted("st-ack-before-fsync", 5), hunted("st-recover-no-flush", 0)];
        insta::assert_snapshot!(strip_str(&planted(&rows, 100)).to_string());
    }

    #[test]
    fn one_hunt_that_missed_is_a_miss() {
        assert!(hunted("x", 5).complete());
        assert!(!hunted("x", 4).complete());
        assert!(strip_str(&planted(&[hunted("x", 4)], 100)).to_string().contains("FAIL"));
    }

    #[test]
    fn a_plan_of_many_strikes_is_told() {
        let large = Hunted { strikes: Some(9), drawn: Some(4), ..hunted("x", 5) };
        let steps = Hunted { strikes: Some(9), drawn: Some(3), ..hunted("y", 5) };
        let text = strip_str(&planted(&[large, steps], 100)).to_string();
        assert!(text.contains("x: its smallest plan has 4 drawn strikes; at most 3 are wanted"), "{text}");
        assert!(text.contains("more than 3 drawn strikes: x") && !text.contains("y: its"), "{text}");
    }
}
