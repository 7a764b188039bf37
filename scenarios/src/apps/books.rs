//! What an application writes down: a ledger of what it has done, and which events it knows when they come again.
//!
//! It knows the last [`WINDOW`] events of each partition. That is enough, because what comes again is never older: a group
//! begins anew where it has committed, beyond which the application goes no further than [`super::crew::LEAD`] records and
//! one poll; and a producer's second copy comes within its delivery timeout of the first.

use broker::env::Disk;
use broker::planted::{Defect, planted};
use harness::history::{Origin, RecordId, TpId};
use redb::{ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};

use super::store::{Result, Store};

/// Events of one partition that are known when they come again.
const WINDOW: u64 = 4096;
/// As many as `ap-dedup-window` knows.
const SHORT: u64 = 6;

/// An event, as it is known: its partition; its producer, that one's life and the sequence number. All from the record's value.
pub(super) type Key = (u32, u32, u16, u64);
/// Its place in the log, and a number of its key.
type Place = (i64, Option<u32>);

/// What was done, in order.
const LEDGER: TableDefinition<'_, u64, (Key, Place)> = TableDefinition::new("ledger");
/// Events that are known, and the number under which each came to its partition's window.
const KNOWN: TableDefinition<'_, Key, u64> = TableDefinition::new("known");
/// The same the other way round: the oldest are forgotten.
const CAME: TableDefinition<'_, (u32, u64), Key> = TableDefinition::new("came");

pub(super) fn key(of: Origin) -> Key {
    (of.tp.0, of.id.producer, of.id.incarnation, of.id.seq)
}

pub(super) fn origin((tp, producer, incarnation, seq): Key, (offset, key): Place) -> Origin {
    Origin { tp: TpId(tp), offset, id: RecordId { producer, incarnation, seq }, key }
}

/// Everything on record, in order.
pub(super) fn ledger<D: Disk>(store: &Store<D>) -> Result<Vec<Origin>> {
    let read = store.read()?;
    let table = match read.open_table(LEDGER) {
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        opened => opened?,
    };
    let rows = table.iter()?.map(|row| row.map(|(_, of)| of.value()));
    Ok(rows.map(|row| row.map(|(key, place)| origin(key, place))).collect::<std::result::Result<_, _>>()?)
}

/// Whether this event is known.
pub(super) fn knows(txn: &WriteTransaction, of: Origin) -> Result<bool> {
    Ok(txn.open_table(KNOWN)?.get(key(of))?.is_some())
}

/// Puts on record that what this event asks for is done. Returns the row.
pub(super) fn enter(txn: &WriteTransaction, of: Origin) -> Result<u64> {
    let mut ledger = txn.open_table(LEDGER)?;
    let row = ledger.len()?;
    ledger.insert(row, (key(of), (of.offset, of.key)))?;
    Ok(row)
}

/// Knows this event from now on, and forgets the oldest of its partition.
pub(super) fn remember(txn: &WriteTransaction, of: Origin) -> Result<()> {
    remember_of(txn, of, if planted(Defect::ApDedupWindow) { SHORT } else { WINDOW })
}

fn remember_of(txn: &WriteTransaction, of: Origin, window: u64) -> Result<()> {
    let (mut known, mut came) = (txn.open_table(KNOWN)?, txn.open_table(CAME)?);
    let all = (of.tp.0, 0)..=(of.tp.0, u64::MAX);
    let number = came.range(all.clone())?.next_back().transpose()?.map_or(0, |(last, _)| last.value().1 + 1);
    known.insert(key(of), number)?;
    came.insert((of.tp.0, number), key(of))?;
    let oldest = came.range(all)?.next().transpose()?.map(|(at, of)| (at.value(), of.value()));
    if let Some((at, of)) = oldest.filter(|(at, _)| number - at.1 >= window) {
        came.remove(at)?;
        known.remove(of)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;
    use redb::{Database, ReadableDatabase};

    use super::*;

    fn of(tp: u32, seq: u64) -> Origin {
        Origin { tp: TpId(tp), offset: 0, id: RecordId { producer: 1, incarnation: 2, seq }, key: None }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

        /// Beside a queue for each partition, with a window so short that events are forgotten.
        #[test]
        fn the_last_events_of_each_partition_are_known(events in prop::collection::vec((0u32..3, 0u64..24), 1..120)) {
            let db = Database::builder().create_with_backend(InMemoryBackend::new()).expect("a database");
            let mut model = [const { VecDeque::<u64>::new() }; 3];
            let mut rows = 0;
            for (tp, seq) in events {
                let txn = db.begin_write().expect("begins");
                let queue = &mut model[tp as usize];
                let known = knows(&txn, of(tp, seq)).expect("reads");
                prop_assert_eq!(known, queue.contains(&seq));
                if !known {
                    prop_assert_eq!(enter(&txn, of(tp, seq)).expect("writes"), rows);
                    rows += 1;
                    remember_of(&txn, of(tp, seq), SHORT).expect("writes");
                    queue.push_back(seq);
                    if queue.len() as u64 > SHORT {
                        queue.pop_front();
                    }
                }
                txn.commit().expect("commits");
            }
            let read = db.begin_read().expect("reads");
            let sizes = (read.open_table(KNOWN).expect("a table").len(), read.open_table(CAME).expect("a table").len());
            let size = model.iter().map(|queue| queue.len() as u64).sum::<u64>();
            prop_assert_eq!((sizes.0.expect("a length"), sizes.1.expect("a length")), (size, size));
        }
    }
}
