//! The first offset in a range with at least a given timestamp, in O(log n): a tree of maxima over blocks of the log.

use broker::ids::{Offset, Timestamp};

use crate::invariant::ledger::Table;

/// Records of one leaf.
const LEAF: usize = 64;

/// The log's timestamps, searchable.
pub struct Maxima<'a> {
    table: &'a Table,
    /// The first offset of each leaf, ascending.
    firsts: Vec<Offset>,
    /// A complete binary tree in an array: node `n` has the children `2n` and `2n + 1`, leaves begin at `size`.
    tree: Vec<Timestamp>,
    size: usize,
}

impl<'a> Maxima<'a> {
    /// Over everything seen.
    pub fn of(table: &'a Table) -> Self {
        let (mut firsts, mut tops) = (Vec::new(), Vec::new());
        for (n, (offset, slot)) in table.iter().enumerate() {
            if n.is_multiple_of(LEAF) {
                firsts.push(offset);
                tops.push(Timestamp::MIN);
            }
            if let Some(top) = tops.last_mut() {
                *top = slot.timestamp.max(*top);
            }
        }
        let size = tops.len().next_power_of_two();
        let mut tree = vec![Timestamp::MIN; 2 * size];
        tree[size..size + tops.len()].copy_from_slice(&tops);
        for n in (1..size).rev() {
            tree[n] = tree[2 * n].max(tree[2 * n + 1]);
        }
        Self { table, firsts, tree, size }
    }

    /// The first offset in `from..to` whose record has timestamp `least` or later.
    pub fn first(&self, from: Offset, to: Offset, least: Timestamp) -> Option<Offset> {
        let mut leaf = self.firsts.partition_point(|first| *first <= from).saturating_sub(1);
        // Only the first leaf can have its match below `from`: two leaves are searched at most.
        for _ in 0..2 {
            leaf = self.leaf(1, self.size, leaf, least)?;
            let start = self.firsts[leaf].max(from);
            let in_leaf = self.table.from(start).take(LEAF).find(|(_, slot)| slot.timestamp >= least);
            match in_leaf {
                Some((offset, _)) => return (offset < to).then_some(offset),
                None => leaf += 1,
            }
        }
        None
    }

    /// The first leaf at or after `from` whose maximum reaches `least`, under `node`, which spans `span` leaves.
    fn leaf(&self, node: usize, span: usize, from: usize, least: Timestamp) -> Option<usize> {
        let last = (node + 1) * span - self.size - 1;
        if last < from || self.tree[node] < least {
            return None;
        }
        if span == 1 {
            return (last < self.firsts.len()).then_some(last);
        }
        self.leaf(2 * node, span / 2, from, least).or_else(|| self.leaf(2 * node + 1, span / 2, from, least))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::ledger::Slot;
    use super::*;

    proptest::proptest! {
        #[test]
        fn finds_what_a_scan_finds(
            records in proptest::collection::vec((1i64..5, 0i64..50), 0..400),
            asks in proptest::collection::vec((0i64..1000, 0i64..1000, 0i64..55), 20),
        ) {
            let (mut table, mut all, mut offset) = (Table::default(), Vec::new(), 0);
            for (step, timestamp) in records {
                offset += step;
                *table.slot(offset) = Slot { timestamp, stream: 0, ..Slot::NONE };
                all.push((offset, timestamp));
            }
            let maxima = Maxima::of(&table);
            for (from, to, least) in asks {
                let scan = all.iter().find(|(o, t)| *o >= from && *o < to && *t >= least).map(|(o, _)| *o);
                proptest::prop_assert_eq!(maxima.first(from, to, least), scan);
            }
        }
    }
}
