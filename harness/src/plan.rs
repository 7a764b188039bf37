//! The plan of a run's faults, as data: built before the run from (scenario, seed, keep-mask), so that it can be printed,
//! shrunk and replayed.

use serde::{Deserialize, Serialize};

use crate::recipe::{Step, Wait};
use crate::scenario::Menace;
use crate::seed::{Draw, Seed};

/// When a strike comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "when", rename_all = "snake_case")]
pub enum Trigger {
    /// So many milliseconds after the strikes phase begins.
    At {
        /// Milliseconds of world time.
        ms: u64,
    },
    /// At the n-th event of a kind, counted from the beginning of the strikes phase (n from 1).
    Nth {
        /// What is counted.
        of: Mark,
        /// Which one.
        n: u64,
        /// At the latest so many milliseconds after the phase began, in a run where the event is too rare.
        by_ms: u64,
    },
    /// After the strike before it in the recipe, as far as that was kept, when all of this is so.
    Then {
        /// Counted from the moment of that strike; of the first, from the beginning of the strikes phase.
        waits: Vec<Wait>,
    },
}

/// Events that a trigger can count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// A batch was appended.
    Appended,
    /// An fsync returned.
    Flushed,
    /// A produce request was acknowledged.
    Acked,
    /// A segment was rolled.
    Rolled,
    /// A fetch was answered with records.
    Served,
    /// Retention moved a log's start.
    Trimmed,
    /// A broker finished its recovery.
    Recovered,
    /// A broker came to lead a partition.
    Leads,
    /// A follower appended a batch of its leader.
    Replicated,
    /// A log was cut from its end.
    Truncated,
    /// A leader's in-sync set shrank.
    Shrunk,
    /// A leader's in-sync set grew.
    Grown,
    /// A broker came to lead the metadata quorum.
    QuorumLeads,
    /// A broker's registration was committed.
    Registered,
    /// A broker came to follow a partition's leader.
    Follows,
    /// A follower answered a consumer's fetch with records (KIP-392).
    ServedNear,
    /// A producer's batch was stored under a newer epoch than all before.
    Bumped,
    /// A broker's process ended.
    Down,
    /// A strike was carried out: the next may follow on its heels.
    Struck,
}

impl Mark {
    /// How many there are.
    pub const COUNT: usize = Mark::Struck as usize + 1;

    /// What it is called in a report.
    pub fn name(self) -> &'static str {
        match self {
            Mark::Appended => "append",
            Mark::Flushed => "fsync",
            Mark::Acked => "acknowledgement",
            Mark::Rolled => "segment roll",
            Mark::Served => "fetch answer",
            Mark::Trimmed => "retention trim",
            Mark::Recovered => "recovery",
            Mark::Leads => "partition leader",
            Mark::Replicated => "replicated batch",
            Mark::Truncated => "truncation",
            Mark::Shrunk => "shrunk in-sync set",
            Mark::Grown => "grown in-sync set",
            Mark::QuorumLeads => "quorum leader",
            Mark::Registered => "registration",
            Mark::Follows => "follower",
            Mark::ServedNear => "answer of a follower",
            Mark::Bumped => "newer epoch of a producer",
            Mark::Down => "broker down",
            Mark::Struck => "strike",
        }
    }

    /// Whether it is so rare that only its first few are worth waiting for.
    fn rare(self) -> bool {
        use Mark::{Grown, Leads, QuorumLeads, Registered, Shrunk, Struck, Truncated};
        matches!(self, Leads | Truncated | Shrunk | Grown | QuorumLeads | Registered | Struck)
    }
}

/// Whom a strike hits, by role; resolved when it strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A broker that is up, by draw.
    Broker,
    /// The leader of partition `p` of the run's list. Waits until there is one, as every role does.
    LeaderOf(u32),
    /// A follower of partition `p`, by draw.
    FollowerOf(u32),
    /// The leader of the metadata quorum.
    Controller,
    /// A node that votes on metadata, by draw.
    Voter,
    /// Brokers by draw, as many as may fail at once with a majority left; waits while others are struck or down.
    Minority,
    /// A minority, as [`Target::Minority`], while every in-sync set is whole: waits until it is. While others are struck,
    /// those of them that are up.
    Spared,
    /// The leader of partition `p`, while every in-sync set is whole and nobody else is struck or down.
    SparedLeader(u32),
    /// A majority of the brokers, by draw.
    Majority,
    /// Every node that is up.
    Everyone,
    /// A client host, by draw.
    Client,
    /// The host of an application, by draw.
    App,
    /// The link between a client host and a broker, by draw.
    ClientLink,
    /// The link between two brokers, by draw.
    BrokerLink,
    /// The links between the leader of partition `p` and all its followers.
    LeaderLinks(u32),
    /// The link between the leader of partition `p` and one follower, by draw; the follower is hit.
    FollowerLink(u32),
    /// The links between the leader of partition `p` and every client host.
    LeaderClients(u32),
    /// So many brokers, by draw, that no strike of the recipe has hit before; 0: all of them.
    Fresh(u32),
    /// A broker of which a second process can be started.
    Double,
    /// Nobody: a step that only bears witness of what it waited for.
    Nobody,
}

