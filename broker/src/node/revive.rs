//! Brings logs back that a failed write took off line: a device that was full or failing may work again, and what it
//! holds is found as after a crash. Nothing is done about a failed fsync, after which the node stops.

use std::rc::Rc;
use std::time::Duration;

use super::Node;
use super::checkpoints::Written;
use super::partition::{Partition, directory};
use super::raft::sync;
use crate::env::Env;
use crate::fact::Fact;
use crate::ids::Offset;
use crate::log::{Log, LogError, OpenHow};

/// How often it is tried.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// Tries every log that is off line.
pub(super) async fn all<E: Env>(node: &Rc<Node<E>>) {
    for partition in node.all_partitions() {
        if !partition.wants_revival() {
            continue;
        }
        let (written, end) = partition.begin_revival();
        let opened = reopen(node, &partition, written, end).await;
        // A leader's followers may hold what it has lost, in this very epoch: it must not write other records there.
        let least = if partition.check_leads().is_ok() { partition.ended() } else { 0 };
        if let Ok(log) = &opened
            && log.log_end() < partition.high().max(least)
        {
            let why = format!("{}: it ends at {}, below what it had committed or led", partition.tp, log.log_end());
            return node.env.halt(&why);
        }
        partition.end_revival(node, opened);
    }
}

async fn reopen<E: Env>(
    node: &Rc<Node<E>>,
    partition: &Partition<E>,
    written: Written,
    end: Option<Offset>,
) -> Result<Log<E::Disk>, LogError> {
    let config = match node.image().topic(&partition.tp.topic) {
        Some(topic) => node.log_config(topic),
        None => return Err(LogError::Offline),
    };
    let (recovery_point, log_start) = (written.point, written.start);
    let how = OpenHow { clean: false, recovery_point, log_start, list_tail: false, now: node.env.wall() };
    let (mut log, _) = Log::open(&node.pool, &directory(&partition.tp), partition.tp.clone(), config, how)?;
    if let Some(end) = end {
        // A batch whose append failed was refused, and must not come back although all of it may be there.
        log.truncate_to(end)?;
    }
    if let Err(error) = sync(&mut log).await {
        node.env.halt(&format!("{}: {error}", partition.tp));
        return Err(error);
    }
    // Whoever waits for what was appended before it went off line is acknowledged now.
    node.tell(|| Fact::Flushed { tp: partition.tp.clone(), upto: log.flushed() });
    Ok(log)
}
