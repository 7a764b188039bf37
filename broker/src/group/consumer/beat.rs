//! ConsumerGroupHeartbeat: a member enters, says what it wants and what it owns, learns what it is to own, or goes.

use std::collections::BTreeSet;
use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::topics::{self, Topics};
use super::{GONE_FOR_NOW, Parts, Peer, Roster, Said, Standing};
use crate::config::GroupConfig;
use crate::ids::Timestamp;
use crate::planted::{Defect, planted};

/// The epoch with which a member goes.
const LEAVES: i32 = -1;

/// ConsumerGroupHeartbeat. What is `None` is as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beat {
    /// The group.
    pub group: StrBytes,
    /// The member's id, which it has made itself.
    pub member: StrBytes,
    /// The epoch it is in; 0: it enters; -1: it goes; -2: it goes and will be back.
    pub epoch: i32,
    /// `group.instance.id`.
    pub instance: Option<StrBytes>,
    /// `client.rack`.
    pub rack: Option<StrBytes>,
    /// `client.id`.
    pub client_id: StrBytes,
    /// From where it speaks.
    pub client_host: StrBytes,
    /// How many milliseconds it may take to give something up.
    pub rebalance_timeout: Option<i32>,
    /// Topics it wants to read, by name.
    pub names: Option<BTreeSet<StrBytes>>,
    /// And those that match; empty: none do.
    pub regex: Option<StrBytes>,
    /// The assignor it likes best.
    pub assignor: Option<StrBytes>,
    /// What it owns.
    pub owns: Option<Parts>,
}

/// What a member is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beaten {
    /// Who is told.
    pub member: StrBytes,
    /// The epoch it is in from now on.
    pub epoch: i32,
    /// What it is to own, if that is new to it.
    pub assigned: Option<Parts>,
}

/// What a heartbeat is judged by.
pub(super) struct Terms<'a> {
    pub settings: &'a GroupConfig,
    pub topics: &'a Topics,
    /// The topics are not those that were looked at last.
    pub anew: bool,
    pub now: Timestamp,
}

impl Beat {
    /// Whether it makes sense at all.
    pub(in crate::group) fn check(&self, settings: &GroupConfig) -> Result<(), ResponseError> {
        let empty = |text: &Option<StrBytes>| text.as_ref().is_some_and(|text| text.is_empty());
        let senseless = self.member.is_empty()
            || empty(&self.instance)
            || empty(&self.rack)
            || self.epoch < GONE_FOR_NOW
            || (self.epoch == GONE_FOR_NOW && self.instance.is_none())
            || (self.epoch == 0 && !self.can_enter());
        if senseless {
            return Err(ResponseError::InvalidRequest);
        }
        if self.assignor.as_deref().is_some_and(|name| settings.consumer_assignors.iter().all(|known| known != name)) {
            return Err(ResponseError::UnsupportedAssignor);
        }
        match &self.regex {
            Some(regex) if !regex.is_empty() && topics::compile(regex).is_none() => {
                Err(ResponseError::InvalidRegularExpression)
            }
            _ => Ok(()),
        }
    }

    /// Whoever enters says everything, and owns nothing.
    fn can_enter(&self) -> bool {
        let says = self.names.is_some() || self.regex.is_some();
        says && self.rebalance_timeout.is_some() && self.owns.as_ref().is_some_and(BTreeSet::is_empty)
    }

    /// Whether it says everything: it may not have heard the last answer.
    fn is_full(&self) -> bool {
        let says = self.names.is_some() || self.regex.is_some();
        self.epoch == 0 || (says && self.rebalance_timeout.is_some() && self.owns.is_some())
    }
}

impl Roster {
    /// Takes a heartbeat in that makes sense.
    pub(super) fn beat(&mut self, terms: &Terms<'_>, beat: &Beat) -> Result<Beaten, ResponseError> {
        let told = |epoch, assigned| Ok(Beaten { member: beat.member.clone(), epoch, assigned });
        match beat.epoch {
            LEAVES => {
                self.known(beat)?;
                self.remove(terms, &beat.member);
                told(LEAVES, None)
            }
            GONE_FOR_NOW => {
                self.known(beat)?;
                if let Some(peer) = self.members.get_mut(&beat.member) {
                    let standing = &mut Rc::make_mut(peer).standing;
                    (standing.epoch, standing.revoking) = (GONE_FOR_NOW, Parts::new());
                }
                told(GONE_FOR_NOW, None)
            }
            _ => {
                let fresh = self.admit(terms, beat)?;
                let changed = self.hear(beat) || fresh;
                self.refresh(terms, changed);
                if self.assigned_epoch < self.epoch {
                    let first = terms.settings.consumer_assignors.first();
                    self.assign(terms.topics, first.map_or("", String::as_str));
                }
                let had = self.standing(&beat.member).map(|standing| standing.assigned.clone());
                self.reconcile(&beat.member, beat.owns.as_ref());
                let Some(standing) = self.standing(&beat.member) else { return Err(ResponseError::UnknownMemberId) };
                let news = beat.is_full() || had.as_ref() != Some(&standing.assigned);
                told(standing.epoch, news.then(|| standing.assigned.clone()))
            }
        }
    }

