//! Who votes: what the latest voters' record in the log says, committed or not (KIP-853); before the first one, the
//! settings.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{NodeId, Offset};

/// The sets of voters, by the offset of the record that made each. Bounded by what is not yet committed: sets that the
/// high watermark has overtaken are forgotten, but for the latest.
#[derive(Clone, Debug)]
pub(super) struct Voters {
    before: BTreeSet<NodeId>,
    records: BTreeMap<Offset, BTreeSet<NodeId>>,
}

impl Voters {
    /// Those of the settings.
    pub(super) fn new(settings: BTreeSet<NodeId>) -> Self {
        Self { before: settings, records: BTreeMap::new() }
    }

    /// Who votes now.
    pub(super) fn current(&self) -> &BTreeSet<NodeId> {
        self.records.last_key_value().map_or(&self.before, |(_, voters)| voters)
    }

    /// Where the latest record is, if there is one.
    pub(super) fn latest(&self) -> Option<Offset> {
        self.records.last_key_value().map(|(offset, _)| *offset)
    }

    /// A voters' record at `offset`.
    pub(super) fn record(&mut self, offset: Offset, voters: BTreeSet<NodeId>) {
        self.records.split_off(&offset);
        self.records.insert(offset, voters);
    }

    /// The log now ends at `end`.
    pub(super) fn truncate(&mut self, end: Offset) {
        self.records.split_off(&end);
    }

    /// A snapshot takes the place of the log; its voters' record, if it has one, follows.
    pub(super) fn replaced(&mut self) {
        self.records.clear();
    }

    /// Everything below `high_watermark` is committed.
    pub(super) fn committed(&mut self, high_watermark: Offset) {
        let Some((&last, _)) = self.records.range(..high_watermark).next_back() else { return };
        self.records = self.records.split_off(&last);
    }

    /// Whether `node` votes.
    pub(super) fn contains(&self, node: NodeId) -> bool {
        self.current().contains(&node)
    }

    /// Whether `node` may stand for election: it votes, or the record that removed it may not be committed yet. Then it can
    /// be the only one with a log new enough to be elected (Ongaro's dissertation, 4.2.2); it does not count itself.
    pub(super) fn may_stand(&self, node: NodeId, high_watermark: Offset) -> bool {
        let mut sets = self.records.iter().rev();
        let removed = sets.next().is_some_and(|(at, _)| *at >= high_watermark)
            && sets.next().map_or(&self.before, |(_, voters)| voters).contains(&node);
        self.contains(node) || removed
    }

    /// Whether `node` alone votes.
    pub(super) fn is_alone(&self, node: NodeId) -> bool {
        self.contains(node) && self.current().len() == 1
    }

    /// How many make a majority.
    pub(super) fn majority(&self) -> usize {
        self.current().len() / 2 + 1
    }

    /// Whether `nodes` hold a majority.
    pub(super) fn is_majority(&self, nodes: &BTreeSet<NodeId>) -> bool {
        self.current().intersection(nodes).count() >= self.majority()
    }

    /// Voters but `me`.
    pub(super) fn others(&self, me: NodeId) -> Vec<NodeId> {
        self.current().iter().copied().filter(|node| *node != me).collect()
    }
}
