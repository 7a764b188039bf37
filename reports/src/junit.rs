//! JUnit XML, which every CI system reads: a scenario is a test suite, an invariant a test case.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use crate::suite::{End, Suite, Told};

/// The document. What was never put to the test is an error, as systems show it: skipped cases are a pass to them.
pub fn junit(suites: &[Suite], wall: Duration) -> Result<String, SerializeError> {
    let mut report = Report::new("logquake");
    report.set_time(wall);
    report.add_test_suites(suites.iter().map(of_suite));
    report.to_string()
}

fn of_suite(suite: &Suite) -> TestSuite {
    let mut to = TestSuite::new(suite.name.as_str());
    to.set_time(suite.cpu);
    to.add_test_cases(suite.cases.iter().map(|(name, end)| {
        let mut case = TestCase::new(name.as_str(), status(end));
        case.set_classname(format!("logquake.{}", suite.name));
        if let End::Kept(seen) = end {
            case.set_system_out(seen);
        }
        case
    }));
    to
}

fn status(end: &End) -> TestCaseStatus {
    let (kind, word, told) = match end {
        End::Kept(_) => return TestCaseStatus::success(),
        End::Skipped => return TestCaseStatus::skipped(),
        End::Untested(told) => (NonSuccessKind::Error, "vacuous", told),
        End::Broken(told) => (NonSuccessKind::Failure, "violation", told),
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(word).set_message(told.what.as_str()).set_description(body(told));
    status
}

fn body(told: &Told) -> String {
    let mut lines = vec![told.what.clone()];
    lines.extend(told.story.iter().map(|line| format!("  {line}")));
    if !told.replay.is_empty() {
        lines.push(format!("Replay: {}", told.replay));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{sweep, tests::mixed};

    #[test]
    fn a_document() {
        let mut suites = sweep(&mixed());
        suites[0].cases.insert("odd <&> \u{1b}[1m".into(), End::Kept("\u{0} \"quoted\"".into()));
        insta::assert_snapshot!(junit(&suites, Duration::from_millis(1500)).unwrap());
    }
}
