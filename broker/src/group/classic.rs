//! A group: what is known of it, and when something is due. One of the newer protocol has neither members nor generations
//! here, but rounds ([`Rounds`]).

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::consumer::Topics;
use super::consumer::rounds::Rounds;
use super::member::Member;
use super::record::{Committed, Generation, Record};
use super::request::{Answer, Described, Effect, Joined, Now, Rebalances, State, Synced, Ticket, Token, Who};
use crate::config::GroupConfig;
use crate::env::Mono;
use crate::ids::{Offset, Timestamp, TopicPartition};
use crate::planted::{Defect, planted};

/// What a write is for: what becomes so, and is answered, once it is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Offsets are committed.
    Offsets { offsets: Vec<(TopicPartition, Committed)>, ticket: Ticket, ends: Vec<Result<(), ResponseError>> },
    /// A generation has its assignment.
    Assigned { generation: i32, assignments: Vec<(StrBytes, Bytes)> },
    /// A static member is known by another id, and is told its generation.
    Replaced { ticket: Ticket, joined: Box<Joined> },
    /// Offsets are forgotten, and the group with them, if it is `gone`; nobody asked if there is no ticket.
    Forgotten { offsets: Vec<TopicPartition>, gone: bool, answer: Option<(Ticket, Answer)> },
    /// A round of a group of the newer protocol.
    Round,
    /// Only what the log should know.
    Noted,
}

impl Then {
    /// Whether a member cannot go on before it is committed, or has failed.
    pub fn holds_up(&self) -> bool {
        matches!(self, Then::Assigned { .. } | Then::Replaced { .. })
    }
}

/// A write under way.
#[derive(Debug)]
pub(super) struct Write {
    pub token: Token,
    pub group: StrBytes,
    /// Where it ends in the log, once it is there.
    pub end: Option<Offset>,
    /// When whoever cannot go on without it has waited long enough.
    pub by: Mono,
    pub then: Then,
}

/// What a group needs of its coordinator while it decides.
pub(super) struct Cx<'a> {
    pub now: Now,
    pub settings: &'a GroupConfig,
    pub topics: &'a Topics,
    pub writes: &'a mut VecDeque<Write>,
    pub next_token: &'a mut Token,
    pub out: &'a mut Vec<Effect>,
}

impl Cx<'_> {
    /// Answers a request.
    pub fn answer(&mut self, ticket: Ticket, answer: Answer) {
        self.out.push(Effect::Answer(ticket, answer));
    }

    /// Has records written; what follows from them is `then`.
    pub fn write(&mut self, group: &StrBytes, records: Vec<Record>, then: Then) {
        let token = *self.next_token;
        *self.next_token += 1;
        let by = self.now.mono.after(self.settings.offsets_commit_timeout);
        self.writes.push_back(Write { token, group: group.clone(), end: None, by, then });
        self.out.push(Effect::Write(token, records));
    }
}

/// Until when a rebalance waits for members.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    pub until: Mono,
    /// The first rebalance of an empty group waits a while for more members, however few there are: until then at most,
    /// and whether somebody has come since it last looked.
    pub initial: Option<(Mono, bool)>,
}

/// A group.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub name: StrBytes,
    pub state: State,
    /// When it came into that state.
    pub since: Timestamp,
    pub generation: i32,
    pub protocol_type: StrBytes,
    pub protocol: Option<StrBytes>,
    pub leader: Option<StrBytes>,
    pub members: BTreeMap<StrBytes, Member>,
    /// The member ids of static members, by instance id.
    pub statics: BTreeMap<StrBytes, StrBytes>,
    /// Member ids that were given away and have not been used yet, each until when (KIP-394).
    pub given: BTreeMap<StrBytes, Mono>,
    /// While it prepares a rebalance.
    pub wait: Option<Wait>,
    /// Until when members must have asked for their assignment.
    pub sync_by: Option<Mono>,
    /// The generation whose assignment is being written.
    pub assigning: Option<i32>,
    pub offsets: BTreeMap<TopicPartition, Committed>,
    /// Offsets that are being written: how many times each.
    pub pending: BTreeMap<TopicPartition, u32>,
    /// If it is of the newer protocol.
    pub rounds: Rounds,
    /// The log knows of it.
    pub stored: bool,
    /// When it is to be looked at.
    pub armed: Option<Mono>,
    /// Since when it is being shared out.
    pub rebalancing: Option<Mono>,
    pub rebalances: Rebalances,
}

impl Group {
    /// One without members.
    pub fn new(name: StrBytes, now: Now) -> Self {
        Self { name, since: now.wall, ..Self::default() }
    }