    /// Takes a member out.
    pub(super) fn remove(&mut self, terms: &Terms<'_>, id: &StrBytes) {
        if self.members.remove(id).is_some() {
            self.refresh(terms, true);
        }
    }

    fn standing(&self, id: &StrBytes) -> Option<&Standing> {
        self.members.get(id).map(|peer| &peer.standing)
    }

    /// Whether that is a member, and under that instance id (KIP-345).
    fn known(&self, beat: &Beat) -> Result<(), ResponseError> {
        if let Some(instance) = &beat.instance {
            let holder = self.holder(instance).ok_or(ResponseError::UnknownMemberId)?;
            if *holder != beat.member {
                return Err(ResponseError::FencedInstanceId);
            }
        }
        if self.members.contains_key(&beat.member) { Ok(()) } else { Err(ResponseError::UnknownMemberId) }
    }

    /// Sees to it that whoever speaks is a member, or refuses; whether it was none before.
    fn admit(&mut self, terms: &Terms<'_>, beat: &Beat) -> Result<bool, ResponseError> {
        if beat.epoch > 0 {
            self.known(beat)?;
            return self.check_epoch(beat).map(|()| false);
        }
        let holder = beat.instance.as_ref().and_then(|instance| self.holder(instance)).cloned();
        if self.members.contains_key(&beat.member) && !(holder.is_some() && planted(Defect::GcStaticSelfFence)) {
            // It lost the answer, or was told that it is fenced, and begins anew.
            let own = holder.is_none_or(|holder| holder == beat.member);
            return if own { Ok(false) } else { Err(ResponseError::UnreleasedInstanceId) };
        }
        let fresh = holder.is_none();
        let peer = match holder {
            Some(holder) => {
                if self.standing(&holder).is_some_and(|standing| standing.epoch != GONE_FOR_NOW) {
                    return Err(ResponseError::UnreleasedInstanceId);
                }
                let Some(former) = self.members.remove(&holder) else { return Err(ResponseError::UnknownMemberId) };
                let assigned = former.standing.assigned.clone();
                Rc::new(Peer { standing: Standing { assigned, ..Standing::default() }, ..(*former).clone() })
            }
            None if self.members.len() >= terms.settings.consumer_max_size => {
                return Err(ResponseError::GroupMaxSizeReached);
            }
            None => {
                Rc::new(Peer { said: Said { instance: beat.instance.clone(), ..Said::default() }, ..Peer::default() })
            }
        };
        self.members.insert(beat.member.clone(), peer);
        Ok(fresh)
    }

    /// A member may not have heard of its new epoch: it says the one before then, and owns nothing that it has not still.
    fn check_epoch(&self, beat: &Beat) -> Result<(), ResponseError> {
        let Some(standing) = self.standing(&beat.member) else { return Err(ResponseError::UnknownMemberId) };
        let owns_no_more = || beat.owns.as_ref().is_some_and(|owns| owns.is_subset(&standing.assigned));
        match beat.epoch {
            epoch if epoch == standing.epoch => Ok(()),
            epoch if epoch < standing.epoch && epoch == standing.previous && owns_no_more() => Ok(()),
            _ => Err(ResponseError::FencedMemberEpoch),
        }
    }

    /// Takes in what it says of itself; whether that bears on who is to have what.
    fn hear(&mut self, beat: &Beat) -> bool {
        let Some(peer) = self.members.get_mut(&beat.member) else { return false };
        let before = &peer.said;
        let regex = beat.regex.as_ref().map(|regex| Some(regex.clone()).filter(|regex| !regex.is_empty()));
        let said = Said {
            instance: before.instance.clone(),
            rack: beat.rack.clone().or_else(|| before.rack.clone()),
            client_id: beat.client_id.clone(),
            client_host: beat.client_host.clone(),
            names: beat.names.clone().unwrap_or_else(|| before.names.clone()),
            regex: regex.unwrap_or_else(|| before.regex.clone()),
            rebalance_timeout: beat.rebalance_timeout.unwrap_or(before.rebalance_timeout),
            assignor: beat.assignor.clone().or_else(|| before.assignor.clone()),
        };
        let bears = |said: &Said| (said.names.clone(), said.regex.clone(), said.assignor.clone());
        let changed = bears(&said) != bears(before);
        if said != *before {
            Rc::make_mut(peer).said = said;
        }
        changed
    }

    /// The next epoch begins, if a member, what one wants, or a topic that one wants is otherwise than it was.
    fn refresh(&mut self, terms: &Terms<'_>, changed: bool) {
        if !changed && !terms.anew {
            return;
        }
        let resolved = self.resolve(terms.topics, terms.anew, terms.now);
        let hash = self.hash_of(terms.topics);
        if changed || resolved || hash != self.hash {
            (self.epoch, self.hash) = (self.epoch + 1, hash);
        }
    }
}
