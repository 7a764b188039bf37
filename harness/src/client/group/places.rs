//! Where a consumer stands in each partition it owns: handed out up to there, processed up to there, committed up to
//! there.

use std::collections::{BTreeMap, BTreeSet};

use broker::ids::{LeaderEpoch, Offset, TopicPartition};
use broker::planted::{Defect, planted};

use super::requests::Commits;

/// Where it stands in one partition: always the next offset.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    handed: Offset,
    /// The epoch of the batch before that; -1 if unknown.
    epoch: LeaderEpoch,
    processed: Offset,
    /// Handed out, and not processed yet, where that is said of each record.
    out: BTreeSet<Offset>,
    /// One past the highest of which that was said.
    top: Offset,
    /// What the coordinator is known to have; -1 if nothing.
    committed: Offset,
}

impl Place {
    fn at(position: Offset, committed: Offset) -> Self {
        let out = BTreeSet::new();
        Self { handed: position, epoch: -1, processed: position, out, top: position, committed }
    }

    fn hand_out(&mut self, to: (Offset, LeaderEpoch)) {
        if to.0 < self.handed {
            // The log was cut: what is there now was never handed out.
            self.out.split_off(&to.0);
            (self.processed, self.top) = (self.processed.min(to.0), self.top.min(to.0));
        }
        (self.handed, self.epoch) = to;
    }

    /// What may be committed.
    fn done(&self) -> Offset {
        if planted(Defect::CcAutocommitUnprocessed) {
            return self.handed;
        }
        if planted(Defect::CcParallelHighestSeen) { self.processed.max(self.top) } else { self.processed }
    }

    /// With the epoch of the record before it, if that is known.
    fn due(&self) -> (Offset, LeaderEpoch) {
        let done = self.done();
        (done, if done == self.handed { self.epoch } else { -1 })
    }
}

/// Where it stands, in all partitions it owns.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<TopicPartition, Place>);

impl Places {
    /// A partition begins at `position`; `committed` is what the coordinator has, -1 for nothing.
    pub fn begin(&mut self, tp: TopicPartition, position: Offset, committed: Offset) {
        self.0.insert(tp, Place::at(position, committed));
    }

    /// It is not this consumer's any more.
    pub fn end(&mut self, tp: &TopicPartition) -> bool {
        self.0.remove(tp).is_some()
    }

    /// The partitions it stands in.
    pub fn all(&self) -> BTreeSet<TopicPartition> {
        self.0.keys().cloned().collect()
    }

    /// Everything below an offset is handed out, and the batch before it is of that epoch (-1 if unknown), `records` with
    /// their epochs among it; `one_by_one`, of each of them it will be said that it is processed.
    pub fn hand_out(
        &mut self,
        tp: &TopicPartition,
        to: (Offset, LeaderEpoch),
        records: impl Iterator<Item = (Offset, LeaderEpoch)>,
        one_by_one: bool,
    ) {
        if let Some(place) = self.0.get_mut(tp) {
            place.hand_out(to);
            place.out.extend(records.filter(|_| one_by_one).map(|(offset, _)| offset));
        }
    }

    /// One record is processed. Returns how far everything is by now, if that is further than before.
    pub fn done(&mut self, tp: &TopicPartition, offset: Offset) -> Option<Offset> {
        let place = self.0.get_mut(tp)?;
        if !place.out.remove(&offset) {
            return None;
        }
        place.top = place.top.max(offset + 1);
        let processed = place.out.first().copied().unwrap_or(place.handed);
        let moves = processed > place.processed;
        place.processed = place.processed.max(processed);
        moves.then_some(processed)
    }

    /// The application goes elsewhere: what it had is as good as processed, what it will have is not.
    pub fn seek(&mut self, tp: &TopicPartition, position: Offset) {
        if let Some(place) = self.0.get_mut(tp) {
            *place = Place::at(position, place.committed);
        }
    }

    /// The application is done with what it was handed. Returns what is new of that.
    pub fn process(&mut self) -> Vec<(TopicPartition, Offset)> {
        let mut done = Vec::new();
        for (tp, place) in &mut self.0 {
            if place.processed != place.handed {
                place.processed = place.handed;
                done.push((tp.clone(), place.handed));
            }
        }
        done
    }

