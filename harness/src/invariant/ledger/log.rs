//! One node's log of one partition, as far as the node's own statements tell it.

use broker::fact::{BatchMark, Fact};
use broker::ids::{NodeId, Offset};

use super::chunks::Chunks;

/// A batch as appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of its first record.
    pub base: Offset,
    /// Its CRC-32C.
    pub crc: u32,
    /// Records in it.
    pub count: u32,
}

impl Appended {
    fn of(mark: &BatchMark) -> Self {
        let count = u32::try_from(mark.last.saturating_sub(mark.base).saturating_add(1)).unwrap_or(0);
        Self { base: mark.base, crc: mark.crc, count }
    }

    /// The batch's identity.
    pub fn mark(&self) -> BatchMark {
        BatchMark { base: self.base, last: self.base.saturating_add(i64::from(self.count) - 1), crc: self.crc }
    }
}

/// A segment that compaction has put another file in the place of. Until the next one is, a power loss may undo it.
#[derive(Debug)]
pub struct Exchanged {
    /// Whether a power loss came, and nobody has said since whether it did.
    doubtful: bool,
    /// Its first offset.
    pub base: Offset,
    /// One past its last.
    pub next: Offset,
    /// What it held before.
    pub before: Vec<Appended>,
}

/// What one crash did to a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// When the node went down, in nanoseconds of world time.
    pub at: u64,
    /// When the log was recovered.
    pub until: u64,
    /// Whether the power was lost, and not only the process.
    pub power: bool,
    /// Everything below had been synced when it went down.
    pub flushed: Offset,
    /// One past the last offset before the crash.
    pub end: Offset,
    /// One past the last offset kept.
    pub kept: Offset,
}

/// The lowest offset that any of the later crashes cut to: what a look over all of them would tell, without the look.
/// A long history has thousands of crashes for each of its records.
///
/// Of two crashes the earlier is dropped when the later cut as low; what is left rises in time and in offset.
#[derive(Debug, Default)]
pub struct Lows(Vec<(u64, Offset)>);

impl Lows {
    /// Of crashes in any order: when, and from which offset on things were lost.
    pub fn of(crashes: impl Iterator<Item = (u64, Offset)>) -> Self {
        let mut crashes: Vec<_> = crashes.collect();
        crashes.sort_unstable();
        let mut lows = Self::default();
        crashes.into_iter().for_each(|(at, low)| lows.push(at, low));
        lows
    }

    /// At `at` everything from `low` on was lost. Times do not fall.
    pub fn push(&mut self, at: u64, low: Offset) {
        while self.0.last().is_some_and(|(_, above)| *above >= low) {
            self.0.pop();
        }
        self.0.push((at, low));
    }

    /// The lowest offset lost at `since` or later.
    pub fn since(&self, since: u64) -> Option<Offset> {
        let first = self.0.partition_point(|(at, _)| *at < since);
        self.0.get(first).map(|(_, low)| *low)
    }

    /// Whether the record at `offset`, first asked for at `called`, was lost then or later.
    pub fn took(&self, offset: Offset, called: u64) -> bool {
        self.since(called).is_some_and(|low| offset >= low)
    }
}

/// One node's log of one partition.
#[derive(Debug)]
pub struct Log {
    /// Whose.
    pub node: NodeId,
    /// In which life of the node the last statement was made.
    pub incarnation: u32,
    /// First offset kept.
    pub start: Offset,
    /// The high watermark last stated.
    pub high: Offset,
    /// One past the last offset appended.
    pub end: Offset,
    /// The highest that `end` has been.
    pub peak: Offset,
    /// Everything below is durable.
    pub flushed: Offset,
    /// The same of a copy whose disk was taken away, and one past the last offset of that, until the node is back: its leader
    /// was told of them, and cannot know.
    taken: (Offset, Offset),
    /// Every batch in the log, in order.
    pub batches: Chunks<Appended>,
    /// The segment that compaction has exchanged last, and before it those in doubt.
    pub exchanged: Vec<Exchanged>,
    /// What crashes did to it.
    pub cuts: Vec<Cut>,
    /// What any of them cut off.
    cut_off: Lows,
    /// What power losses took: cut off, and never synced.
    by_power: Lows,
    /// When its node cut it by itself, as a follower does to agree with its leader, and to which end.
    truncated: Lows,
    /// When the node went down, and whether by power loss, if it was not recovered since.
    pub down: Option<(u64, bool)>,
    /// What it had synced then. What it states while it recovers is of the log it has found.
    flushed_then: Offset,
    /// The crash that the fact just folded has brought to light.
    pub recovered: Option<Cut>,
}

