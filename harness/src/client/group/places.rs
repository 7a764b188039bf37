//! Where a consumer stands in each partition it owns: handed out up to there, processed up to there, committed up to
//! there.

use std::collections::{BTreeMap, BTreeSet};

use broker::ids::{LeaderEpoch, Offset, TopicPartition};
use broker::planted::{Defect, planted};

use super::requests::Commits;

/// Where it stands in one partition: always the next offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    handed: Offset,
    /// The epoch of the last record handed out; -1 before the first.
    epoch: LeaderEpoch,
    processed: Offset,
    /// What the coordinator is known to have; -1 if nothing.
    committed: Offset,
}

/// Where it stands, in all partitions it owns.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<TopicPartition, Place>);

impl Places {
    /// A partition begins at `position`; `committed` is what the coordinator has, -1 for nothing.
    pub fn begin(&mut self, tp: TopicPartition, position: Offset, committed: Offset) {
        self.0.insert(tp, Place { handed: position, epoch: -1, processed: position, committed });
    }

    /// It is not this consumer's any more.
    pub fn end(&mut self, tp: &TopicPartition) -> bool {
        self.0.remove(tp).is_some()
    }

    /// The partitions it stands in.
    pub fn all(&self) -> BTreeSet<TopicPartition> {
        self.0.keys().cloned().collect()
    }

    /// Everything below `position` is handed out.
    pub fn hand_out(&mut self, tp: &TopicPartition, position: Offset, epoch: Option<LeaderEpoch>) {
        if let Some(place) = self.0.get_mut(tp) {
            place.handed = position;
            place.epoch = epoch.unwrap_or(place.epoch);
        }
    }

    /// The application goes elsewhere: what it had is as good as processed, what it will have is not.
    pub fn seek(&mut self, tp: &TopicPartition, position: Offset) {
        if let Some(place) = self.0.get_mut(tp) {
            (place.handed, place.processed, place.epoch) = (position, position, -1);
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
        let done =
            |place: &Place| if planted(Defect::CcAutocommitUnprocessed) { place.handed } else { place.processed };
        let due = self.0.iter().filter(|(tp, place)| among.contains(*tp) && done(place) != place.committed);
        due.map(|(tp, place)| (tp.clone(), (done(place), place.epoch))).collect()
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
        places.hand_out(&tp, 8, Some(2));
        assert_eq!(due(&places), None, "under way");
        assert_eq!(places.process(), [(tp.clone(), 8)]);
        assert_eq!((due(&places), places.process().len()), (Some((8, 2)), 0));
        places.hand_out(&tp, 9, None);
        assert_eq!(due(&places), Some((8, 2)));
        places.seek(&tp, 3);
        assert_eq!((due(&places), places.process().len()), (Some((3, -1)), 0), "as if it were processed");
        places.commit(&[(tp.clone(), (3, -1))].into());
        assert_eq!(due(&places), None);
        assert!(places.end(&tp) && !places.end(&tp));
    }
}