    /// As the log has it.
    pub fn restore(&mut self, generation: Generation) {
        let Generation { protocol_type, generation, protocol, leader, since, members } = generation;
        (self.protocol_type, self.generation, self.protocol) = (protocol_type, generation, protocol);
        (self.leader, self.since, self.stored) = (leader, since, true);
        self.state = if members.is_empty() { State::Empty } else { State::Stable };
        self.statics = members.iter().filter_map(|m| Some((m.instance.clone()?, m.id.clone()))).collect();
        self.members = members.into_iter().map(|member| (member.id.clone(), member)).collect();
    }

    /// What the log should know of it, with these assignments.
    pub fn record(&self, assignment: impl Fn(&Member) -> Bytes) -> Record {
        let members = self.members.values().map(|member| Member { assignment: assignment(member), ..member.clone() });
        let generation = Generation {
            protocol_type: self.protocol_type.clone(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            since: self.since,
            members: members.collect(),
        };
        Record::Group { group: self.name.clone(), generation: Some(generation) }
    }

    /// It comes into that state.
    pub fn turn(&mut self, now: Now, state: State) {
        self.state = state;
        self.since = now.wall;
        self.count_rebalance(now.mono, matches!(state, State::Stable | State::Empty));
    }

    /// It is being shared out, or is at rest.
    pub fn count_rebalance(&mut self, now: Mono, at_rest: bool) {
        if !at_rest {
            self.rebalancing.get_or_insert(now);
        } else if let Some(since) = self.rebalancing.take() {
            self.rebalances.end(now.since(since));
        }
    }

    /// Whether that member assigns.
    pub fn is_leader(&self, member: &StrBytes) -> bool {
        self.leader.as_ref() == Some(member)
    }

    /// The current generation, as `member` is told of it.
    pub fn told(&self, member: &StrBytes) -> Joined {
        let protocol = self.protocol.clone().unwrap_or_default();
        let all = self
            .members
            .values()
            .map(|m| (m.id.clone(), m.instance.clone(), m.metadata(&protocol).cloned().unwrap_or_default()));
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member: member.clone(),
            members: if self.is_leader(member) { all.collect() } else { Vec::new() },
            skip: false,
            protocol,
        }
    }

    /// The assignment of `member`.
    pub fn assigned(&self, member: &StrBytes) -> Synced {
        Synced {
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone().unwrap_or_default(),
            assignment: self.members.get(member).map(|member| member.assignment.clone()).unwrap_or_default(),
        }
    }

    /// Whether that is a member, and under that instance id (KIP-345).
    pub fn check_member(&self, member: &StrBytes, instance: Option<&StrBytes>) -> Result<(), ResponseError> {
        if let Some(instance) = instance {
            match self.statics.get(instance) {
                None => return Err(ResponseError::UnknownMemberId),
                Some(holder) if holder != member && !planted(Defect::GcStaticDupInstance) => {
                    return Err(ResponseError::FencedInstanceId);
                }
                Some(_) => {}
            }
        }
        if self.members.contains_key(member) { Ok(()) } else { Err(ResponseError::UnknownMemberId) }
    }

    /// Whether that is a member of this generation.
    pub fn check(&self, who: &Who) -> Result<(), ResponseError> {
        self.check_member(&who.member, who.instance.as_ref())?;
        if who.generation == self.generation { Ok(()) } else { Err(ResponseError::IllegalGeneration) }
    }

    /// When it is to be looked at next.
    pub fn due(&self) -> Option<Mono> {
        let waits = |member: &Member| member.joins.is_some() || member.syncs.is_some();
        let sessions = self.members.values().filter(|member| !waits(member)).filter_map(|member| member.expires);
        let wait = self.wait.map(|wait| wait.until);
        let classic = sessions.chain(self.given.values().copied()).chain(wait).chain(self.sync_by);
        classic.chain(self.rounds.due()).min()
    }

    /// Whether nothing keeps it.
    pub fn is_idle(&self) -> bool {
        self.state == State::Empty && self.given.is_empty() && self.pending.is_empty() && self.rounds.is_idle()
    }

    /// For DescribeGroups.
    pub fn describe(&self) -> Described {
        let stable = self.state == State::Stable;
        let protocol = self.protocol.clone().filter(|_| stable).unwrap_or_default();
        let members = self.members.values().map(|member| match stable {
            true => member.clone(),
            false => Member { protocols: Vec::new(), assignment: Bytes::new(), ..member.clone() },
        });
        Described { state: self.state, protocol_type: self.protocol_type.clone(), protocol, members: members.collect() }
    }
}
