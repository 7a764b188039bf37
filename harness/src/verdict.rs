//! Findings and the verdict they add up to. No evidence is not a pass.

use crate::history::TpId;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The contract permits it; it is counted.
    ExpectedLoss,
    /// Legal, but worth showing.
    Suspicious,
    /// What should have been exercised was not.
    Vacuous,
    /// The contract is broken.
    Violation,
}

/// One thing an invariant has found.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Finding {
    /// The invariant's id, as `B3`.
    pub invariant: String,
    /// How much it weighs.
    pub severity: Severity,
    /// When it was found, in nanoseconds of world time.
    pub at: u64,
    /// Which partition, if one.
    pub tp: Option<TpId>,
    /// One sentence with the numbers: what was promised, what was seen.
    pub what: String,
    /// The events that show it, in order, as a person reads them.
    pub story: Vec<String>,
}

/// What a run, or many, amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every promise was exercised and kept.
    Pass,
    /// Nothing broke, but something was never put to the test.
    Vacuous,
    /// A promise was broken.
    Fail,
}

/// What kind of promise an invariant guards: decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promise {
    /// Nothing bad ever happens.
    Safety,
    /// Something good happens in time.
    Liveness,
    /// The history itself can be trusted.
    Meta,
}
