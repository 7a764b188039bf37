//! Mutations of good histories: each breaks a promise, and so must be caught, every one, wherever it is made. Who would
//! trust a checker that has only ever been shown good histories?
//!
//! A mutation changes what was promised, not merely what was noted: to say `info` of a send that succeeded, for one, only
//! withholds knowledge and is legal, so it is no mutation here (an `info` that still names an offset is).

use std::collections::BTreeMap;

use broker::ids::Offset;

use super::{Call, Event, Kind, Outcome, RecordId, Reply, TpId};

mod apps;
mod clients;
mod cluster;
mod epochs;
mod groups;
mod nodes;

/// One way to spoil a good history.
pub struct Mutation {
    /// Its name.
    pub name: &'static str,
    /// The invariants of which at least one must find it.
    pub finds: &'static [&'static str],
    /// Whether it shows without facts of nodes.
    pub black_box: bool,
    /// The events at which it can be made.
    pub sites: fn(&Index<'_>) -> Vec<usize>,
    /// Makes it at one of them.
    pub make: fn(&mut Vec<Event>, usize),
}

/// Those of histories of three brokers.
pub fn of_clusters() -> impl Iterator<Item = &'static Mutation> {
    cluster::ALL.iter()
}

/// Those of histories with a consumer group.
pub fn of_groups() -> impl Iterator<Item = &'static Mutation> {
    groups::ALL.iter()
}

/// Those of histories with a consumer group of the newer protocol.
pub fn of_epochs() -> impl Iterator<Item = &'static Mutation> {
    epochs::ALL.iter()
}

/// Those of histories with an application.
pub fn of_apps() -> impl Iterator<Item = &'static Mutation> {
    apps::ALL.iter()
}

/// All of histories of one broker.
pub fn all() -> impl Iterator<Item = &'static Mutation> {
    clients::ALL.iter().chain(nodes::ALL)
}

/// One record's sending.
#[derive(Clone, Copy, Debug)]
pub struct Sending {
    /// Where to.
    pub tp: TpId,
    /// Which record.
    pub id: RecordId,
    /// The event of its return, if it returned.
    pub returned: Option<usize>,
}

/// A history with what mutations must know of it.
pub struct Index<'a> {
    /// The events.
    pub events: &'a [Event],
    /// Sends, by operation.
    pub sends: BTreeMap<u64, Sending>,
    /// Where the final read found each record.
    pub copies: BTreeMap<(TpId, RecordId), Vec<Offset>>,
    /// Clients that quit at some time.
    pub quitters: Vec<u32>,
    /// Who made each operation.
    pub callers: BTreeMap<u64, u32>,
}

impl<'a> Index<'a> {
    /// Reads a history.
    pub fn of(events: &'a [Event]) -> Self {
        let mut index = Self {
            events,
            sends: BTreeMap::new(),
            copies: BTreeMap::new(),
            quitters: Vec::new(),
            callers: BTreeMap::new(),
        };
        for (n, event) in events.iter().enumerate() {
            match &event.kind {
                Kind::Call { op, client, call, .. } => {
                    index.callers.insert(*op, *client);
                    if let Call::Send { tp, id, .. } = call {
                        index.sends.insert(*op, Sending { tp: *tp, id: *id, returned: None });
                    }
                }
                Kind::Return { op, .. } => {
                    index.sends.get_mut(op).into_iter().for_each(|s| s.returned = Some(n));
                }
                Kind::Deliver(d) if d.last => {
                    d.id.into_iter().for_each(|id| index.copies.entry((d.tp, id)).or_default().push(d.offset));
                }
                Kind::Quit { client, .. } => index.quitters.push(*client),
                _ => {}
            }
        }
        index
    }

    /// The events of some kind.
    pub fn of_kind(&self, wanted: impl Fn(&Kind) -> bool) -> Vec<usize> {
        (0..self.events.len()).filter(|n| wanted(&self.events[*n].kind)).collect()
    }

    /// Where the final read found a record.
    pub fn found(&self, tp: TpId, id: RecordId) -> &[Offset] {
        self.copies.get(&(tp, id)).map_or(&[], Vec::as_slice)
    }

    /// The returns of sends for which `wanted` holds, given the send, its outcome and the offset acknowledged.
    pub fn returns(&self, wanted: impl Fn(&Sending, Outcome, Option<Offset>) -> bool) -> Vec<usize> {
        let fits = |s: &&Sending| {
            s.returned.is_some_and(|n| match self.events[n].kind {
                Kind::Return { outcome, reply: Reply::Sent { offset }, .. } => wanted(s, outcome, Some(offset)),
                Kind::Return { outcome, .. } => wanted(s, outcome, None),
                _ => false,
            })
        };
        self.sends.values().filter(fits).filter_map(|s| s.returned).collect()
    }

    /// The offset at which a record was acknowledged.
    pub fn acked_at(&self, tp: TpId, id: RecordId) -> Option<Offset> {
        // Sends of a record are few and this is for small histories: a scan will do.
        let of = self.sends.values().find(|s| s.tp == tp && s.id == id)?;
        match self.events[of.returned?].kind {
            Kind::Return { outcome: Outcome::Ok, reply: Reply::Sent { offset }, .. } => Some(offset),
            _ => None,
        }
    }
}

/// Makes the poll `op` say that it delivered `by` more (or fewer) records.
fn recount(events: &mut [Event], op: u64, by: i32) {
    for event in events {
        if let Kind::Return { op: of, reply: Reply::Polled { records, .. }, .. } = &mut event.kind
            && *of == op
        {
            *records = records.saturating_add_signed(by);
        }
    }
}

/// Removes a delivery as if it had never been.
fn remove_delivery(events: &mut Vec<Event>, n: usize) {
    if let Kind::Deliver(d) = events[n].kind {
        recount(events, d.op, -1);
        events.remove(n);
    }
}
