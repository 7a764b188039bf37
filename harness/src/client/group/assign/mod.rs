//! How a group's leader shares partitions out among the members: Kafka's assignors as pure functions.

mod claims;
mod cooperative;
mod range;
mod roundrobin;
mod sticky;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use broker::ids::TopicPartition;
use bytes::Bytes;

use super::protocol::{OwnedBefore, Subscription};

/// A member as its group's leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The id that the coordinator gave it.
    pub id: Arc<str>,
    /// `group.instance.id`, of a static member.
    pub instance: Option<Arc<str>>,
    /// The topics it wants.
    pub topics: BTreeSet<Arc<str>>,
    /// What it says it owns.
    pub owned: BTreeSet<TopicPartition>,
    /// The generation in which it was given that; -1 if unknown.
    pub generation: i32,
}

/// How many partitions each topic has. A topic that is not here does not exist.
pub type Partitions = BTreeMap<Arc<str>, i32>;

/// Who is given what, by member id. Every member has an entry.
pub type Plan = BTreeMap<Arc<str>, BTreeSet<TopicPartition>>;

/// A rule for sharing out (`partition.assignment.strategy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assignor {
    /// Of each topic a contiguous range for each member, so that topics with as many partitions are paired.
    Range,
    /// All partitions of all topics in turn.
    RoundRobin,
    /// Balanced, and everyone keeps what it can (KIP-54); all is given up before it is shared out.
    Sticky,
    /// As sticky, and what is kept is never given up; what moves is given up first and assigned a round later (KIP-429).
    CooperativeSticky,
    /// Not the members but the broker shares out, and sees to it that what moves is given up first (KIP-848): another
    /// protocol, which goes with no other assignor.
    Brokers,
}

impl Assignor {
    /// Kafka's name of it, as members tell the coordinator.
    pub fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::Sticky => "sticky",
            Self::CooperativeSticky => "cooperative-sticky",
            Self::Brokers => "brokers",
        }
    }

    /// The assignor of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Range, Self::RoundRobin, Self::Sticky, Self::CooperativeSticky].into_iter().find(|a| a.name() == name)
    }

    /// Whether members keep their partitions through a rebalance.
    pub fn is_cooperative(self) -> bool {
        self == Self::CooperativeSticky
    }

    /// What a member tells its leader. Under the eager sticky rule it has given up what it `owned`, and tells it as what
    /// it had before.
    pub fn subscription(
        self,
        topics: &BTreeSet<Arc<str>>,
        owned: &BTreeSet<TopicPartition>,
        generation: i32,
    ) -> Subscription {
        let mut told = Subscription {
            topics: topics.clone(),
            user_data: None,
            owned: BTreeSet::new(),
            generation: -1,
            rack: None,
        };
        match self {
            Self::Range | Self::RoundRobin | Self::Brokers => told.generation = generation,
            Self::Sticky => {
                let before = OwnedBefore { partitions: owned.clone(), generation };
                told.user_data = Some(before.encode());
                told.generation = generation;
            }
            Self::CooperativeSticky => {
                (told.owned, told.generation) = (owned.clone(), generation);
                told.user_data = Some(Bytes::copy_from_slice(&generation.to_be_bytes()));
            }
        }
        told
    }

    /// A member as its leader sees it, from what it told. One whose words make no sense wants nothing.
    pub fn member(self, id: Arc<str>, instance: Option<Arc<str>>, told: &[u8]) -> Member {
        let mut member = Member { id, instance, topics: BTreeSet::new(), owned: BTreeSet::new(), generation: -1 };
        let Some(told) = Subscription::decode(told) else { return member };
        (member.topics, member.owned, member.generation) = (told.topics, told.owned, told.generation);
        if self == Self::Sticky
            && let Some(before) = told.user_data.and_then(|data| OwnedBefore::decode(&data))
        {
            (member.owned, member.generation) = (before.partitions, before.generation);
        }
        member
    }

    /// Shares `partitions` out among `members`, whose ids differ.
    pub fn assign(self, members: &[Member], partitions: &Partitions) -> Plan {
        match self {
            Self::Range => range::assign(members, partitions),
            Self::RoundRobin => roundrobin::assign(members, partitions),
            Self::Sticky => sticky::assign(members, partitions),
            Self::CooperativeSticky => cooperative::assign(members, partitions),
            // No member is ever asked to.
            Self::Brokers => empty(members),
        }
    }
}

/// A plan that gives nobody anything.
fn empty(members: &[Member]) -> Plan {
    members.iter().map(|member| (member.id.clone(), BTreeSet::new())).collect()
}

/// Members in Kafka's order (`MemberInfo.compareTo`): static ones by instance id, then the others by member id.
fn in_order(members: &[Member]) -> Vec<&Member> {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_by_key(|member| (member.instance.is_none(), member.instance.clone(), member.id.clone()));
    sorted
}

/// The partitions of every topic that someone wants, by topic and number.
fn wanted(members: &[Member], partitions: &Partitions) -> Vec<TopicPartition> {
    let topics = partitions.iter().filter(|(topic, _)| members.iter().any(|member| member.topics.contains(*topic)));
    topics.flat_map(|(topic, count)| (0..*count).map(|number| TopicPartition::new(topic.clone(), number))).collect()
}
