//! The coordinator's assignors: who is to have which partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use kafka_protocol::protocol::StrBytes;

use super::topics::Topics;
use super::{Parts, Roster};
use crate::controller::record::TopicId;

/// Ranges of each topic's partitions (`org.apache.kafka.coordinator.group.assignor.RangeAssignor`).
const RANGE: &str = "range";
/// As many for each as for the others, and what one has stays with it (`UniformAssignor`).
const UNIFORM: &str = "uniform";
/// All of them, as `group.consumer.assignors` has them if nothing else is said.
pub const ASSIGNORS: [&str; 2] = [UNIFORM, RANGE];

/// A member, as an assignor sees it.
struct Subscriber {
    wants: BTreeSet<TopicId>,
    has: Parts,
}

impl Roster {
    /// Decides who is to have what.
    pub(super) fn assign(&mut self, topics: &Topics, otherwise: &str) {
        let mut counts = BTreeMap::new();
        let subscriber = |peer: &super::Peer| {
            let found = topics.find(self.wants(&peer.said));
            let wants = found.keys().copied().collect();
            counts.extend(found);
            Subscriber { wants, has: peer.target.clone() }
        };
        let mut order: Vec<(&StrBytes, &Rc<super::Peer>)> = self.members.iter().collect();
        // A static member that comes back under another member id has the same place again.
        order.sort_by_key(|(id, peer)| (peer.said.instance.is_none(), peer.said.instance.clone(), (*id).clone()));
        let ids: Vec<StrBytes> = order.iter().map(|(id, _)| (*id).clone()).collect();
        let subscribers: Vec<Subscriber> =
            order.into_iter().map(|(_, peer)| peer).map(|peer| &**peer).map(subscriber).collect();
        let shares = match self.assignor(otherwise) {
            RANGE => range(&counts, &subscribers),
            _ => uniform(&counts, &subscribers),
        };
        for (id, share) in ids.iter().zip(shares) {
            if let Some(peer) = self.members.get_mut(id).filter(|peer| peer.target != share) {
                Rc::make_mut(peer).target = share;
            }
        }
        self.assigned_epoch = self.epoch;
    }
}

fn range(counts: &BTreeMap<TopicId, i32>, subscribers: &[Subscriber]) -> Vec<Parts> {
    let mut shares = vec![Parts::new(); subscribers.len()];
    for (topic, count) in counts {
        let readers: Vec<usize> = (0..subscribers.len()).filter(|at| subscribers[*at].wants.contains(topic)).collect();
        let many = i32::try_from(readers.len()).unwrap_or(i32::MAX);
        let mut next = 0;
        for (turn, at) in (0..).zip(readers) {
            let size = count / many + i32::from(turn < count % many);
            shares[at].extend((next..next + size).map(|number| (*topic, number)));
            next += size;
        }
    }
    shares
}

