//! Committed offsets: accepted from members of the current generation, and from whoever consumes without a group.

use std::time::Duration;

use kafka_protocol::error::ResponseError;

use super::classic::{Cx, Group, Then};
use super::protocol;
use super::record::{Committed, Record};
use super::request::{Answer, Commit, Commits, State, Ticket};
use crate::ids::{Timestamp, TopicPartition};
use crate::planted::{Defect, planted};

impl Group {
    /// Carries out an OffsetCommit: answered when it is committed.
    pub fn commit(&mut self, cx: &mut Cx<'_>, ticket: Ticket, asked: Commits) {
        if let Err(error) = self.check_commit(&asked) {
            return cx.answer(ticket, Answer::No(error));
        }
        if let Some(member) = self.members.get_mut(&asked.who.member) {
            member.heard(cx.now.mono);
        }
        let mut ends = Vec::with_capacity(asked.offsets.len());
        let mut offsets = Vec::with_capacity(asked.offsets.len());
        for (tp, commit) in asked.offsets {
            let long = commit.metadata.len() > cx.settings.offset_metadata_max_bytes;
            ends.push(if long { Err(ResponseError::OffsetMetadataTooLarge) } else { Ok(()) });
            if !long {
                let Commit { offset, leader_epoch, metadata } = commit;
                offsets.push((tp, Committed { offset, leader_epoch, metadata, at: cx.now.wall }));
            }
        }
        if offsets.is_empty() {
            return cx.answer(ticket, Answer::Offsets(ends));
        }
        for (tp, _) in &offsets {
            *self.pending.entry(tp.clone()).or_default() += 1;
        }
        let record = |(tp, committed): &(TopicPartition, Committed)| {
            let (tp, committed) = (tp.clone(), Some(committed.clone()));
            Record::Offset { group: self.name.clone(), tp, committed }
        };
        let records = offsets.iter().map(record).collect();
        let name = self.name.clone();
        cx.write(&name, records, Then::Offsets { offsets, ticket, ends });
    }