/// One planned fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Strike {
    /// Its number in the plan: stable under shrinking.
    pub id: u32,
    /// When.
    pub trigger: Trigger,
    /// The fault's name: a row of the fault table.
    pub fault: String,
    /// Whom.
    pub target: Target,
    /// How long until it is cured, in milliseconds, at the latest.
    pub duration_ms: u64,
    /// It is cured before when all of this is so, counted from the moment it struck; never, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub until: Vec<Wait>,
    /// How hard, in the fault's own unit (its row says which).
    pub force: u64,
    /// Seeds the strike's own draws.
    pub salt: u64,
}

/// All faults of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// In the order of their ids.
    pub strikes: Vec<Strike>,
}

impl Plan {
    /// The plan of one seed: the steps of the recipe, in order; and how many strikes of each menace, when, on whom, how
    /// hard. Every strike draws from a branch of its own, so that the menu can grow without moving what is there.
    pub fn draw(recipe: &[Step], menu: &[Menace], strikes_ms: u64, seed: Seed) -> Plan {
        let step = |(id, step): (u32, &Step)| step.strike(id, seed.split("recipe", u64::from(id)).draw().number());
        let mut strikes: Vec<Strike> = (0..).zip(recipe).map(step).collect();
        for (row, menace) in menu.iter().enumerate() {
            let branch = seed.split(menace.fault, row as u64);
            let count = branch.split("count", 0).draw().between(menace.count.0, menace.count.1);
            for n in 0..count {
                let id = u32::try_from(strikes.len()).unwrap_or(u32::MAX);
                strikes.push(Self::strike(menace, id, strikes_ms, &mut branch.split("strike", n).draw()));
            }
        }
        Plan { strikes }
    }

    fn strike(menace: &Menace, id: u32, strikes_ms: u64, draw: &mut Draw) -> Strike {
        let ms = draw.below(strikes_ms.max(1));
        let at = Trigger::At { ms };
        let by_event = draw.chance(500);
        let (mark, n) = (draw.number(), draw.between(1, 60));
        let trigger = match menace.after {
            [] => at,
            _ if !by_event => at,
            marks => {
                let of = marks[usize::try_from(mark % marks.len() as u64).unwrap_or(0)];
                Trigger::Nth { of, n: if of.rare() { 1 + n % 3 } else { n }, by_ms: ms }
            }
        };
        Strike {
            id,
            trigger,
            fault: menace.fault.into(),
            target: menace.target,
            duration_ms: draw.between(menace.duration_ms.0, menace.duration_ms.1),
            until: Vec::new(),
            force: draw.between(menace.force.0, menace.force.1),
            salt: draw.number(),
        }
    }

    /// Only the strikes whose ids are in `keep`; all, if `None`. Ids stay as they were.
    pub fn keep(mut self, keep: Option<&[u32]>) -> Plan {
        if let Some(keep) = keep {
            self.strikes.retain(|s| keep.contains(&s.id));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn menu() -> Vec<Menace> {
        let one = |fault, count| Menace {
            fault,
            target: Target::Broker,
            count,
            duration_ms: (100, 900),
            force: (1, 9),
            after: &[Mark::Acked],
        };
        vec![one("process_crash", (1, 3)), one("slow_disk", (0, 4))]
    }

    #[test]
    fn a_plan_is_a_function_of_its_seed() {
        let draw = |s| Plan::draw(&[], &menu(), 4000, Seed::new(s));
        assert_eq!(draw(1), draw(1));
        assert!((2..20).any(|s| draw(s) != draw(1)));
    }

    #[test]
    fn adding_to_the_menu_moves_nothing_that_was_there() {
        for s in 0..50 {
            let short = Plan::draw(&[], &menu()[..1], 4000, Seed::new(s));
            let long = Plan::draw(&[], &menu(), 4000, Seed::new(s));
            assert_eq!(short.strikes, long.strikes[..short.strikes.len()]);
        }
    }

    #[test]
    fn keeping_leaves_ids_and_draws_alone() {
        let whole = Plan::draw(&[], &menu(), 4000, Seed::new(3));
        for s in &whole.strikes {
            let kept = whole.clone().keep(Some(&[s.id]));
            assert_eq!(kept.strikes, vec![s.clone()]);
        }
        assert!(whole.clone().keep(Some(&[])).strikes.is_empty());
        assert_eq!(whole.clone().keep(None), whole);
    }
}
