//! Whether what was acknowledged was read, once, and in order: a run that loses records is no result, however fast.

use std::collections::BTreeMap;

use crate::stamp::Stamp;

/// A set of record numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers(Vec<u64>);

impl Numbers {
    /// Adds one. False if it was there.
    pub fn add(&mut self, n: u64) -> bool {
        let (word, bit) = Self::place(n);
        if self.0.len() <= word {
            self.0.resize((word + 1).max(self.0.len() * 2), 0);
        }
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }

    /// How many are in it.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// How many of `other` are not in it.
    pub fn missing(&self, other: &Numbers) -> u64 {
        let own = self.0.iter().copied().chain(std::iter::repeat(0));
        other.0.iter().zip(own).map(|(theirs, own)| u64::from((theirs & !own).count_ones())).sum()
    }

    fn merge(&mut self, other: &Numbers) -> u64 {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        let both = |(own, theirs): (&mut u64, &u64)| {
            let twice = (*own & theirs).count_ones();
            *own |= theirs;
            u64::from(twice)
        };
        self.0.iter_mut().zip(&other.0).map(both).sum()
    }

    fn place(n: u64) -> (usize, u64) {
        (usize::try_from(n / 64).unwrap_or(usize::MAX), 1 << (n % 64))
    }
}

/// What a group has read, or a part of it.
#[derive(Clone, Debug, Default)]
pub struct Read {
    by_producer: Vec<Numbers>,
    /// What was deleted before it was read.
    gone: Vec<Numbers>,
    /// How often reading went on at what is the oldest by then.
    skips: u64,
    /// The last of each producer in a partition, and how many skips there were until then.
    last: BTreeMap<(i32, u32), (u64, u64)>,
    duplicated: u64,
    disordered: u64,
}

impl Read {
    /// Takes note of a record that was read from `partition`. False if it was read before.
    pub fn add(&mut self, partition: i32, stamp: Stamp) -> bool {
        let producer = stamp.producer as usize;
        if self.by_producer.len() <= producer {
            self.by_producer.resize(producer + 1, Numbers::default());
        }
        let new = self.by_producer[producer].add(stamp.seq);
        self.duplicated += u64::from(!new);
        let now = (stamp.seq, self.skips);
        let before = self.last.insert((partition, stamp.producer), now);
        let (next, skips) = before.map_or((0, 0), |(last, skips)| (last + 1, skips));
        if skips < self.skips {
            self.gone.resize(self.gone.len().max(producer + 1), Numbers::default());
            (next..stamp.seq).for_each(|n| _ = self.gone[producer].add(n));
        }
        if let Some((last, _)) = before.filter(|(last, _)| *last > stamp.seq) {
            // One that comes again is told as such.
            self.disordered += u64::from(new);
            self.last.insert((partition, stamp.producer), (last, self.skips));
        }
        new
    }

    /// What is read from now on does not follow what was read: that was deleted, and reading goes on at the oldest there is.
    pub fn skip(&mut self) {
        self.skips += 1;
    }

    /// Takes what another consumer of the group has read.
    pub fn merge(&mut self, other: &Read) {
        if self.by_producer.len() < other.by_producer.len() {
            self.by_producer.resize(other.by_producer.len(), Numbers::default());
        }
        let twice = self.by_producer.iter_mut().zip(&other.by_producer).map(|(own, theirs)| own.merge(theirs));
        self.duplicated += twice.sum::<u64>() + other.duplicated;
        self.gone.resize(self.gone.len().max(other.gone.len()), Numbers::default());
        self.gone.iter_mut().zip(&other.gone).for_each(|(own, theirs)| _ = own.merge(theirs));
        self.disordered += other.disordered;
    }

    /// How many records.
    pub fn count(&self) -> u64 {
        self.by_producer.iter().map(Numbers::count).sum()
    }

    /// How many of what each producer has had acknowledged were not read. If the oldest `are_deleted`, as retention asks for,
    /// those are not missed that reading has skipped; of one partition, where a producer's numbers follow each other.
    pub fn lost(&self, acked: &[Numbers], are_deleted: bool) -> u64 {
        let none = Numbers::default();
        let missing = |(producer, numbers): (usize, &Numbers)| {
            let mut read = self.by_producer.get(producer).unwrap_or(&none).clone();
            self.gone.get(producer).filter(|_| are_deleted).map(|gone| read.merge(gone));
            read.missing(numbers)
        };
        acked.iter().enumerate().map(missing).sum()
    }

