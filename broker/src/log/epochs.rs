//! The leader-epoch cache: at which offset each leader epoch began (KIP-101, KIP-279), kept in
//! `leader-epoch-checkpoint` beside the segments.

use std::fmt::Write as _;

use crate::ids::{LeaderEpoch, Offset};

/// Its file in the partition's directory.
pub(super) const FILE: &str = "leader-epoch-checkpoint";

/// Epochs and their start offsets, both strictly increasing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs(Vec<(LeaderEpoch, Offset)>);

impl Epochs {
    /// The entries: epoch, start offset.
    pub fn entries(&self) -> &[(LeaderEpoch, Offset)] {
        &self.0
    }

    /// The latest epoch, if any record was written.
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.0.last().map(|&(epoch, _)| epoch)
    }

    /// Notes that a batch of `epoch` begins at `start`. Returns whether that is news. An older epoch that began there
    /// has no record left: retention had moved its start to the log's end.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        if epoch < 0 || self.latest().is_some_and(|latest| latest >= epoch) {
            return false;
        }
        self.truncate_to(start);
        self.0.push((epoch, start));
        true
    }

    /// The largest known epoch that is at most `epoch`, and where it ended: the start of the next one, or `log_end`
    /// for the latest. `(-1, -1)` if nothing is known of it (OffsetForLeaderEpoch, KIP-279).
    pub fn end_offset(&self, epoch: LeaderEpoch, log_end: Offset) -> (LeaderEpoch, Offset) {
        const UNKNOWN: (LeaderEpoch, Offset) = (-1, -1);
        let Some(latest) = self.latest().filter(|&latest| (0..=latest).contains(&epoch)) else {
            return UNKNOWN;
        };
        if epoch == latest {
            return (epoch, log_end);
        }
        let next = self.0.partition_point(|&(known, _)| known <= epoch);
        let end = self.0.get(next).map_or(log_end, |&(_, start)| start);
        let floor = next.checked_sub(1).map_or(epoch, |at| self.0[at].0);
        (floor, end)
    }

    /// The largest epoch that is at most `epoch`, and where it ended in a log that ends at `log_end`: how two logs find
    /// where they part (KIP-595). An epoch before the first, which ended where that begins, is answered as it is;
    /// `(-1, log_end)` if there is none at all.
    pub fn end_at_most(&self, epoch: LeaderEpoch, log_end: Offset) -> (LeaderEpoch, Offset) {
        match self.latest() {
            None => (-1, log_end),
            Some(latest) if epoch >= latest => (latest, log_end),
            Some(_) => self.end_offset(epoch, log_end),
        }
    }

    /// Forgets epochs that begin at `end` or later. Returns whether there were any.
    pub fn truncate_to(&mut self, end: Offset) -> bool {
        let keep = self.0.partition_point(|&(_, start)| start < end);
        let changed = keep < self.0.len();
        self.0.truncate(keep);
        changed
    }

    /// Forgets epochs that ended before `start`; the one it falls into now begins there. Returns whether it changed.
    pub fn trim_to(&mut self, start: Offset) -> bool {
        let through = self.0.partition_point(|&(_, begins)| begins <= start);
        let Some(first) = through.checked_sub(1) else { return false };
        let changed = first > 0 || self.0[first].1 != start;
        self.0.drain(..first);
        self.0[0].1 = start;
        changed
    }

    /// The file's content, in Kafka's format: version 0, the number of entries, one `epoch start` a line.
    pub(super) fn encode(&self) -> String {
        let mut out = format!("0\n{}\n", self.0.len());
        for (epoch, start) in &self.0 {
            let _ = writeln!(out, "{epoch} {start}");
        }
        out
    }

    /// Reads that format; `None` if it is damaged or out of order.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (version, count) = (lines.next()?, lines.next()?);
        if version != "0" {
            return None;
        }
        let count: usize = count.parse().ok()?;
        let mut epochs = Self::default();
        for line in lines {
            let (epoch, start) = line.split_once(' ')?;
            let (epoch, start): (LeaderEpoch, Offset) = (epoch.parse().ok()?, start.parse().ok()?);
            let in_order = epochs.0.last().is_none_or(|&(_, before)| start > before);
            if start < 0 || !in_order || !epochs.assign(epoch, start) {
                return None;
            }
        }
        (epochs.0.len() == count).then_some(epochs)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn some() -> Epochs {
        Epochs(vec![(1, 0), (4, 10), (5, 20)])
    }

    #[test]
    fn an_epoch_that_retention_emptied_gives_way_to_the_next() {
        let mut epochs = some();
        assert!(epochs.trim_to(30) && epochs.assign(6, 30));
        assert_eq!(epochs, Epochs(vec![(6, 30)]));
        assert_eq!(Epochs::decode(&epochs.encode()), Some(epochs));
    }

    #[test]
    fn ends_where_the_next_epoch_begins() {
        let epochs = some();
        for (asked, answer) in [
            (0, (0, 0)),
            (1, (1, 10)),
            (2, (1, 10)),
            (3, (1, 10)),
            (4, (4, 20)),
            (5, (5, 33)),
            (6, (-1, -1)),
            (-1, (-1, -1)),
        ] {
            assert_eq!(epochs.end_offset(asked, 33), answer, "epoch {asked}");
        }
        assert_eq!(Epochs::default().end_offset(0, 0), (-1, -1));
    }

    #[test]
    fn is_cut_at_both_ends() {
        let mut epochs = some();
        assert!(epochs.truncate_to(20) && !epochs.truncate_to(20));
        assert_eq!(epochs.entries(), [(1, 0), (4, 10)]);
        assert!(epochs.trim_to(12) && !epochs.trim_to(12));
        assert_eq!(epochs.entries(), [(4, 12)]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(steps in proptest::collection::vec((1..9i32, 1..99i64), 1..20)) {
            let mut epochs = Epochs::default();
            let (mut epoch, mut start) = (-1, -1);
            for (up, on) in steps {
                (epoch, start) = (epoch + up, start + on);
                prop_assert!(epochs.assign(epoch, start));
            }
            let text = epochs.encode();
            prop_assert_eq!(Epochs::decode(&text), Some(epochs));
            let without_last_line = text.trim_end().rsplit_once('\n').unwrap().0;
            prop_assert_eq!(Epochs::decode(without_last_line), None);
        }
    }
}
