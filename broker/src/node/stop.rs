//! Stopping cleanly: a start after it need not recover.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::Node;
use super::raft::{metadata_partition, sync};
use crate::env::Env;
use crate::ids::Offset;
use crate::log::checkpoint::{self, HIGH_WATERMARKS, LOG_STARTS, Offsets, RECOVERY_POINTS};
use crate::log::{Log, LogError};

/// How long open connections may take to be told.
const PATIENCE: Duration = Duration::from_secs(1);

/// Ends everything, flushes every log, and states that the shutdown was clean. Without that statement, which an error
/// prevents, the next start recovers.
pub(super) async fn stop<E: Env>(node: &Rc<Node<E>>) -> io::Result<()> {
    node.leave().await;
    node.stopping.set(true);
    node.all_partitions().iter().for_each(|partition| super::groups::end(node, partition));
    node.schedule.wake();
    node.connections.close_all();
    if node.connections.count() > 0 {
        node.env.timeout(PATIENCE, node.drained.notified()).await;
    }
    let metadata = node.raft.stop().await;
    let (mut points, mut starts, mut highs) = (Offsets::new(), Offsets::new(), Offsets::new());
    // What was not opened yet is as it was left before.
    let mut whole = node.loaded.get();
    for partition in node.all_partitions() {
        highs.insert(partition.tp.clone(), partition.high());
        match partition.close().await {
            Some(log) => {
                let (tp, start) = (partition.tp.clone(), log.log_start());
                points.insert(tp.clone(), close(log).await.map_err(io::Error::other)?);
                starts.insert(tp, start);
            }
            None => {
                whole = false;
                points.insert(partition.tp.clone(), partition.written().point);
                starts.insert(partition.tp.clone(), partition.written().start);
            }
        }
    }
    if let Some(log) = metadata {
        points.insert(metadata_partition(), close(log).await.map_err(io::Error::other)?);
    }
    if !node.loaded.get() {
        return Ok(());
    }
    let _turn = node.checkpoints.turn().await;
    checkpoint::write(node.env.disk(), LOG_STARTS, &starts).await?;
    checkpoint::write(node.env.disk(), RECOVERY_POINTS, &points).await?;
    checkpoint::write(node.env.disk(), HIGH_WATERMARKS, &highs).await?;
    if whole { checkpoint::mark_clean(node.env.disk(), node.broker_epoch()).await } else { Ok(()) }
}

/// Flushes a log for the last time; returns its recovery point.
async fn close<D: crate::env::Disk>(mut log: Log<D>) -> Result<Offset, LogError> {
    let flush = log.close()?;
    flush.sync().await?;
    log.end_flush(flush)?;
    sync(&mut log).await?;
    Ok(log.recovery_point())
}