    /// Records read more than once, and records read after a later one of the same producer in the same partition.
    pub fn faults(&self) -> (u64, u64) {
        (self.duplicated, self.disordered)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn stamp(producer: u32, seq: u64) -> Stamp {
        Stamp { run: 0, producer, seq, intended: 0 }
    }

    fn numbers(all: &[u64]) -> Numbers {
        let mut numbers = Numbers::default();
        for n in all {
            numbers.add(*n);
        }
        numbers
    }

    proptest! {
        #[test]
        fn numbers_are_a_set(left in prop::collection::vec(0..500u64, 0..80), right in prop::collection::vec(0..500u64, 0..80)) {
            let sets = [&left, &right].map(|all| all.iter().copied().collect::<BTreeSet<_>>());
            let (mut a, b) = (numbers(&left), numbers(&right));
            prop_assert_eq!(a.count(), sets[0].len() as u64);
            prop_assert_eq!(a.missing(&b), sets[1].difference(&sets[0]).count() as u64);
            prop_assert_eq!(a.merge(&b), sets[1].intersection(&sets[0]).count() as u64);
            prop_assert_eq!(a.count(), sets[0].union(&sets[1]).count() as u64);
        }
    }

    #[test]
    fn all_read_once_in_order_is_no_fault() {
        let mut read = Read::default();
        // Two partitions: each in its own order.
        for (partition, seq) in [(0, 0), (1, 1), (0, 2), (1, 5), (0, 4), (1, 6), (0, 7)] {
            read.add(partition, stamp(0, seq));
        }
        read.add(0, stamp(1, 0));
        assert_eq!((read.faults(), read.count()), ((0, 0), 8));
        assert_eq!(read.lost(&[numbers(&[0, 1, 2, 4]), numbers(&[0])], false), 0);
    }

    #[test]
    fn each_fault_is_counted() {
        let mut read = Read::default();
        let news = [0, 2, 1, 2].map(|seq| read.add(0, stamp(0, seq)));
        assert_eq!(news, [true, true, true, false]);
        assert_eq!(read.faults(), (1, 1), "2 twice, 1 late");
        assert_eq!(
            read.lost(&[numbers(&[0, 1, 2, 3]), numbers(&[0])], false),
            2,
            "3, and all of a producer that was never seen"
        );
        let mut other = Read::default();
        assert_eq!([1, 9].map(|seq| other.add(1, stamp(0, seq))), [true; 2]);
        read.merge(&other);
        assert_eq!((read.faults(), read.count()), ((2, 1), 4), "another consumer of the group has read 1 too");
    }

    #[test]
    fn what_was_deleted_before_it_was_read_is_not_lost() {
        let acked = [numbers(&[1, 64, 69, 70, 71, 72, 73, 130, 200, 300])];
        let read = |skips: &[u64]| {
            let mut read = Read::default();
            for seq in [70, 71, 73, 200, 300] {
                (0..skips.iter().filter(|at| **at == seq).count()).for_each(|_| read.skip());
                read.add(0, stamp(0, seq));
            }
            (read.lost(&acked, false), read.lost(&acked, true))
        };
        assert_eq!(read(&[]), (5, 5), "nothing says that any of it was deleted");
        assert_eq!(read(&[70]), (5, 2), "72 and 130 are none of the oldest");
        assert_eq!(read(&[70, 70, 200]), (5, 1), "72 was lost before the second time");
        let mut late = Read::default();
        late.skip();
        assert_eq!(late.lost(&acked, true), 10, "nothing was read after it");
        // Of two consumers of a group.
        late.add(0, stamp(0, 70));
        let mut both = Read::default();
        for seq in [71, 72, 73, 130, 200, 300] {
            both.add(0, stamp(0, seq));
        }
        both.merge(&late);
        assert_eq!((both.lost(&acked, true), both.faults()), (0, (0, 0)));
    }
}
