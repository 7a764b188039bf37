//! JoinGroup: a member enters, or says in a rebalance that it is there still.

use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::classic::{Cx, Group, Then};
use super::member::Member;
use super::request::{Answer, Join, State, Ticket};
use crate::planted::{Defect, planted};

/// Protocols of one member at most: every one is looked for with every other member.
const MOST_PROTOCOLS: usize = 32;

impl Group {
    /// Carries out a JoinGroup: answers it now, or when the rebalance is complete.
    pub fn join(&mut self, cx: &mut Cx<'_>, ticket: Ticket, join: Join) {
        if let Err((error, id)) = self.begin_join(cx, ticket, join) {
            cx.answer(ticket, Answer::NotJoined(error, id));
        }
    }

    fn begin_join(&mut self, cx: &mut Cx<'_>, ticket: Ticket, join: Join) -> Result<(), (ResponseError, StrBytes)> {
        let refuse = |error| Err((error, join.member.clone()));
        if let Err(error) = self.become_classic(cx) {
            return refuse(error);
        }
        if !self.fits(&join) {
            return refuse(ResponseError::InconsistentGroupProtocol);
        }
        let known = self.members.contains_key(&join.member) || self.given.contains_key(&join.member);
        let replaces = join.instance.as_ref().is_some_and(|instance| self.statics.contains_key(instance));
        if !known && !replaces && self.members.len() + self.given.len() >= cx.settings.max_size {
            return refuse(ResponseError::GroupMaxSizeReached);
        }
        if join.member.is_empty() {
            return self.admit(cx, ticket, join);
        }
        if join.instance.is_none() && self.given.remove(&join.member).is_some() {
            let id = join.member.clone();
            self.add(cx, ticket, id, join);
            return Ok(());
        }
        if let Err(error) = self.check_member(&join.member, join.instance.as_ref()) {
            return refuse(error);
        }
        self.rejoin(cx, ticket, join);
        Ok(())
    }

    /// Whether what it can goes with what the others can.
    fn fits(&self, join: &Join) -> bool {
        if join.protocols.len() > MOST_PROTOCOLS {
            return false;
        }
        if self.members.is_empty() {
            return !join.protocol_type.is_empty() && !join.protocols.is_empty();
        }
        let others = || self.members.values().filter(|member| member.id != join.member);
        let all_can = |(name, _): &(StrBytes, _)| others().all(|member| member.can(name));
        self.protocol_type == join.protocol_type && join.protocols.iter().any(all_can)
    }

    /// Somebody without a member id.
    fn admit(&mut self, cx: &mut Cx<'_>, ticket: Ticket, join: Join) -> Result<(), (ResponseError, StrBytes)> {
        let fresh = join.fresh.clone();
        if let Some(instance) = &join.instance {
            match self.statics.get(instance).cloned() {
                Some(old) => self.replace(cx, ticket, &old, join),
                None => self.add(cx, ticket, fresh, join),
            }
            return Ok(());
        }
        if join.twice {
            // A client that lost the answer asks for another id: this one must not be waited for too long.
            self.given.insert(fresh.clone(), cx.now.mono.after(join.session_timeout));
            return Err((ResponseError::MemberIdRequired, fresh));
        }
        self.add(cx, ticket, fresh, join);
        Ok(())
    }

    fn add(&mut self, cx: &mut Cx<'_>, ticket: Ticket, id: StrBytes, join: Join) {
        if self.members.is_empty() {
            self.protocol_type = join.protocol_type.clone();
        }
        if let Some(instance) = &join.instance {
            self.statics.insert(instance.clone(), id.clone());
        }
        let (session, rebalance) = (join.session_timeout, join.rebalance_timeout);
        let member = Member {
            rebalance_timeout: rebalance,
            protocols: join.protocols,
            joins: Some(ticket),
            ..Member::new(id.clone(), join.instance, join.client_id, join.client_host, session)
        };
        self.members.insert(id.clone(), member);
        self.leader.get_or_insert(id);
        if let Some((_, come)) = self.wait.as_mut().and_then(|wait| wait.initial.as_mut()) {
            *come = true;
        }
        self.rebalance(cx);
    }

    /// A member joins again.
    fn rejoin(&mut self, cx: &mut Cx<'_>, ticket: Ticket, join: Join) {
        let leads = self.is_leader(&join.member);
        let told = self.told(&join.member);
        let Some(member) = self.members.get_mut(&join.member) else { return };
        let same = member.protocols == join.protocols;
        let repeats = match self.state {
            // It has not got the answer to its last one.
            State::CompletingRebalance => same,
            // A leader that joins again wants another assignment.
            State::Stable => same && !leads,
            State::Empty | State::PreparingRebalance => false,
        };
        member.heard(cx.now.mono);
        if repeats {
            return cx.answer(ticket, Answer::Joined(Box::new(told)));
        }
        (member.protocols, member.rebalance_timeout) = (join.protocols, join.rebalance_timeout);
        member.session_timeout = join.session_timeout;
        if let Some(old) = member.joins.replace(ticket) {
            cx.answer(old, Answer::NotJoined(ResponseError::RebalanceInProgress, join.member.clone()));
        }
        self.rebalance(cx);
    }

    /// A static member comes back without knowing its member id: it gets another, and whoever has the old one is fenced
    /// (KIP-345). If it changes nothing for the group, there is no rebalance.
    fn replace(&mut self, cx: &mut Cx<'_>, ticket: Ticket, old: &StrBytes, join: Join) {
        let id = join.fresh.clone();
        let Some(mut member) = self.members.remove(old) else { return };
        if planted(Defect::GcStaticDupInstance) {
            self.members.insert(old.clone(), Member { joins: None, syncs: None, ..member.clone() });
        }
        if let Some(waits) = member.joins.take() {
            cx.answer(waits, Answer::NotJoined(ResponseError::FencedInstanceId, old.clone()));
        }
        if let Some(waits) = member.syncs.take() {
            cx.answer(waits, Answer::No(ResponseError::FencedInstanceId));
        }
        let before = (self.leader.clone().unwrap_or_default(), self.is_leader(old));
        member.id = id.clone();
        (member.client_id, member.client_host) = (join.client_id, join.client_host);
        (member.protocols, member.rebalance_timeout) = (join.protocols, join.rebalance_timeout);
        member.session_timeout = join.session_timeout;
        member.heard(cx.now.mono);
        self.statics.extend(member.instance.clone().map(|instance| (instance, id.clone())));
        self.members.insert(id.clone(), member);
        if before.1 {
            self.leader = Some(id.clone());
        }
        if self.state == State::Stable && self.elect_protocol() == self.protocol {
            let mut joined = self.told(&id);
            joined.skip = before.1 && join.may_skip;
            if before.1 && !join.may_skip {
                // It must take itself for a follower, or it would assign.
                (joined.leader, joined.members) = (before.0, Vec::new());
            }
            let record = self.record(|member| member.assignment.clone());
            let name = self.name.clone();
            return cx.write(&name, vec![record], Then::Replaced { ticket, joined: Box::new(joined) });
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.joins = Some(ticket);
        }
        self.rebalance(cx);
    }
}