impl Log {
    /// Nothing is known yet.
    pub fn new(node: NodeId) -> Self {
        Self {
            node,
            incarnation: 0,
            start: 0,
            high: 0,
            end: 0,
            peak: 0,
            flushed: 0,
            taken: (0, 0),
            batches: Chunks::default(),
            exchanged: Vec::new(),
            cuts: Vec::new(),
            cut_off: Lows::default(),
            by_power: Lows::default(),
            truncated: Lows::default(),
            down: None,
            flushed_then: 0,
            recovered: None,
        }
    }

    /// The node went down.
    pub fn goes_down(&mut self, at: u64, power: bool) {
        let (since, before) = self.down.unwrap_or((at, false));
        if self.down.is_none() {
            self.flushed_then = self.flushed;
        }
        self.down = Some((since, before || power));
    }

    /// The node's process had ended in its own time, all that was written synced.
    pub fn closed(&mut self) {
        self.down = None;
        self.flushed = self.end;
    }

    /// The node's disk was taken away at `at`: of this copy, everything is lost.
    pub fn wiped(&mut self, at: u64) {
        let mut cuts = std::mem::take(&mut self.cuts);
        cuts.push(Cut { at, until: at, power: true, flushed: 0, end: self.end, kept: 0 });
        let (mut cut_off, mut by_power) = (std::mem::take(&mut self.cut_off), std::mem::take(&mut self.by_power));
        cut_off.push(at, 0);
        by_power.push(at, 0);
        let (incarnation, peak) = (self.incarnation, self.peak);
        let taken = (self.taken.0.max(self.flushed), self.taken.1.max(self.end));
        *self = Self { incarnation, peak, taken, cuts, cut_off, by_power, ..Self::new(self.node) };
    }

    /// Whether it has stated that it has the record at `offset`, on its disk if that is asked: the disk it has, or one that
    /// was taken away since.
    pub fn claimed(&self, offset: Offset, durable: bool) -> bool {
        offset < if durable { self.flushed.max(self.taken.0) } else { self.end.max(self.taken.1) }
    }

    /// The node says `fact`.
    pub fn fold(&mut self, at: u64, fact: &Fact) {
        match fact {
            Fact::Appended { batch, .. } | Fact::Replicated { batch, .. } => {
                self.batches.push(Appended::of(batch));
                self.end = batch.last.saturating_add(1);
                self.peak = self.peak.max(self.end);
            }
            Fact::Flushed { upto, .. } => self.flushed = self.flushed.max(*upto),
            Fact::Watermarks { log_start, high, .. } => (self.start, self.high) = (*log_start, *high),
            Fact::Trimmed { log_start, .. } => self.start = *log_start,
            Fact::Truncated { log_end, .. } => {
                self.truncated.push(at, *log_end);
                self.cut(*log_end);
            }
            Fact::Cleaned { base, next, batches, .. } => self.exchange(*base, *next, batches),
            Fact::Audited { batches, .. } => self.undo(batches),
            Fact::Recovered { log_start, log_end, tail, synced, .. } => {
                match self.down {
                    Some((_, true)) => self.undo(tail),
                    // Names are synced before anything is served.
                    _ => self.exchanged.retain(|exchanged| exchanged.doubtful),
                }
                let end = self.recover(at, *log_start, *log_end, *synced);
                // Batches that were on disk although nobody had said so: from here on they are part of the log.
                for batch in tail.iter().filter(|b| b.base >= end) {
                    self.batches.push(Appended::of(batch));
                }
            }
            Fact::Deleted { .. } => *self = Self { incarnation: self.incarnation, ..Self::new(self.node) },
            _ => {}
        }
    }

    /// Puts other batches in the place of those from `base` to `next`. Returns what was there.
    fn replace(&mut self, base: Offset, next: Offset, by: Vec<Appended>) -> Vec<Appended> {
        let mut after = Vec::new();
        while let Some(batch) = self.batches.last().filter(|batch| batch.base >= base).copied() {
            self.batches.pop();
            after.push(batch);
        }
        after.reverse();
        let before = after.iter().take_while(|batch| batch.base < next).count();
        let rest = after.split_off(before);
        by.into_iter().chain(rest).for_each(|batch| self.batches.push(batch));
        after
    }

    /// Compaction has exchanged a segment: what it exchanged before is durable.
    fn exchange(&mut self, base: Offset, next: Offset, batches: &[BatchMark]) {
        self.exchanged.retain(|exchanged| exchanged.doubtful);
        if let Some(n) = self.exchanged.iter().position(|exchanged| exchanged.base == base) {
            // Batches are never split, and what is taken out does not come back: one that is now where none was before, or that
            // is as it was once, shows what lay there.
            let Exchanged { before, .. } = self.exchanged.remove(n);
            let was = |mark: &BatchMark| before.iter().any(|batch| batch.mark() == *mark);
            let shows =
                |mark: &BatchMark| self.batch_at(mark.base).is_none_or(|known| known.mark() != *mark && was(mark));
            if batches.iter().any(shows) {
                self.replace(base, next, before);
            }
        }
        let before = self.replace(base, next, batches.iter().map(Appended::of).collect());
        self.exchanged.push(Exchanged { doubtful: false, base, next, before });
    }