fn uniform(counts: &BTreeMap<TopicId, i32>, subscribers: &[Subscriber]) -> Vec<Parts> {
    let readers = |topic: &TopicId| -> Vec<usize> {
        (0..subscribers.len()).filter(|at| subscribers[*at].wants.contains(topic)).collect()
    };
    let mut owners: BTreeMap<(TopicId, i32), usize> = BTreeMap::new();
    let mut loads = vec![0usize; subscribers.len()];
    for (at, subscriber) in subscribers.iter().enumerate() {
        for part in &subscriber.has {
            let there = counts.get(&part.0).is_some_and(|count| part.1 < *count) && subscriber.wants.contains(&part.0);
            if there && !owners.contains_key(part) {
                owners.insert(*part, at);
                loads[at] += 1;
            }
        }
    }
    for (topic, count) in counts {
        let readers = readers(topic);
        for number in 0..*count {
            if !owners.contains_key(&(*topic, number))
                && let Some(least) = readers.iter().copied().min_by_key(|at| loads[*at])
            {
                owners.insert((*topic, number), least);
                loads[least] += 1;
            }
        }
    }
    // One at a time from who has two more than another who could have it. Each makes the loads more alike, so it ends.
    let mut moved = true;
    while moved {
        moved = false;
        for topic in counts.keys() {
            let readers = readers(topic);
            for (_, owner) in owners.range_mut((*topic, i32::MIN)..=(*topic, i32::MAX)) {
                let least = readers.iter().copied().min_by_key(|at| loads[*at]).unwrap_or(*owner);
                if loads[*owner] >= loads[least] + 2 {
                    loads[*owner] -= 1;
                    loads[least] += 1;
                    *owner = least;
                    moved = true;
                }
            }
        }
    }
    let mut shares = vec![Parts::new(); subscribers.len()];
    for (part, owner) in owners {
        shares[owner].insert(part);
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn topic(number: u128) -> TopicId {
        TopicId(Uuid::from_u128(number))
    }

    fn reader(wants: &[u128], has: &[(u128, i32)]) -> Subscriber {
        let has = has.iter().map(|(id, number)| (topic(*id), *number)).collect();
        Subscriber { wants: wants.iter().map(|id| topic(*id)).collect(), has }
    }

    fn counts(all: &[(u128, i32)]) -> BTreeMap<TopicId, i32> {
        all.iter().map(|(id, count)| (topic(*id), *count)).collect()
    }

    fn numbers(share: &Parts) -> Vec<i32> {
        share.iter().map(|(_, number)| *number).collect()
    }

    #[test]
    fn ranges_are_each_topics_own_and_the_first_have_one_more() {
        let shares = range(&counts(&[(1, 5), (2, 1)]), &[reader(&[1, 2], &[]), reader(&[1], &[]), reader(&[2], &[])]);
        assert_eq!(shares.iter().map(numbers).collect::<Vec<_>>(), [vec![0, 1, 2, 0], vec![3, 4], vec![]]);
    }

    #[test]
    fn what_one_has_stays_with_it_as_far_as_that_is_fair() {
        let before: Vec<(u128, i32)> = (0..6).map(|number| (1, number)).collect();
        let shares = uniform(&counts(&[(1, 6)]), &[reader(&[1], &before), reader(&[1], &[]), reader(&[1], &[])]);
        assert_eq!(shares.iter().map(BTreeSet::len).collect::<Vec<_>>(), [2, 2, 2]);
        assert!(shares[0].iter().all(|(_, number)| *number < 6));
        let again = uniform(&counts(&[(1, 6)]), &[reader(&[1], &before[..2]), reader(&[1], &before[2..])]);
        assert_eq!((numbers(&again[1]).len(), again[0].contains(&(topic(1), 0))), (3, true));
    }

    proptest! {
        /// Everything has one owner who wants it, nobody has two more than another who could have one of them, and deciding
        /// again decides the same.
        #[test]
        fn everything_is_shared_out_evenly_once(
            sizes in prop::collection::vec(0..6i32, 1..4),
            wants in prop::collection::vec(prop::collection::btree_set(0..3u128, 0..4), 1..6),
        ) {
            let counts: BTreeMap<TopicId, i32> = (0..).zip(sizes).map(|(id, count)| (topic(id), count)).collect();
            let reader = |set: &BTreeSet<u128>, has: Parts| {
                let wants = set.iter().map(|id| topic(*id)).filter(|id| counts.contains_key(id)).collect();
                Subscriber { wants, has }
            };
            let fresh: Vec<Subscriber> = wants.iter().map(|set| reader(set, Parts::new())).collect();
            let read = |id: &TopicId| fresh.iter().any(|one| one.wants.contains(id));
            let all: usize = counts.iter().filter(|(id, _)| read(id)).map(|(_, count)| count.unsigned_abs() as usize).sum();
            for shares in [range(&counts, &fresh), uniform(&counts, &fresh)] {
                let given: Parts = shares.iter().flatten().copied().collect();
                prop_assert_eq!((given.len(), shares.iter().map(BTreeSet::len).sum::<usize>()), (all, all));
                for (one, share) in fresh.iter().zip(&shares) {
                    prop_assert!(share.iter().all(|(id, _)| one.wants.contains(id)));
                }
            }
            let shares = uniform(&counts, &fresh);
            for (share, other) in shares.iter().flat_map(|share| shares.iter().zip(&fresh).map(move |other| (share, other))) {
                let could = share.iter().any(|(id, _)| other.1.wants.contains(id));
                prop_assert!(!could || share.len() < other.0.len() + 2);
            }
            let again: Vec<Subscriber> = wants.iter().zip(&shares).map(|(set, has)| reader(set, has.clone())).collect();
            prop_assert_eq!(uniform(&counts, &again), shares);
        }
    }
}
