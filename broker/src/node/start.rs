//! Starting: the metadata log is recovered, the node listens, joins its quorum and registers; its partitions are opened
//! when it knows which are its own.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use tokio::sync::Notify;

use super::accept::Connections;
use super::checkpoints::Turns;
use super::fetcher::Fetchers;
use super::groups::Groups;
use super::lifecycle::Life;
use super::load::Known;
use super::meter::Meter;
use super::peer::Peers;
use super::producer_ids::ProducerIds;
use super::raft::{self, Driver, Raft, metadata_partition};
use super::ticker::{self, Schedule};
use super::wait::Once;
use super::{Node, apply, cleaner, lifecycle};
use crate::config::BrokerConfig;
use crate::controller::record::Incarnation;
use crate::env::{Env, Listener, Net};
use crate::fact::Fact;
use crate::log::FilePool;

type ListenerOf<E> = <<E as Env>::Net as Net>::Listener;

/// Brings a node up. When this returns it listens, and all its tasks run; clients are served what it leads as soon as
/// the cluster lets it lead.
pub(super) async fn start<E: Env>(env: E, config: BrokerConfig) -> io::Result<(Rc<Node<E>>, ListenerOf<E>)> {
    let disk = env.disk().clone();
    let known = Known::read(&disk).await?;
    env.tell(Fact::Started { clean: known.clean.is_some() });
    let pool = FilePool::new(disk.clone(), config.max_open_files);
    let opened = raft::open(&disk, &pool, known.of(&metadata_partition(), env.wall(), false)).await?;
    let listener = env.net().listen(&config.listen).await?;
    let (image, applied) = (opened.image.clone(), opened.applied);
    let (raft, jobs) = Raft::new(opened);
    let incarnation = Incarnation::draw(|| env.draw());
    let node = Rc::new(Node {
        port: listener.port(),
        peers: Peers::new(&env, &config),
        env,
        raft,
        fetchers: Fetchers::default(),
        fetch_sessions: RefCell::default(),
        life: Life::new(incarnation, known.clean),
        known: RefCell::new(known),
        ready: Once::default(),
        whole: Once::default(),
        pool,
        image: RefCell::new(image),
        shown: Notify::new(),
        applied: Cell::new(applied),
        loaded: Cell::new(false),
        partitions: RefCell::default(),
        connections: Connections::default(),
        schedule: Schedule::default(),
        checkpoints: Turns::default(),
        producer_ids: ProducerIds::default(),
        groups: Groups::default(),
        meter: Meter::default(),
        flushes: tokio::sync::Semaphore::new(super::MOST_FLUSHES),
        stopping: Cell::new(false),
        effects: RefCell::default(),
        acknowledged: Cell::new(0),
        drained: Notify::new(),
        config,
    });
    node.env.spawn("quorum", Driver::new(node.clone(), jobs).run());
    node.env.spawn("metadata", apply::run(node.clone()));
    if node.config.process_roles.serves() {
        node.env.spawn("registration", lifecycle::run(node.clone()));
    }
    node.env.spawn("ticker", ticker::run(node.clone()));
    node.env.spawn("checkpoints", ticker::write_checkpoints(node.clone()));
    node.env.spawn("cleaner", cleaner::run(node.clone()));
    Ok((node, listener))
}