    /// Takes those exchanges of segments back that power losses have undone: of which the batches found are those of
    /// before, and not those of after.
    fn undo(&mut self, found: &[BatchMark]) {
        for exchanged in std::mem::take(&mut self.exchanged) {
            let within: Vec<_> = found.iter().filter(|m| (exchanged.base..exchanged.next).contains(&m.base)).collect();
            let strange = |mark: &&BatchMark| self.batch_at(mark.base).is_none_or(|known| known.mark() != **mark);
            let old = within.iter().all(|mark| exchanged.before.iter().any(|batch| batch.mark() == **mark));
            match within.iter().any(strange) {
                true if old => drop(self.replace(exchanged.base, exchanged.next, exchanged.before)),
                // Some of it is seen, and is of after.
                false if !within.is_empty() => {}
                _ => self.exchanged.push(Exchanged { doubtful: true, ..exchanged }),
            }
        }
    }

    /// Returns where it had ended, as far as that can be told: what is found from there on may be its own.
    fn recover(&mut self, at: u64, start: Offset, kept: Offset, synced: bool) -> Offset {
        let (down, power) = self.down.take().unwrap_or((at, false));
        // A log that had begun anew and got nothing since may begin where it did before; and if the power was lost before
        // that was synced, it may be the one that it was before.
        let end = match self.batches.is_empty() {
            true if power => self.end.min(kept).min(self.flushed_then),
            true => self.end.min(kept),
            false => self.end,
        };
        let cut = Cut { at: down, until: at, power, flushed: self.flushed.min(end), end, kept };
        self.cuts.push(cut);
        self.cut_off.push(at, kept);
        if power {
            self.by_power.push(at, kept.max(cut.flushed));
        }
        self.recovered = Some(cut);
        self.taken = (0, 0);
        self.cut(kept);
        (self.start, self.high) = (start, self.high.min(kept));
        if synced {
            self.flushed = kept;
        }
        end
    }

    fn cut(&mut self, end: Offset) {
        while self.batches.last().is_some_and(|b| b.mark().last >= end) {
            self.batches.pop();
        }
        self.end = end;
        self.flushed = self.flushed.min(end);
    }

    /// Whether it cannot be blamed for the loss of the record at `offset`, first asked for at `called`: the power took it
    /// here, or it was never here, or it was cut away because another's copy lacked it.
    pub fn is_blameless(&self, offset: Offset, called: u64) -> bool {
        self.power_took(offset, called) || self.peak <= offset || self.truncated.took(offset, called)
    }

    /// Whether a power loss took the record at `offset`, first asked for at `called`, from this copy: it came after the
    /// record could have been written, the record had not been synced, and recovery has cut the log below it.
    pub fn power_took(&self, offset: Offset, called: u64) -> bool {
        self.by_power.took(offset, called)
    }

    /// Whether a recovery, after any crash, cut this copy below the record at `offset`, first asked for at `called`.
    pub fn crash_cut(&self, offset: Offset, called: u64) -> bool {
        self.cut_off.took(offset, called)
    }

    /// The batch that begins at `base`.
    pub fn batch_at(&self, base: Offset) -> Option<&Appended> {
        let n = self.batches.partition_point(|b| b.base < base);
        self.batches.get(n).filter(|b| b.base == base)
    }

    /// The offsets of `from..to` at which the log holds a record.
    pub fn held(&self, from: Offset, to: Offset) -> impl Iterator<Item = Offset> {
        let first = self.batches.partition_point(|b| b.mark().last < from);
        let batches = (first..self.batches.len()).filter_map(|n| self.batches.get(n));
        let within = batches.map(Appended::mark).take_while(move |b| b.base < to);
        within.flat_map(move |b| b.base.max(from)..=b.last.min(to.saturating_sub(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn the_lows_tell_what_a_look_over_all_crashes_tells(
            cuts in proptest::collection::vec((0u64..4, 0i64..30), 0..40),
            asked in proptest::collection::vec((0i64..32, 0u64..80), 1..60),
        ) {
            let (mut lows, mut all, mut at) = (Lows::default(), Vec::new(), 0);
            for (later, low) in cuts {
                at += later;
                lows.push(at, low);
                all.push((at, low));
            }
            for (offset, called) in asked {
                let by_look = all.iter().any(|(at, low)| called <= *at && offset >= *low);
                proptest::prop_assert_eq!(lows.took(offset, called), by_look);
            }
        }
    }
}
