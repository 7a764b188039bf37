//! A finding is reported only with the word of a second process on whether it is the same run there.

use harness::report::RunReport;
use harness::run::RunSpec;
use reports::outcome::Again;

use crate::child;

/// Runs `spec` again in a fresh process and compares with `first`.
pub fn again(spec: &RunSpec, first: &RunReport) -> Again {
    match child::report(spec) {
        Ok(second) if second.trace == first.trace && second.verdict == first.verdict => {
            Again::Same { trace: first.trace }
        }
        Ok(second) => Again::Differs { first: first.trace, second: second.trace },
        Err(e) => Again::Died { said: format!("{e:#}") },
    }
}
