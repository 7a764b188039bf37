//! What is written down about logs while they are open: from where a recovery would have to scan them, and where they
//! start.

use std::cell::Cell;
use std::io;

use tokio::sync::Notify;

use super::Node;
use super::load::Known;
use super::partition::Partition;
use super::raft::metadata_partition;
use crate::env::Env;
use crate::fact::Fact;
use crate::ids::Offset;
use crate::log::Trimmed;
use crate::log::checkpoint::{self, HIGH_WATERMARKS, LOG_STARTS, Offsets, RECOVERY_POINTS};

/// What is written down of one log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// From where recovery scans it.
    pub point: Offset,
    /// First offset kept.
    pub start: Offset,
}

/// Lets one writer at a time at the checkpoint files.
#[derive(Default)]
pub struct Turns {
    taken: Cell<bool>,
    free: Notify,
}

/// A turn; it ends when dropped, also with a task that is given up.
pub struct Turn<'a>(&'a Turns);

impl Turns {
    /// Waits for a turn.
    pub async fn turn(&self) -> Turn<'_> {
        while self.taken.get() {
            self.free.notified().await;
        }
        self.taken.set(true);
        Turn(self)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.taken.set(false);
        self.0.free.notify_waiters();
    }
}

/// What was written down before of partitions that are not open yet, and `now` of those that are.
fn with_unopened<E: Env>(
    node: &Node<E>,
    before: fn(&Known) -> &Offsets,
    now: impl Fn(&Partition<E>) -> Offset,
) -> Offsets {
    let mut offsets = before(&node.known.borrow()).clone();
    offsets.extend(node.all_partitions().iter().map(|partition| (partition.tp.clone(), now(partition))));
    offsets
}

/// Writes down everything.
pub async fn write_all<E: Env>(node: &Node<E>) -> io::Result<()> {
    write_starts(node).await?;
    let _turn = node.checkpoints.turn().await;
    let mut points = with_unopened(node, |known| &known.points, |partition| partition.written().point);
    points.insert(metadata_partition(), node.raft.recovery_point());
    points.retain(|_, point| *point > 0);
    checkpoint::write(node.env.disk(), RECOVERY_POINTS, &points).await
}

/// Writes down the high watermarks, so that a node that starts again shows what it showed.
pub async fn write_highs<E: Env>(node: &Node<E>) -> io::Result<()> {
    let _turn = node.checkpoints.turn().await;
    let highs = with_unopened(node, |known| &known.highs, Partition::high);
    checkpoint::write(node.env.disk(), HIGH_WATERMARKS, &highs).await
}

/// Writes down where the logs start, then removes the files of segments before that.
pub async fn write_starts<E: Env>(node: &Node<E>) -> io::Result<()> {
    let _turn = node.checkpoints.turn().await;
    let mut offsets = with_unopened(node, |known| &known.starts, |partition| partition.written().start);
    offsets.retain(|_, start| *start > 0);
    let trimmed = || node.all_partitions().into_iter().filter(|partition| offsets.contains_key(&partition.tp));
    for partition in trimmed() {
        partition.flush_before_trim(node).await?;
    }
    checkpoint::write(node.env.disk(), LOG_STARTS, &offsets).await?;
    for partition in trimmed() {
        // A file that cannot be removed now is garbage at the next start.
        let _ = partition.with_log(|log| log.sweep(offsets[&partition.tp]));
    }
    Ok(())
}

/// States that a log's start has moved, if it has.
pub fn state_trim<E: Env>(node: &Node<E>, partition: &Partition<E>, before: Offset, trimmed: &Trimmed, asked: bool) {
    if trimmed.log_start > before {
        let (tp, log_start, high) = (partition.tp.clone(), trimmed.log_start, partition.high());
        node.tell(|| Fact::Trimmed { tp, log_start, high, asked });
        partition.state_marks(node);
        partition.state_producers(node);
    }
}
