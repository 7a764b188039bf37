//! Markdown: a summary for a pull request, or for GitHub's page of a step.

use std::fmt::Write;

use harness::verdict::Verdict;

use crate::document::{block, escaped};
use crate::suite::{End, Suite, Told, count};
use crate::text;

/// Cases told in full; the others are counted.
const MOST: usize = 20;

/// The page: the verdict, what is no pass with the line that plays it again, and a row for each suite.
pub fn page(verdict: Verdict, line: &str, suites: &[Suite]) -> String {
    let mut page = format!("## Logquake: {}\n\n{}\n", text::verdict_word(verdict), escaped(line));
    let broken = |end: &End| matches!(end, End::Broken(_));
    let all = suites.iter().flat_map(|suite| suite.cases.iter().map(move |(name, end)| (suite, name, end)));
    // What is broken comes first.
    let (first, rest): (Vec<_>, Vec<_>) = all.partition(|(_, _, end)| broken(end));
    let untested = rest.into_iter().filter(|(_, _, end)| matches!(end, End::Untested(_)));
    let told: Vec<_> = first.into_iter().chain(untested).collect();
    for (suite, name, end) in told.iter().take(MOST) {
        page.push_str(&case(suite, name, end));
    }
    if told.len() > MOST {
        let _ = writeln!(page, "\n{} more are no pass.", told.len() - MOST);
    }
    page + &table(suites)
}

fn case(suite: &Suite, name: &str, end: &End) -> String {
    let (word, Told { what, story, replay }) = match end {
        End::Kept(_) | End::Skipped => return String::new(),
        End::Untested(told) => ("vacuous", told),
        End::Broken(told) => ("broken", told),
    };
    let mut text = format!("\n### {} {}: {word}\n\n{}\n", escaped(&suite.name), escaped(name), escaped(what));
    if !story.is_empty() {
        let _ = write!(text, "\n{}", block(&story.join("\n")));
    }
    if !replay.is_empty() {
        let _ = write!(text, "\nReplay:\n\n{}", block(replay));
    }
    text
}

fn table(suites: &[Suite]) -> String {
    let mut text = "\n<details><summary>All of it</summary>\n\n".to_owned();
    text.push_str("| suite | kept | untested | broken | CPU s |\n|---|---:|---:|---:|---:|\n");
    for suite in suites {
        let [kept, untested, broken] = count([suite]);
        let cpu = suite.cpu.as_secs_f64();
        let _ = writeln!(text, "| {} | {kept} | {untested} | {broken} | {cpu:.1} |", escaped(&suite.name));
    }
    text + "\n</details>\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{sweep, tests::mixed};

    #[test]
    fn a_summary() {
        let outcome = mixed();
        insta::assert_snapshot!(page(outcome.verdict(), &text::sweep_line(&outcome), &sweep(&outcome)));
    }
}
