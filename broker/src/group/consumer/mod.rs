//! Groups of the newer protocol (KIP-848): members say what they want to read in heartbeats; the coordinator shares it out,
//! and hands a partition on only when whoever had it has given it up.
//!
//! What is known of such a group is a [`Roster`]: plain data, that one heartbeat after another changes. What has changed is
//! written down in Kafka's own records ([`entry`]), and believed once those are committed ([`rounds`]).

mod assign;
mod beat;
pub mod entry;
mod reconcile;
pub(super) mod rounds;
pub mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use kafka_protocol::protocol::StrBytes;

use crate::controller::record::TopicId;
use crate::ids::Timestamp;

pub use assign::ASSIGNORS;
pub use beat::{Beat, Beaten};
pub use topics::Topics;

/// Partitions.
pub type Parts = BTreeSet<(TopicId, i32)>;

/// By topic, as messages have them.
pub fn by_topic(parts: &Parts) -> BTreeMap<TopicId, Vec<i32>> {
    let mut all: BTreeMap<TopicId, Vec<i32>> = BTreeMap::new();
    parts.iter().for_each(|(topic, number)| all.entry(*topic).or_default().push(*number));
    all
}

/// The epoch with which a static member goes that will be back.
pub const GONE_FOR_NOW: i32 = -2;

/// How far a member has come towards what it is to have; the numbers are those of Kafka's records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// It has all of it.
    #[default]
    Stable = 0,
    /// It has not given up yet what others are to have.
    Revoking = 1,
    /// Others have not given up yet what it is to have.
    Waiting = 2,
}

/// What a member says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// `group.instance.id`.
    pub instance: Option<StrBytes>,
    /// `client.rack`.
    pub rack: Option<StrBytes>,
    /// `client.id`.
    pub client_id: StrBytes,
    /// From where it speaks.
    pub client_host: StrBytes,
    /// Topics it wants to read, by name.
    pub names: BTreeSet<StrBytes>,
    /// And those that match.
    pub regex: Option<StrBytes>,
    /// How many milliseconds it may take to give something up (`max.poll.interval.ms`).
    pub rebalance_timeout: i32,
    /// The assignor it likes best (`group.remote.assignor`).
    pub assignor: Option<StrBytes>,
}

/// Where a member stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The epoch it must say it is in; [`GONE_FOR_NOW`]: none.
    pub epoch: i32,
    /// The one before, which it says if it has not heard of this one.
    pub previous: i32,
    /// Where it is with what it is to have.
    pub progress: Progress,
    /// What it has.
    pub assigned: Parts,
    /// What it has to give up, and may have still.
    pub revoking: Parts,
}

/// A member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// What it says of itself.
    pub said: Said,
    /// What it is to have.
    pub target: Parts,
    /// Where it stands.
    pub standing: Standing,
}

impl Peer {
    /// Whether nobody else may have the partition.
    fn holds(&self, part: &(TopicId, i32)) -> bool {
        self.standing.assigned.contains(part) || self.standing.revoking.contains(part)
    }
}

/// Which topics a regular expression stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// By name.
    pub topics: BTreeSet<StrBytes>,
    /// Counts the looks; in Kafka, the offset of the metadata looked at.
    pub version: i64,
    /// When it was looked.
    pub at: Timestamp,
}

/// What is known of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// Counts whatever bears on who is to have what.
    pub epoch: i32,
    /// Over the topics that its members want to read, as they are.
    pub hash: i64,
    /// The epoch in which it was last decided who is to have what.
    pub assigned_epoch: i32,
    /// By member id.
    pub members: BTreeMap<StrBytes, Rc<Peer>>,
    /// What its members' regular expressions stand for.
    pub regexes: BTreeMap<StrBytes, Resolved>,
}

impl Roster {
    /// Its state, by Kafka's names.
    pub fn state(&self) -> &'static str {
        let done = |peer: &Peer| {
            peer.standing.progress == Progress::Stable && peer.standing.epoch == self.assigned_epoch
                || peer.standing.epoch == GONE_FOR_NOW
        };
        match () {
            () if self.members.is_empty() => "Empty",
            () if self.epoch > self.assigned_epoch => "Assigning",
            () if self.members.values().all(|peer| done(peer)) => "Stable",
            () => "Reconciling",
        }
    }

    /// Whether nobody is to be given anything, nor to give anything up.
    pub fn is_at_rest(&self) -> bool {
        matches!(self.state(), "Stable" | "Empty")
    }

    /// The static member of that name.
    pub fn holder(&self, instance: &StrBytes) -> Option<&StrBytes> {
        self.members.iter().find(|(_, peer)| peer.said.instance.as_ref() == Some(instance)).map(|(id, _)| id)
    }

    /// Whether a member wants to read the topic.
    pub fn subscribes(&self, topic: &str) -> bool {
        self.members.values().any(|peer| self.wants(&peer.said).any(|name| **name == *topic))
    }

    /// What a member that says so wants to read; a name may come twice.
    fn wants<'a>(&'a self, said: &'a Said) -> impl Iterator<Item = &'a StrBytes> {
        let matched = said.regex.as_ref().and_then(|regex| self.regexes.get(regex));
        said.names.iter().chain(matched.into_iter().flat_map(|resolved| &resolved.topics))
    }

    /// The assignor most members like best; of several the first by name; `otherwise` if none says.
    pub fn assignor<'a>(&'a self, otherwise: &'a str) -> &'a str {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for liked in self.members.values().filter_map(|peer| peer.said.assignor.as_deref()) {
            *votes.entry(liked).or_default() += 1;
        }
        let most = votes.values().copied().max();
        votes.into_iter().find(|(_, count)| Some(*count) == most).map_or(otherwise, |(name, _)| name)
    }
}
