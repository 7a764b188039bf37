//! GitHub's workflow commands: what is no pass, as annotations of the run
//! (docs.github.com, "Workflow commands for GitHub Actions").

use std::fmt::Write;

use crate::suite::{End, Suite, Told};

/// GitHub shows ten errors and ten warnings of a step, and drops the rest.
const MOST: usize = 10;

/// A line for each case that is no pass; at most so many of a kind as are shown.
pub fn annotations(suites: &[Suite]) -> String {
    let mut text = String::new();
    let (mut errors, mut warnings) = (0, 0);
    for (suite, name, end) in suites.iter().flat_map(|s| s.cases.iter().map(move |(name, end)| (s, name, end))) {
        let (command, shown, told) = match end {
            End::Kept(_) | End::Skipped => continue,
            End::Broken(told) => ("error", &mut errors, told),
            End::Untested(told) => ("warning", &mut warnings, told),
        };
        *shown += 1;
        if *shown <= MOST {
            let title = property(&format!("{} {name}", suite.name));
            let _ = writeln!(text, "::{command} title={title}::{}", data(&message(told)));
        }
    }
    text
}

fn message(told: &Told) -> String {
    if told.replay.is_empty() { told.what.clone() } else { format!("{}\nReplay: {}", told.what, told.replay) }
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(what: &str) -> End {
        End::Broken(Told { what: what.into(), story: vec![], replay: "logquake run s --seed 1".into() })
    }

    #[test]
    fn what_means_something_to_github_is_escaped() {
        let cases = [("a:b".to_owned(), broken("50 % lost\nof it")), ("c".to_owned(), End::Kept("fine".into()))];
        let suite = Suite { name: "s".into(), cases: cases.into(), ..Suite::default() };
        let line = "::error title=s a%3Ab::50 %25 lost%0Aof it%0AReplay: logquake run s --seed 1\n";
        assert_eq!(annotations(&[suite]), line);
    }

    #[test]
    fn as_many_as_are_shown() {
        let mut cases: Vec<_> = (0..50).map(|n| (format!("b{n}"), broken("lost"))).collect();
        cases.extend((0..3).map(|n| (format!("u{n}"), End::Untested(Told::default()))));
        let suite = Suite { name: "s".into(), cases: cases.into_iter().collect(), ..Suite::default() };
        let text = annotations(&[suite]);
        assert_eq!((text.matches("::error ").count(), text.matches("::warning ").count()), (MOST, 3));
    }
}
