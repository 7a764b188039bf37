//! Recipes: strikes in a fixed order, each of which waits for a state of the cluster and not for a moment. What breaks
//! replication is a sequence that chance hardly ever hits; a recipe is that sequence, as data.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::plan::{Mark, Strike, Target, Trigger};

/// What a step waits for. Counts begin at the strike before it; of [`Strike::until`], at the strike itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "wait", rename_all = "snake_case")]
pub enum Wait {
    /// So many events of a kind.
    Nth {
        /// What is counted.
        of: Mark,
        /// Of this partition only; of any, if `None`.
        p: Option<u32>,
        /// How many.
        n: u64,
    },
    /// So many requests of an API were sent, by whomever.
    Asked {
        /// Its key.
        api: i16,
        /// How many.
        n: u64,
    },
    /// The leader of partition `p` is up, and its in-sync set has so many members.
    InSync {
        /// The partition.
        p: u32,
        /// How many, itself included.
        size: usize,
    },
    /// Partition `p` is led in a newer epoch.
    NewLeader {
        /// The partition.
        p: u32,
    },
    /// All replicas of `p` that are up end at one offset, and the leader's high watermark is not there yet: what came last
    /// is everywhere, and committed nowhere.
    Level {
        /// The partition.
        p: u32,
    },
    /// The leader of `p` has a higher high watermark than any follower knows of, and some have all that is below it.
    Ahead {
        /// The partition.
        p: u32,
    },
    /// The log of the leader of `p` goes so many offsets beyond that of every follower.
    Tail {
        /// The partition.
        p: u32,
        /// How many at least.
        n: i64,
    },
}

/// One strike of a recipe.
#[derive(Clone, Debug)]
pub struct Step {
    waits: Vec<Wait>,
    fault: &'static str,
    target: Target,
    until: Vec<Wait>,
    duration_ms: u64,
    force: u64,
}

impl Step {
    /// A strike as soon as the one before it has struck, cured when the strikes phase ends.
    pub fn new(fault: &'static str, target: Target) -> Self {
        Self { waits: Vec::new(), fault, target, until: Vec::new(), duration_ms: 60_000, force: 0 }
    }

    /// A step that harms nobody: a run in which it never strikes has not gone as the recipe says.
    pub fn witness(waits: &[Wait]) -> Self {
        Self::new("witness", Target::Nobody).when(waits).lasting(0)
    }

    /// Not before all of this is so.
    pub fn when(mut self, waits: &[Wait]) -> Self {
        self.waits.extend(waits);
        self
    }

    /// Cured when all of this is so.
    pub fn until(mut self, waits: &[Wait]) -> Self {
        self.until.extend(waits);
        self
    }

    /// Cured after so many milliseconds at the latest.
    pub fn lasting(self, duration_ms: u64) -> Self {
        Self { duration_ms, ..self }
    }

    /// So hard, in the fault's unit.
    pub fn force(self, force: u64) -> Self {
        Self { force, ..self }
    }

    /// The fault's name.
    pub fn fault(&self) -> &'static str {
        self.fault
    }

    /// As a strike of a plan.
    pub(crate) fn strike(&self, id: u32, salt: u64) -> Strike {
        Strike {
            id,
            trigger: Trigger::Then { waits: self.waits.clone() },
            fault: self.fault.into(),
            target: self.target,
            duration_ms: self.duration_ms,
            until: self.until.clone(),
            force: self.force,
            salt,
        }
    }
}

/// So many more strikes of the recipe.
pub fn struck(n: u64) -> Wait {
    Wait::Nth { of: Mark::Struck, p: None, n }
}

/// So many events of a kind, of one partition.
pub fn nth(of: Mark, p: u32, n: u64) -> Wait {
    Wait::Nth { of, p: Some(p), n }
}

/// So many events of a kind, of any partition or of none.
pub fn any(of: Mark, n: u64) -> Wait {
    Wait::Nth { of, p: None, n }
}

/// What is waited for, for the reader of a report.
pub fn in_words(waits: &[Wait]) -> String {
    if waits.is_empty() {
        return "the strike before it".into();
    }
    waits.iter().map(Wait::to_string).collect::<Vec<_>>().join(" and ")
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {}", self.fault, in_words(&self.waits))
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wait::Nth { of, p: Some(p), n } => write!(f, "{} {n} of partition {p}", of.name()),
            Wait::Nth { of, p: None, n } => write!(f, "{} {n}", of.name()),
            Wait::Asked { api, n } => write!(f, "request {n} of API {api}"),
            Wait::InSync { p, size } => write!(f, "{size} in sync for partition {p}"),
            Wait::NewLeader { p } => write!(f, "another leader epoch of partition {p}"),
            Wait::Level { p } => write!(f, "a record of partition {p} that is everywhere and not committed"),
            Wait::Ahead { p } => write!(f, "a record of partition {p} that only its leader knows to be committed"),
            Wait::Tail { p, n } => write!(f, "{n} records of partition {p} that its leader alone has"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::seed::Seed;

    fn recipe() -> Vec<Step> {
        vec![
            Step::new("isolate", Target::LeaderOf(0)).until(&[struck(1)]),
            Step::new("process_crash", Target::LeaderOf(0)).when(&[Wait::NewLeader { p: 0 }]).lasting(70).force(2),
            Step::witness(&[nth(Mark::Truncated, 0, 1), Wait::InSync { p: 0, size: 3 }]),
        ]
    }

    #[test]
    fn steps_come_first_and_in_order() {
        let plan = Plan::draw(&recipe(), &[], 4000, Seed::new(1));
        let ids: Vec<u32> = plan.strikes.iter().map(|s| s.id).collect();
        assert_eq!(ids, [0, 1, 2]);
        assert_eq!((plan.strikes[1].duration_ms, plan.strikes[1].force), (70, 2));
        assert_eq!(plan.strikes[0].until, [struck(1)]);
        let kept = plan.clone().keep(Some(&[0, 2]));
        assert_eq!(kept.strikes, [plan.strikes[0].clone(), plan.strikes[2].clone()]);
    }

    #[test]
    fn a_plan_with_a_recipe_is_data() {
        let plan = Plan::draw(&recipe(), &[], 4000, Seed::new(1));
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
    }

    #[test]
    fn what_is_waited_for_is_told() {
        assert_eq!(in_words(&[]), "the strike before it");
        let told = in_words(&[nth(Mark::Acked, 1, 4), Wait::Tail { p: 1, n: 2 }]);
        assert_eq!(told, "acknowledgement 4 of partition 1 and 2 records of partition 1 that its leader alone has");
    }
}
