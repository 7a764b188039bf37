//! SyncGroup and Heartbeat: members get what the leader assigned them, and say that they are there.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::classic::{Cx, Group, Then};
use super::request::{Answer, State, Sync, Ticket, Who};
use crate::planted::{Defect, planted};

impl Group {
    /// Carries out a SyncGroup: answers it now, or when the leader's assignment is committed.
    pub fn sync(&mut self, cx: &mut Cx<'_>, ticket: Ticket, sync: Sync) {
        if let Err(error) = self.check_sync(&sync) {
            return cx.answer(ticket, Answer::No(error));
        }
        let id = &sync.who.member;
        let assigned = self.assigned(id);
        let Some(member) = self.members.get_mut(id) else { return };
        member.owes_sync = false;
        member.heard(cx.now.mono);
        if self.state == State::Stable {
            return cx.answer(ticket, Answer::Synced(assigned));
        }
        if let Some(old) = member.syncs.replace(ticket) {
            cx.answer(old, Answer::No(ResponseError::RebalanceInProgress));
        }
        if self.is_leader(id) && self.assigning != Some(self.generation) {
            self.assign(cx, sync.assignments);
        }
    }

    fn check_sync(&self, sync: &Sync) -> Result<(), ResponseError> {
        self.check(&sync.who)?;
        let differs = |said: &Option<StrBytes>, is: Option<&StrBytes>| said.is_some() && said.as_ref() != is;
        if differs(&sync.protocol_type, Some(&self.protocol_type)) || differs(&sync.protocol, self.protocol.as_ref()) {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        match self.state {
            State::Empty => Err(ResponseError::UnknownMemberId),
            State::PreparingRebalance => Err(ResponseError::RebalanceInProgress),
            State::CompletingRebalance | State::Stable => Ok(()),
        }
    }

    /// The leader's assignment is written down before anyone is told.
    fn assign(&mut self, cx: &mut Cx<'_>, assignments: Vec<(StrBytes, Bytes)>) {
        self.assigning = Some(self.generation);
        self.stored = true;
        let by_member: BTreeMap<&StrBytes, &Bytes> = assignments.iter().map(|(to, it)| (to, it)).collect();
        let record = self.record(|member| by_member.get(&member.id).copied().cloned().unwrap_or_default());
        let then = Then::Assigned { generation: self.generation, assignments };
        let name = self.name.clone();
        cx.write(&name, vec![record], then);
    }

    /// The assignment is committed.
    pub fn assignment_stands(&mut self, cx: &mut Cx<'_>, generation: i32, assignments: Vec<(StrBytes, Bytes)>) {
        if self.state != State::CompletingRebalance || self.generation != generation {
            return;
        }
        self.assigning = None;
        let mut given: BTreeMap<StrBytes, Bytes> = assignments.into_iter().collect();
        for member in self.members.values_mut() {
            // Whoever is given nothing does not keep what it had.
            member.assignment = given.remove(&member.id).unwrap_or_default();
        }
        self.turn(cx.now, State::Stable);
        for id in self.members.keys().cloned().collect::<Vec<_>>() {
            let assigned = self.assigned(&id);
            let Some(member) = self.members.get_mut(&id) else { continue };
            if let Some(ticket) = member.syncs.take() {
                member.heard(cx.now.mono);
                cx.answer(ticket, Answer::Synced(assigned));
            }
        }
        if planted(Defect::GcRebalanceLivelock) {
            self.rebalance(cx);
        }
    }

    /// The assignment could not be written: everyone is to join again.
    pub fn assignment_failed(&mut self, cx: &mut Cx<'_>, generation: i32, error: ResponseError) {
        if self.state == State::CompletingRebalance && self.generation == generation {
            self.fail_syncs(cx, error);
            self.rebalance(cx);
        }
    }

    /// Carries out a Heartbeat.
    pub fn heartbeat(&mut self, cx: &mut Cx<'_>, who: &Who) -> Result<(), ResponseError> {
        self.check(who)?;
        if let Some(member) = self.members.get_mut(&who.member) {
            member.heard(cx.now.mono);
        }
        match self.state {
            State::Empty => Err(ResponseError::UnknownMemberId),
            State::PreparingRebalance => Err(ResponseError::RebalanceInProgress),
            State::CompletingRebalance | State::Stable => Ok(()),
        }
    }
}
