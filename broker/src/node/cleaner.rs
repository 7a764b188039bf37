//! Compacts logs, one at a time, the dirtiest first, in steps short enough that nobody waits long for one.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use super::Node;
use super::partition::Partition;
use crate::env::{Disk, Env};
use crate::fact::Fact;
use crate::ids::TopicPartition;
use crate::log::LogError;
use crate::log::compact::{Cleaning, Dirt, Step};

/// Bytes read in one step.
const STEP: usize = 256 << 10;
/// Between two steps others have their turn.
const PAUSE: Duration = Duration::from_millis(1);

/// Runs until the node stops.
pub(super) async fn run<E: Env>(node: Rc<Node<E>>) {
    loop {
        node.env.sleep(node.config.cleaner_backoff).await;
        // Each log once at most; one that could not be compacted is tried again next time.
        let mut seen = BTreeSet::new();
        while !node.is_stopping()
            && let Some(partition) = dirtiest(&node, &seen)
        {
            seen.insert(partition.tp.clone());
            clean(&node, &partition).await;
        }
        if node.is_stopping() {
            return;
        }
    }
}

/// Of the partitions that are to be compacted and not in `seen`, an overdue one, or else the dirtiest.
fn dirtiest<E: Env>(node: &Node<E>, seen: &BTreeSet<TopicPartition>) -> Option<Rc<Partition<E>>> {
    let (wall, mut best) = (node.env.wall(), None::<(Dirt, Rc<Partition<E>>)>);
    for partition in node.all_partitions() {
        let high = partition.high();
        let dirt = partition.with_log(|log| Ok(log.dirt(wall, high))).ok().flatten();
        if let Some(dirt) = dirt.filter(|_| !seen.contains(&partition.tp))
            && best.as_ref().is_none_or(|(most, _)| dirt > *most)
        {
            best = Some((dirt, partition));
        }
    }
    best.map(|(_, partition)| partition)
}

/// One pass. Given up with the node's stop, and where the log fails or is cut: the log is good either way.
async fn clean<E: Env>(node: &Rc<Node<E>>, partition: &Rc<Partition<E>>) {
    let (wall, high, buffer) = (node.env.wall(), partition.high(), node.config.cleaner_dedupe_buffer);
    let begun = partition.with_log(|log| Ok(log.begin_cleaning(wall, high, buffer)));
    let Ok(Some(mut pass)) = begun else { return };
    loop {
        node.env.disk().settled().await;
        node.env.sleep(PAUSE).await;
        if node.is_stopping() {
            // A log that is gone takes what was begun with it.
            let _ = partition.with_log(|log| {
                log.discard(&mut pass);
                Ok(())
            });
            return;
        }
        let exchanged = pass.done().segments.len();
        let step = partition.with_log(|log| log.clean(&mut pass, STEP));
        if pass.done().segments.len() > exchanged {
            state(node, partition, &pass);
        }
        match step {
            Ok(Step::Again) => {}
            Ok(Step::Sync(exchange)) => partition.sync_exchange(node, &exchange).await,
            Ok(Step::Done(done)) => {
                let _ = partition.with_log(|log| {
                    log.end_cleaning(&done);
                    Ok(())
                });
                return;
            }
            // Damage is for who reads it to find; a log that is off line comes back by itself.
            Ok(Step::Void) | Err(_) => return,
        }
    }
}

/// States that a segment was exchanged.
fn state<E: Env>(node: &Node<E>, partition: &Partition<E>, pass: &Cleaning<E::Disk>) {
    let Some(&base) = pass.done().segments.last().filter(|_| node.env.hears()) else { return };
    let stated: Result<_, LogError> = partition.with_log(|log| log.marks_of(base));
    if let Ok((next, batches)) = stated {
        let (tp, upto, records) = (partition.tp.clone(), pass.done().upto, pass.done().records);
        node.env.tell(Fact::Cleaned { tp, base, next, upto, high: partition.high(), records, batches });
    }
}
