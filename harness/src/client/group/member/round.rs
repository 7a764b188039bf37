//! One round: give up what must be, join, share out if it leads, sync, own what is assigned.

use std::collections::BTreeSet;
use std::sync::Arc;

use broker::env::Mono;
use broker::ids::TopicPartition;
use broker::planted::{Defect, planted};
use bytes::Bytes;

use super::super::assign::{Assignor, Partitions};
use super::super::protocol::{Assignment, Subscription};
use super::words::{Effect, Joined, Ticket, Told};
use super::{Membership, Planned, State, Then};

/// `INCONSISTENT_GROUP_PROTOCOL`.
const INCONSISTENT: i16 = 23;

impl Membership {
    /// Before it joins: an eager member gives up everything, a cooperative one what it does not want any more.
    pub(super) fn prepare(&mut self, now: Mono, out: &mut Vec<Effect>) {
        if self.rules.is_brokers() {
            return self.enter(now, out);
        }
        let cooperative = self.rules.is_cooperative();
        let goes = |tp: &&TopicPartition| !cooperative || !self.topics.contains(&tp.topic);
        let what: BTreeSet<_> = self.owned.iter().filter(goes).cloned().collect();
        self.planned = None;
        if what.is_empty() {
            self.join(now, out);
        } else {
            self.revoke(what, Then::Join, out);
        }
    }

    pub(super) fn revoke(&mut self, what: BTreeSet<TopicPartition>, then: Then, out: &mut Vec<Effect>) {
        let ticket = self.ticket();
        out.push(Effect::Revoke(ticket, what.clone()));
        self.state = State::Revoking { ticket, what, then };
    }

    pub(super) fn given_up(&mut self, now: Mono, ticket: Ticket, out: &mut Vec<Effect>) {
        let State::Revoking { ticket: asked, what, then } = &self.state else { return };
        if *asked != ticket {
            return;
        }
        let (what, then) = (what.clone(), then.clone());
        self.owned.retain(|tp| !what.contains(tp));
        match then {
            Then::Join => self.state = State::Out(now),
            Then::Own(assigned) => {
                self.own(assigned, out);
                match self.rules.is_brokers() {
                    true => self.says_so(now),
                    false => self.rejoin = true,
                }
            }
        }
    }

    fn join(&mut self, now: Mono, out: &mut Vec<Effect>) {
        // An eager member owns nothing by now; what it had is known to the sticky assignor's leader by the last plan only.
        let told = |assignor: &Assignor| {
            (assignor.name(), assignor.subscription(&self.topics, &self.told_owned(), self.owned_in).encode())
        };
        let protocols = self.rules.assignors.iter().map(told).collect();
        let ticket = self.ticket();
        (self.rejoin, self.beating) = (false, None);
        self.last_heard = now;
        self.state = State::Joining(ticket);
        out.push(Effect::Join(ticket, self.member_id.clone(), protocols));
    }

    /// What it tells of: what it owns, or owned until it gave everything up for this round.
    fn told_owned(&self) -> BTreeSet<TopicPartition> {
        let stale = planted(Defect::GcDoubleOwnCooperative) && self.owned.is_empty();
        if self.rules.is_cooperative() && !stale { self.owned.clone() } else { self.had.clone() }
    }

    pub(super) fn joined(&mut self, now: Mono, joined: Joined, out: &mut Vec<Effect>) {
        let known = Assignor::named(&joined.protocol).filter(|named| self.rules.assignors.contains(named));
        let Some(assignor) = known else { return self.refused(now, INCONSISTENT, out) };
        self.failures = 0;
        self.member_id = Arc::from(&*joined.member_id);
        self.generation = joined.generation;
        (self.last_heard, self.next_beat) = (now, now.after(self.rules.heartbeat_interval));
        let leads = joined.leader == joined.member_id;
        out.push(Effect::Entered { generation: joined.generation, leads });
        if !leads {
            return self.sync(assignor, Vec::new(), out);
        }
        let told = joined.members.iter().filter_map(|member| Subscription::decode(&member.metadata));
        let topics = told.flat_map(|told| told.topics).collect();
        let ticket = self.ticket();
        self.state = State::Looking { ticket, assignor, members: joined.members, skips: joined.skip_assignment };
        out.push(Effect::Lookup(ticket, topics));
    }

    /// Shares out, as the leader.
    pub(super) fn plan(
        &mut self,
        now: Mono,
        assignor: Assignor,
        members: &[Told],
        partitions: Partitions,
        out: &mut Vec<Effect>,
    ) {
        let member = |told: &Told| {
            assignor.member(Arc::from(&*told.id), told.instance.as_deref().map(Arc::from), &told.metadata)
        };
        let members: Vec<_> = members.iter().map(member).collect();
        let plan = assignor.assign(&members, &partitions);
        let shared: usize = plan.values().map(BTreeSet::len).sum();
        let all: usize = partitions.values().map(|count| usize::try_from(*count).unwrap_or(0)).sum();
        let replaceable = members.iter().any(|member| member.instance.is_some());
        self.leads(now, partitions, replaceable && shared < all);
        let assignments = plan.into_iter().map(|(id, partitions)| (id, Assignment { partitions }.encode()));
        self.sync(assignor, assignments.collect(), out);
    }

    /// It leads a generation whose plan was made from `partitions`, and may leave something to nobody if it is `undone`.
    pub(super) fn leads(&mut self, now: Mono, partitions: Partitions, undone: bool) {
        let again = undone.then(|| now.after(self.rules.session_timeout));
        self.planned = Some(Planned { from: partitions, again });
    }

    pub(super) fn sync(&mut self, assignor: Assignor, assignments: Vec<(Arc<str>, Bytes)>, out: &mut Vec<Effect>) {
        let ticket = self.ticket();
        self.state = State::Syncing(ticket);
        self.beating = None;
        out.push(Effect::Sync {
            ticket,
            member_id: self.member_id.clone(),
            generation: self.generation,
            protocol: assignor.name(),
            assignments,
        });
    }

    pub(super) fn synced(&mut self, now: Mono, assignment: &[u8], out: &mut Vec<Effect>) {
        let Some(Assignment { partitions: mut assigned }) = Assignment::decode(assignment) else {
            self.state = State::Out(now.after(self.wait()));
            return;
        };
        self.failures = 0;
        (self.last_heard, self.next_beat) = (now, now.after(self.rules.heartbeat_interval));
        out.push(Effect::Synced { generation: self.generation });
        // The subscription may have changed since it joined; then it joins again, and nothing unwanted begins.
        assigned.retain(|tp| self.topics.contains(&tp.topic));
        let goes: BTreeSet<_> = self.owned.difference(&assigned).cloned().collect();
        if goes.is_empty() {
            self.own(assigned, out);
        } else {
            self.revoke(goes, Then::Own(assigned), out);
        }
    }

    pub(super) fn own(&mut self, assigned: BTreeSet<TopicPartition>, out: &mut Vec<Effect>) {
        let added = assigned.difference(&self.owned).cloned().collect();
        self.had.clone_from(&assigned);
        (self.owned, self.owned_in) = (assigned, self.generation);
        self.state = State::Stable;
        out.push(Effect::Assigned { generation: self.generation, added });
    }
}
