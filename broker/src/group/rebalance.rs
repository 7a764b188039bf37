//! Rebalances: a group waits for its members, counts up its generation, and waits for its leader's assignment.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::classic::{Cx, Group, Then, Wait};
use super::member::Member;
use super::request::{Answer, State};

/// How long a rebalance waits at least: members that would not wait at all could have nothing but rebalances.
const LEAST_PATIENCE: Duration = Duration::from_millis(50);

impl Group {
    /// How long a rebalance waits: as long as its most patient member asks for.
    fn patience(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default().max(LEAST_PATIENCE)
    }

    /// Has everyone join again, unless that is under way.
    pub fn rebalance(&mut self, cx: &mut Cx<'_>) {
        if self.state == State::PreparingRebalance {
            return self.complete_if_all_joined(cx);
        }
        if self.state == State::CompletingRebalance {
            self.fail_syncs(cx, ResponseError::RebalanceInProgress);
        }
        let (now, delay) = (cx.now.mono, cx.settings.initial_rebalance_delay);
        self.wait = Some(match self.state {
            State::Empty if !delay.is_zero() => {
                let most = now.after(self.patience().max(delay));
                Wait { until: now.after(delay), initial: Some((most, false)) }
            }
            _ => Wait { until: now.after(self.patience()), initial: None },
        });
        self.sync_by = None;
        self.assigning = None;
        self.members.values_mut().for_each(|member| member.owes_sync = false);
        self.turn(cx.now, State::PreparingRebalance);
        self.complete_if_all_joined(cx);
    }

    /// Answers those that wait for an assignment that will not come.
    pub fn fail_syncs(&mut self, cx: &mut Cx<'_>, error: ResponseError) {
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
            if let Some(ticket) = member.syncs.take() {
                member.heard(cx.now.mono);
                cx.answer(ticket, Answer::No(error));
            }
        }
    }

    /// Goes on when everyone is there who was, or who was given a member id.
    pub fn complete_if_all_joined(&mut self, cx: &mut Cx<'_>) {
        let waits = self.wait.is_some_and(|wait| wait.initial.is_none());
        let all = self.given.is_empty() && self.members.values().all(|member| member.joins.is_some());
        if self.state == State::PreparingRebalance && waits && all {
            self.complete(cx);
        }
    }

    /// The time for joining is up, or more of it is given to a group that is only just forming.
    fn wait_is_over(&mut self, cx: &mut Cx<'_>) {
        if let Some(Wait { until, initial: Some((most, true)) }) = self.wait
            && until < most
        {
            let until = cx.now.mono.after(cx.settings.initial_rebalance_delay).min(most);
            self.wait = Some(Wait { until, initial: Some((most, false)) });
            return;
        }
        self.complete(cx);
    }

    /// The next generation begins, with those who have joined. Static members stay until their session ends (KIP-345).
    fn complete(&mut self, cx: &mut Cx<'_>) {
        self.members.retain(|_, member| member.joins.is_some() || member.instance.is_some());
        let joined = |member: &&Member| member.joins.is_some();
        let leads_still = self.leader.as_ref().and_then(|leader| self.members.get(leader)).filter(joined).is_some();
        if !leads_still {
            let next = self.members.values().find(joined).map(|member| member.id.clone());
            if next.is_none() && !self.members.is_empty() {
                self.wait = Some(Wait { until: cx.now.mono.after(self.patience()), initial: None });
                return;
            }
            self.leader = next;
        }
        self.wait = None;
        self.generation = self.generation.wrapping_add(1).max(1);
        if self.members.is_empty() {
            self.protocol = None;
            self.turn(cx.now, State::Empty);
            self.stored = true;
            let name = self.name.clone();
            return cx.write(&name, vec![self.record(|_| Bytes::new())], Then::Noted);
        }
        self.protocol = self.elect_protocol();
        self.turn(cx.now, State::CompletingRebalance);
        self.sync_by = Some(cx.now.mono.after(self.patience()));
        for id in self.members.keys().cloned().collect::<Vec<_>>() {
            let told = self.told(&id);
            let Some(member) = self.members.get_mut(&id) else { continue };
            member.owes_sync = true;
            member.heard(cx.now.mono);
            if let Some(ticket) = member.joins.take() {
                cx.answer(ticket, Answer::Joined(Box::new(told)));
            }
        }
    }

    /// Of the protocols that everyone can, the one that most like best; of several, the first by name.
    pub fn elect_protocol(&self) -> Option<StrBytes> {
        let mut votes: BTreeMap<&StrBytes, usize> = BTreeMap::new();
        for member in self.members.values() {
            let all_can = |name: &&StrBytes| self.members.values().all(|other| other.can(name));
            if let Some(best) = member.protocols.iter().map(|(name, _)| name).find(all_can) {
                *votes.entry(best).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.clone())
    }

    /// Takes a member out, and has the others share what it had.
    pub fn remove(&mut self, cx: &mut Cx<'_>, id: &StrBytes) {
        let Some(member) = self.members.remove(id) else { return };
        if let Some(instance) = &member.instance {
            self.statics.remove(instance);
        }
        if let Some(ticket) = member.joins {
            cx.answer(ticket, Answer::NotJoined(ResponseError::UnknownMemberId, id.clone()));
        }
        if let Some(ticket) = member.syncs {
            cx.answer(ticket, Answer::No(ResponseError::UnknownMemberId));
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
        if self.state != State::Empty {
            self.rebalance(cx);
        }
    }

    /// Looks whose time is up.
    pub fn tick(&mut self, cx: &mut Cx<'_>) {
        self.round(cx);
        let now = cx.now.mono;
        let before = self.given.len();
        self.given.retain(|_, until| *until > now);
        if self.given.len() < before {
            self.complete_if_all_joined(cx);
        }
        let silent = |member: &&Member| {
            member.joins.is_none() && member.syncs.is_none() && member.expires.is_some_and(|until| until <= now)
        };
        let lazy = self.sync_by.is_some_and(|by| by <= now);
        let gone = |member: &&Member| silent(member) || (lazy && member.owes_sync);
        let gone: Vec<StrBytes> = self.members.values().filter(gone).map(|member| member.id.clone()).collect();
        if lazy {
            self.sync_by = None;
        }
        for id in gone {
            self.remove(cx, &id);
        }
        if self.wait.is_some_and(|wait| wait.until <= now) {
            self.wait_is_over(cx);
        }
    }
}
