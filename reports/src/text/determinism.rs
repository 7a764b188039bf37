//! Whether pairs of processes played the same runs, and the first event in which two of them did not.

use std::fmt::Write;

use harness::verdict::Verdict;

use super::page;
use crate::outcome::{Determinism, Unequal};

/// Differences shown in full.
const MOST_SHOWN: usize = 5;

/// The whole report.
pub fn determinism(outcome: &Determinism, width: usize) -> String {
    let mut text = String::new();
    for pair in outcome.unequal.iter().take(MOST_SHOWN) {
        text.push_str(&difference(pair, width));
    }
    let verdict = match outcome {
        Determinism { unequal, .. } if !unequal.is_empty() => Verdict::Fail,
        Determinism { equal: 0, .. } | Determinism { interrupted: true, .. } => Verdict::Vacuous,
        _ => Verdict::Pass,
    };
    text + &page::closing(verdict, &determinism_line(outcome), width)
}

/// All pairs in one line.
pub fn determinism_line(outcome: &Determinism) -> String {
    let mut text = format!(
        "{} of processes equal byte for byte over {}",
        page::plural(outcome.equal, "pair", "pairs"),
        page::plural(outcome.events, "event", "events"),
    );
    if !outcome.unequal.is_empty() {
        let names: Vec<String> = outcome.unequal.iter().map(|u| format!("{} seed {}", u.scenario, u.seed)).collect();
        let shown = names.len().min(MOST_SHOWN);
        let _ = write!(text, "; {} not equal: {}", names.len(), names[..shown].join(", "));
    }
    if outcome.interrupted {
        text.push_str("; stopped early");
    }
    text
}

fn difference(pair: &Unequal, width: usize) -> String {
    let place = format!("{} seed {} differs in line {}", pair.scenario, pair.seed, pair.line);
    let mut text = page::heading(&place, "the same seed, two processes");
    let number = |n: u64| format!("{n:>8}");
    let first = pair.line.saturating_sub(pair.before.len() as u64);
    for (line, n) in pair.before.iter().zip(first..) {
        let _ = writeln!(text, "{}", page::paint(page::DIM, cut(&format!("{}   {line}", number(n)), width)));
    }
    let at = number(pair.line);
    let _ = writeln!(text, "{}", page::paint(page::BAD, cut(&format!("{at} - {}", pair.first), width)));
    let _ = writeln!(text, "{}", page::paint(page::GOOD, cut(&format!("{at} + {}", pair.second), width)));
    text.push('\n');
    text
}

/// At most two lines' worth of `text`.
fn cut(text: &str, width: usize) -> String {
    let most = width * 2;
    if text.chars().count() <= most { text.into() } else { text.chars().take(most - 1).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use anstream::adapter::strip_str;

    fn outcome() -> Determinism {
        Determinism {
            equal: 340,
            events: 1_234_567,
            unequal: vec![],
            interrupted: false,
            wall: Duration::from_secs(61),
        }
    }

    #[test]
    fn all_equal() {
        insta::assert_snapshot!(strip_str(&determinism(&outcome(), 100)).to_string(), @"PASS  340 pairs of processes equal byte for byte over 1,234,567 events");
    }

    #[test]
    fn a_difference_is_shown_with_what_came_before() {
        let unequal = vec![Unequal {
            scenario: "power_loss".into(),
            seed: 7,
            line: 812,
            before: vec![r#"{"at":1,"kind":"heal","strike":0}"#.into(), r#"{"at":2,"kind":"heal","strike":1}"#.into()],
            first: r#"{"at":3,"kind":"up","host":"broker-0"}"#.into(),
            second: r#"{"at":4,"kind":"up","host":"broker-0"}"#.into(),
        }];
        insta::assert_snapshot!(strip_str(&determinism(&Determinism { unequal, ..outcome() }, 100)).to_string());
    }
}