    fn check_commit(&self, Commits { who, by_epoch, .. }: &Commits) -> Result<(), ResponseError> {
        if planted(Defect::GcStaleGenerationCommit) {
            return Ok(());
        }
        if let Some(roster) = self.rounds.newest() {
            // As it will be: whoever is being thrown out must not overtake whoever has its partitions next.
            return match roster.members.get(&who.member) {
                None if who.generation < 0 && roster.members.is_empty() => Ok(()),
                None => Err(ResponseError::UnknownMemberId),
                // It might mean a generation, and would not understand that its epoch is stale.
                Some(_) if !by_epoch => Err(ResponseError::UnsupportedVersion),
                Some(peer) if peer.standing.epoch != who.generation => Err(ResponseError::StaleMemberEpoch),
                Some(_) => Ok(()),
            };
        }
        if who.generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        // Offsets of a group with members are theirs to commit.
        self.check(who)?;
        match self.state {
            // What it committed might not be its own any more when the assignment comes.
            State::CompletingRebalance => Err(ResponseError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// What was being written is so, or is not.
    pub fn settle(&mut self, offsets: Vec<(TopicPartition, Committed)>, stands: bool) {
        for (tp, committed) in offsets {
            if let Some(count) = self.pending.get_mut(&tp) {
                *count -= 1;
                if *count == 0 {
                    self.pending.remove(&tp);
                }
            }
            if stands {
                self.offsets.insert(tp, committed);
            }
        }
    }

    /// Whether a member is subscribed to the topic.
    fn subscribes(&self, topic: &str) -> bool {
        if self.rounds.newest().is_some_and(|roster| roster.subscribes(topic)) {
            return true;
        }
        let mut said = self.members.values().flat_map(|member| &member.protocols);
        *self.protocol_type == *protocol::CONSUMER && said.any(|(_, metadata)| protocol::subscribes(metadata, topic))
    }

    /// Carries out an OffsetDelete (KIP-496).
    pub fn forget(&mut self, cx: &mut Cx<'_>, ticket: Ticket, asked: Vec<TopicPartition>) {
        if !self.members.is_empty() && *self.protocol_type != *protocol::CONSUMER {
            return cx.answer(ticket, Answer::No(ResponseError::NonEmptyGroup));
        }
        let refused = |tp: &TopicPartition| match self.subscribes(&tp.topic) {
            true => Err(ResponseError::GroupSubscribedToTopic),
            false => Ok(()),
        };
        let ends: Vec<Result<(), ResponseError>> = asked.iter().map(refused).collect();
        let known = |tp: &TopicPartition| self.offsets.contains_key(tp) || self.pending.contains_key(tp);
        let allowed = asked.into_iter().zip(&ends).filter(|(tp, end)| end.is_ok() && known(tp));
        let offsets: Vec<TopicPartition> = allowed.map(|(tp, _)| tp).collect();
        let answer = Answer::Offsets(ends);
        if offsets.is_empty() {
            return cx.answer(ticket, answer);
        }
        self.tombstone(cx, offsets, false, Some((ticket, answer)));
    }

    /// What was committed for a topic that is deleted is forgotten.
    pub fn topic_gone(&mut self, cx: &mut Cx<'_>, topic: &str) {
        let all = self.offsets.keys().chain(self.pending.keys()).filter(|tp| *tp.topic == *topic).cloned();
        let all: std::collections::BTreeSet<TopicPartition> = all.collect();
        if !all.is_empty() {
            self.tombstone(cx, all.into_iter().collect(), false, None);
        }
    }

    /// Carries out a DeleteGroups.
    pub fn delete(&mut self, cx: &mut Cx<'_>, ticket: Ticket) {
        if self.state != State::Empty || !self.given.is_empty() || !self.rounds.is_idle() {
            return cx.answer(ticket, Answer::No(ResponseError::NonEmptyGroup));
        }
        let all = self.offsets.keys().chain(self.pending.keys()).cloned();
        let all: std::collections::BTreeSet<TopicPartition> = all.collect();
        self.tombstone(cx, all.into_iter().collect(), true, Some((ticket, Answer::Done)));
    }

    fn tombstone(
        &mut self,
        cx: &mut Cx<'_>,
        offsets: Vec<TopicPartition>,
        gone: bool,
        answer: Option<(Ticket, Answer)>,
    ) {
        let group = || self.name.clone();
        let forgets = offsets.iter().map(|tp| Record::Offset { group: group(), tp: tp.clone(), committed: None });
        let mut records: Vec<Record> = forgets.collect();
        if gone {
            records.push(Record::Group { group: group(), generation: None });
            records.extend(self.rounds.stands.iter().flat_map(|roster| self.entries(roster.end())));
        }
        let name = group();
        cx.write(&name, records, Then::Forgotten { offsets, gone, answer });
    }

    /// Forgets what nobody has asked for in `offsets.retention.minutes`: of a group without members since it has none
    /// (KIP-211), of one that never had any since each offset was committed. A group with members forgets nothing.
    pub fn expire(&mut self, cx: &mut Cx<'_>) {
        let rejoins = planted(Defect::GcExpireInRebalance) && self.state == State::PreparingRebalance;
        if !self.is_idle() && !rejoins {
            return;
        }
        let keeps = i64::try_from(if rejoins { 0 } else { cx.settings.offsets_retention.as_millis() })
            .unwrap_or(Timestamp::MAX);
        let simple = self.protocol_type.is_empty();
        let old = |committed: &Committed| {
            let since = if simple { committed.at } else { self.since.max(committed.at) };
            since.saturating_add(keeps) <= cx.now.wall
        };
        let expired = self.offsets.iter().filter(|(_, committed)| old(committed)).map(|(tp, _)| tp.clone());
        let expired: Vec<TopicPartition> = expired.collect();
        let gone = expired.len() == self.offsets.len() && !rejoins;
        if gone || !expired.is_empty() {
            self.tombstone(cx, expired, gone, None);
        }
    }
}

/// How often it is looked for what has expired (`offsets.retention.check.interval.ms`).
pub(super) const EXPIRY_CHECK: Duration = Duration::from_secs(600);
/// And in a run of seconds that must see it happen ([`Defect::GcExpireInRebalance`]).
pub(super) const HASTY: Duration = Duration::from_millis(20);