    /// What is processed and not committed, of `among`; where it began counts as processed.
    pub fn due(&self, among: &BTreeSet<TopicPartition>) -> Commits {
        let due = self.0.iter().filter(|(tp, place)| among.contains(*tp) && place.done() != place.committed);
        due.map(|(tp, place)| (tp.clone(), place.due())).collect()
    }

    /// The coordinator has these now.
    pub fn commit(&mut self, offsets: &Commits) {
        for (tp, (offset, _)) in offsets {
            if let Some(place) = self.0.get_mut(tp) {
                place.committed = *offset;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_is_what_is_processed_and_not_what_is_handed_out() {
        let (tp, mut places) = (TopicPartition::new("t", 0), Places::default());
        places.begin(tp.clone(), 5, 5);
        let due = |places: &Places| places.due(&places.all()).remove(&tp);
        assert_eq!(due(&places), None);
        places.hand_out(&tp, (8, 2), [(5, 1), (7, 2)].into_iter(), false);
        assert_eq!(due(&places), None, "under way");
        assert_eq!(places.process(), [(tp.clone(), 8)]);
        assert_eq!((due(&places), places.process().len()), (Some((8, 2)), 0));
        places.hand_out(&tp, (9, 4), [(8, 4)].into_iter(), false);
        assert_eq!(due(&places), Some((8, -1)), "what ended before it, is not known any more");
        places.hand_out(&tp, (12, 4), [(9, 4)].into_iter(), false);
        assert_eq!(due(&places), Some((8, -1)));
        assert_eq!(
            (places.process().len(), due(&places)),
            (1, Some((12, 4))),
            "of the batch before it, records or not"
        );
        places.hand_out(&tp, (6, -1), [].into_iter(), false);
        assert_eq!(due(&places), Some((6, -1)), "the log was cut, and what is there now was not processed");
        places.process();
        places.seek(&tp, 3);
        assert_eq!((due(&places), places.process().len()), (Some((3, -1)), 0), "as if it were processed");
        places.commit(&[(tp.clone(), (3, -1))].into());
        assert_eq!(due(&places), None);
        assert!(places.end(&tp) && !places.end(&tp));
    }
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Beside a list of all that was handed out, with holes between.
        #[test]
        fn what_is_committed_stays_below_the_first_that_is_not_done(
            steps in prop::collection::vec((any::<bool>(), 0usize..12, 0i64..3), 0..80),
        ) {
            let (tp, mut places) = (TopicPartition::new("t", 0), Places::default());
            places.begin(tp.clone(), 5, -1);
            let (mut model, mut handed): (Vec<(i64, bool)>, i64) = (Vec::new(), 5);
            let epoch = |offset: i64| i32::try_from(offset / 7).unwrap();
            for (hands_out, n, hole) in steps {
                if hands_out {
                    let fresh: Vec<i64> = (handed + hole..).take(n).collect();
                    handed = fresh.last().map_or(handed, |last| last + 1);
                    let of_records = fresh.iter().map(|offset| (*offset, epoch(*offset)));
                    places.hand_out(&tp, (handed, epoch(handed - 1)), of_records, true);
                    model.extend(fresh.into_iter().map(|offset| (offset, false)));
                } else if !model.is_empty() {
                    let before = places.0[&tp].processed;
                    let at = n % model.len();
                    let again = std::mem::replace(&mut model[at].1, true);
                    let moved = places.done(&tp, model[at].0);
                    let first = model.iter().find(|(_, done)| !done).map_or(handed, |(offset, _)| *offset);
                    // What was said before changes nothing, not even where nothing lies between.
                    let now = if again { before } else { first.max(before) };
                    prop_assert_eq!(moved, (now > before).then_some(now));
                    let (at, of) = places.due(&places.all()).remove(&tp).unwrap();
                    prop_assert_eq!((at, of), (now, if now == handed { epoch(now - 1) } else { -1 }));
                }
            }
        }
    }
}
