//! The gate's own lines: one when a step is done, and a table at the end.

use std::time::Duration;

use comfy_table::Cell;
use harness::verdict::Verdict;

use super::page;

/// One step of the gate and how it ended.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Step {
    /// The step's name: a subcommand where there is one.
    pub name: String,
    /// What it amounts to.
    pub verdict: Verdict,
    /// What was seen, in one line with the numbers.
    pub detail: String,
    /// How long it took.
    pub wall: Duration,
}

/// The line before the full report of a step that did not pass.
pub fn step_begun(name: &str) -> String {
    page::heading(&format!("gate: {name}"), "")
}

/// The line printed when a step has ended.
pub fn step_done(step: &Step, width: usize) -> String {
    page::closing(step.verdict, &format!("{}: {} in {}", step.name, step.detail, page::span(step.wall)), width)
}

/// The table of all steps and the verdict over them.
pub fn summary(steps: &[Step], verdict: Verdict, width: usize) -> String {
    let mut table = page::table(width, &["step", "verdict", "seen", "took"]);
    for step in steps {
        table.add_row([
            Cell::new(&step.name),
            page::coloured(page::verdict_word(step.verdict), step.verdict),
            Cell::new(&step.detail),
            page::number(page::span(step.wall)),
        ]);
    }
    let total = steps.iter().map(|s| s.wall).sum();
    let passed = steps.iter().filter(|s| s.verdict == Verdict::Pass).count();
    let last = format!("gate: {passed} of {} steps passed in {}", steps.len(), page::span(total));
    page::finish(&table) + &page::closing(verdict, &last, width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anstream::adapter::strip_str;

    fn steps() -> Vec<Step> {
        let step = |name: &str, verdict, detail: &str, ms| Step {
            name: name.into(),
            verdict,
            detail: detail.into(),
            wall: Duration::from_millis(ms),
        };
        vec![
            step("meta", Verdict::Pass, "34 pairs of runs equal byte for byte", 8_400),
            step("planted", Verdict::Vacuous, "9 of 10 found by the expected invariant", 61_000),
            step("sweep", Verdict::Fail, "1,204 runs, 1 finding", 130_000),
        ]
    }

    #[test]
    fn a_gate_that_failed() {
        insta::assert_snapshot!(strip_str(&summary(&steps(), Verdict::Fail, 100)).to_string());
    }

    #[test]
    fn a_step_in_a_line() {
        insta::assert_snapshot!(strip_str(&step_done(&steps()[0], 100)).to_string(), @"PASS  meta: 34 pairs of runs equal byte for byte in 8.4 s");
    }
}
