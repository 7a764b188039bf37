//! Exit codes: what a script learns without reading a word.

use std::process::ExitCode;

use harness::report::RunReport;
use harness::verdict::{Finding, Promise, Severity, Verdict};
use reports::outcome::Sweep;

/// How a command ended, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 64: the command line was wrong.
    Usage,
    /// 1: a safety promise was broken, or a run did not repeat itself.
    Safety,
    /// 2: something good did not happen in time.
    Liveness,
    /// 3: the same work costs another amount than the baseline says.
    Cost,
    /// 4: something was never put to the test, or the work was cut short.
    Incomplete,
    /// 0: every promise was exercised and kept.
    Pass,
}

/// The table of exit codes, for `--help`.
pub const HELP: &str = "\
Exit codes: 0 pass, 1 safety broken, 2 liveness broken, 3 cost changed, \
4 vacuous or incomplete, 64 wrong usage";

impl Exit {
    /// What a run amounts to.
    pub fn of(report: &RunReport) -> Exit {
        match report.verdict {
            Verdict::Pass => Exit::Pass,
            Verdict::Vacuous => Exit::Incomplete,
            Verdict::Fail => {
                let violations = report.findings.iter().filter(|f| f.severity == Severity::Violation);
                violations.map(|f| Self::of_finding(f, report)).min().unwrap_or(Exit::Safety)
            }
        }
    }

    fn of_finding(finding: &Finding, report: &RunReport) -> Exit {
        let promise = report.evidence.iter().find(|e| e.invariant == finding.invariant).map(|e| e.promise);
        if promise == Some(Promise::Liveness) { Exit::Liveness } else { Exit::Safety }
    }

    /// What a sweep amounts to.
    pub fn of_sweep(sweep: &Sweep) -> Exit {
        match sweep.verdict() {
            Verdict::Pass => Exit::Pass,
            Verdict::Vacuous => Exit::Incomplete,
            Verdict::Fail if sweep.again.iter().any(|c| !c.again.same()) => Exit::Safety,
            Verdict::Fail => {
                let failed = sweep.swept.reports.iter().filter(|r| r.verdict == Verdict::Fail);
                failed.map(Exit::of).min().unwrap_or(Exit::Safety)
            }
        }
    }

    /// In the words of a verdict.
    pub fn verdict(self) -> Verdict {
        match self {
            Exit::Pass => Verdict::Pass,
            Exit::Incomplete => Verdict::Vacuous,
            Exit::Usage | Exit::Safety | Exit::Liveness | Exit::Cost => Verdict::Fail,
        }
    }

    /// The number that the process exits with.
    pub fn code(self) -> u8 {
        match self {
            Exit::Pass => 0,
            Exit::Safety => 1,
            Exit::Liveness => 2,
            Exit::Cost => 3,
            Exit::Incomplete => 4,
            Exit::Usage => 64,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
