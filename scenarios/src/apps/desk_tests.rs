//! The desk beside what it is for: whatever fails, whatever comes again and wherever it crashes, each event is done once or
//! given up, not both, and each key's in order.

use std::collections::BTreeMap;

use harness::history::{Origin, RecordId, TpId};
use proptest::prelude::*;
use redb::Database;
use redb::backends::InMemoryBackend;

use super::desk::{End, Next, buried, ended, meet, redrive};

/// Events that come in, in order: each of one of three keys, or of none.
fn event(offset: usize) -> Origin {
    let key = u32::try_from(offset % 4).ok().filter(|key| *key < 3);
    let id = RecordId { producer: 1, incarnation: 0, seq: offset as u64 };
    Origin { tp: TpId(0), offset: i64::try_from(offset).unwrap_or(0), id, key }
}

const INPUT: usize = 24;

/// Two topics, and how far each was read and committed.
struct World {
    db: Database,
    retry: Vec<Origin>,
    read: [usize; 2],
    committed: [usize; 2],
    letters: Vec<Origin>,
    /// What was settled, in order, and whether it was done.
    settled: Vec<(Origin, bool)>,
}

/// What one step is like.
#[derive(Clone, Copy, Debug)]
struct Fate {
    what: u8,
    end: End,
    /// It crashes between deciding and sending.
    crashes: bool,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let end = prop_oneof![Just(End::Done), Just(End::Failed), Just(End::Failed), Just(End::Hopeless)];
    let one = (0u8..20, end, prop::bool::weighted(0.1)).prop_map(|(what, end, crashes)| Fate { what, end, crashes });
    prop::collection::vec(one, 0..200)
}

impl World {
    fn new() -> Self {
        let db = Database::builder().create_with_backend(InMemoryBackend::new()).expect("a database");
        Self { db, retry: Vec::new(), read: [0; 2], committed: [0; 2], letters: Vec::new(), settled: Vec::new() }
    }

    fn change<T>(&self, work: impl FnOnce(&redb::WriteTransaction) -> super::store::Result<T>) -> T {
        let txn = self.db.begin_write().expect("begins");
        let done = work(&txn).expect("works");
        txn.commit().expect("commits");
        done
    }

    fn crash(&mut self) {
        self.read = self.committed;
    }

    /// Handles the next record of a topic; false if there is none.
    fn handle(&mut self, topic: usize, fate: Fate) -> bool {
        let inputs: Vec<Origin> = (0..INPUT).map(event).collect();
        let Some(of) = [&inputs, &self.retry][topic].get(self.read[topic]).copied() else { return false };
        let mut next = self.change(|txn| meet(txn, of, topic == 1));
        if let Next::Handle(attempts) = next {
            next = self.change(|txn| ended(txn, of, attempts, fate.end));
        }
        if let Next::Done(row) = next {
            assert_eq!(row, self.settled.iter().filter(|(_, done)| *done).count() as u64, "rows are counted on");
            self.settled.push((of, true));
        }
        if fate.crashes {
            self.crash();
            return true;
        }
        match next {
            Next::Wait => self.retry.push(of),
            Next::Bury => {
                self.letters.push(of);
                if self.change(|txn| buried(txn, of)) && !self.settled.contains(&(of, false)) {
                    self.settled.push((of, false));
                }
            }
            Next::Done(_) | Next::Drop => {}
            Next::Handle(_) => panic!("an attempt has ended"),
        }
        self.read[topic] += 1;
        true
    }

    /// Everything is handled to its end.
    fn finish(&mut self) {
        let calm = Fate { what: 0, end: End::Done, crashes: false };
        for _ in 0..10_000 {
            if !self.handle(0, calm) && !self.handle(1, calm) {
                return;
            }
        }
        panic!("events go round for ever");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_event_is_settled_once_and_in_its_keys_order(fates in fates()) {
        let mut world = World::new();
        for fate in fates {
            match fate.what {
                0..8 => drop(world.handle(0, fate)),
                8..16 => drop(world.handle(1, fate)),
                16..18 => world.committed = world.read,
                _ => world.crash(),
            }
        }
        world.finish();
        let mut last = BTreeMap::new();
        for (of, _) in &world.settled {
            if let Some(before) = of.key.and_then(|key| last.insert(key, of.offset)) {
                prop_assert!(before < of.offset, "{} after {before}: {:?}", of.offset, world.settled);
            }
        }
        let mut offsets: Vec<_> = world.settled.iter().map(|(of, _)| of.offset).collect();
        offsets.sort_unstable();
        prop_assert_eq!(offsets, (0..).take(INPUT).collect::<Vec<i64>>(), "each once");
        let given_up: Vec<_> = world.settled.iter().filter(|(_, done)| !done).map(|(of, _)| *of).collect();
        prop_assert!(given_up.iter().all(|of| world.letters.contains(of)));

        // Whoever reads the letters takes to hand again what was given up, once.
        let letters = world.letters.clone();
        let found = world.change(|txn| redrive(txn, &letters));
        prop_assert_eq!(found.len(), given_up.len());
        prop_assert!(found.iter().all(|of| given_up.contains(of)));
        prop_assert!(world.change(|txn| redrive(txn, &letters)).is_empty());
        world.retry.extend(found);
        world.finish();
        prop_assert!(world.change(|txn| redrive(txn, &letters)).is_empty(), "it is done");
        prop_assert_eq!(world.settled.iter().filter(|(_, done)| *done).count(), INPUT);
    }
}
