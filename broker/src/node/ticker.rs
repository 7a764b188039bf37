//! Everything periodic: checkpoints in a task of their own, since they wait for the device; retention, timed flushes, the
//! inspection of followers and idle connections in another.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use super::checkpoints::{self, state_trim};
use super::partition::Partition;
use super::{Node, revive};
use crate::env::{Env, Mono};

/// The shortest time between two looks at idle connections.
const SHORTEST: Duration = Duration::from_millis(10);

/// By time, then by order of asking.
type Due<E> = BTreeMap<(Mono, u64), Weak<Partition<E>>>;

/// The flushes that are due at a time (`flush.ms`).
pub struct Schedule<E: Env> {
    due: RefCell<Due<E>>,
    count: Cell<u64>,
    /// When the ticker wakes by itself.
    wakes: Cell<Mono>,
    sooner: Notify,
}

impl<E: Env> Default for Schedule<E> {
    fn default() -> Self {
        Self { due: RefCell::default(), count: Cell::new(0), wakes: Cell::new(Mono(0)), sooner: Notify::new() }
    }
}

impl<E: Env> Schedule<E> {
    /// Has `partition` flushed at `at`.
    pub fn flush_at(&self, at: Mono, partition: &Rc<Partition<E>>) {
        self.count.set(self.count.get() + 1);
        self.due.borrow_mut().insert((at, self.count.get()), Rc::downgrade(partition));
        if at < self.wakes.get() {
            self.wake();
        }
    }

    /// Lets the ticker look at once.
    pub fn wake(&self) {
        self.sooner.notify_one();
    }

    fn first(&self) -> Option<Mono> {
        self.due.borrow().keys().next().map(|(at, _)| *at)
    }

    fn take_due(&self, now: Mono) -> Vec<Rc<Partition<E>>> {
        let mut due = self.due.borrow_mut();
        let later = due.split_off(&(now, u64::MAX));
        std::mem::replace(&mut *due, later).into_values().filter_map(|weak| weak.upgrade()).collect()
    }
}

/// Runs until the node stops.
pub(super) async fn run<E: Env>(node: Rc<Node<E>>) {
    let now = node.env.now();
    let idle_check = (node.config.connections_max_idle / 4).max(SHORTEST);
    let mut retention = now.after(node.config.retention_check_interval);
    let mut idle = now.after(idle_check);
    let mut revival = now.after(revive::INTERVAL);
    let look = (node.config.replica_lag_time_max / 2).max(SHORTEST);
    let mut inspection = now.after(look);
    while !node.is_stopping() {
        let mut next = retention.min(idle).min(revival).min(inspection);
        if let Some(flush) = node.schedule.first() {
            next = next.min(flush);
        }
        node.schedule.wakes.set(next);
        let wait = next.since(node.env.now());
        if !wait.is_zero() {
            node.env.timeout(wait, node.schedule.sooner.notified()).await;
        }
        let now = node.env.now();
        for partition in node.schedule.take_due(now) {
            partition.flush_now(&node);
        }
        if retention <= now {
            retention = now.after(node.config.retention_check_interval);
            retain(&node).await;
        }
        if revival <= now {
            revival = now.after(revive::INTERVAL);
            revive::all(&node).await;
        }
        if inspection <= now {
            inspection = now.after(look);
            node.all_partitions().iter().for_each(|partition| partition.inspect(&node));
        }
        if idle <= now {
            idle = now.after(idle_check);
            node.connections.close_idle(now, node.config.connections_max_idle);
        }
    }
}

/// Writes checkpoints until the node stops. Nothing else waits for them: a device that takes its time must not keep a
/// leader from seeing that a follower lags.
pub(super) async fn write_checkpoints<E: Env>(node: Rc<Node<E>>) {
    loop {
        node.env.sleep(node.config.checkpoint_interval).await;
        if node.is_stopping() {
            return;
        }
        if let Err(error) = checkpoints::write_all(&node).await {
            tolerate(&node, "checkpoints", &error);
        }
        if node.is_stopping() {
            return;
        }
        if let Err(error) = checkpoints::write_highs(&node).await {
            tolerate(&node, "high watermarks", &error);
        }
    }
}

/// Applies `retention.ms` and `retention.bytes` to every log, and `producer.id.expiration.ms` to its producers.
async fn retain<E: Env>(node: &Rc<Node<E>>) {
    let mut any = false;
    for partition in node.all_partitions() {
        let (before, high) = (partition.log_start(), partition.high());
        let (wall, after) = (node.env.wall(), node.config.producer_id_expiration);
        // A log that is off line has none in use.
        let _ = partition.with_log(|log| Ok(log.expire_producers(wall, after)));
        let Ok(trimmed) = partition.with_log(|log| log.retain(node.env.wall(), high)) else { continue };
        any |= !trimmed.segments.is_empty();
        state_trim(node, &partition, before, &trimmed, false);
    }
    if any && let Err(error) = checkpoints::write_starts(node).await {
        tolerate(node, "log starts", &error);
    }
}

/// A checkpoint that could not be written leaves the one before in force, which is good as well. Unless an fsync has
/// failed: then nothing the kernel says can be believed.
pub(super) fn tolerate<E: Env>(node: &Node<E>, what: &str, error: &std::io::Error) {
    if error.kind() != std::io::ErrorKind::StorageFull {
        node.env.halt(&format!("{what}: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{BrokerConfig, FlushPolicy};
    use crate::env::Env;
    use crate::env::real::block_on;
    use crate::node::serve_beside;
    use crate::node::testing::{TestEnv, Wire, settings};

    /// Whoever writes a checkpoint holds the turn as long as the device takes.
    #[test]
    fn a_checkpoint_that_hangs_holds_up_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let ms = Duration::from_millis;
        let quick = settings(FlushPolicy::Never);
        let config = BrokerConfig { checkpoint_interval: ms(10), connections_max_idle: ms(200), ..quick };
        block_on(async {
            let env = TestEnv::new(root.path());
            let (done, over) = tokio::sync::oneshot::channel::<()>();
            let beside = |node: Rc<Node<TestEnv>>| async move {
                node.until_ready().await;
                let turn = node.checkpoints.turn().await;
                node.env.sleep(ms(100)).await;
                let mut wire = Wire::connect(&node.env, node.port).await;
                let closed = node.env.timeout(Duration::from_secs(30), wire.receive_raw()).await;
                assert_eq!(closed, Some(None), "an idle connection is not closed");
                drop(turn);
                done.send(()).unwrap();
            };
            let stop = async { over.await.unwrap() };
            serve_beside(env, config, stop, beside).await.unwrap();
        })
        .unwrap();
    }
}
