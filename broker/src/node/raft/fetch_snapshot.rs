//! Fetching a snapshot of the metadata from the leader, piece by piece (KIP-630), for a node that has been away for too
//! long, or has nothing.

use std::io;
use std::rc::Rc;

use bytes::Bytes;
use kafka_protocol::messages::fetch_snapshot_request::{PartitionSnapshot, SnapshotId, TopicSnapshot};
use kafka_protocol::messages::fetch_snapshot_response::PartitionSnapshot as Piece;
use kafka_protocol::messages::{BrokerId, FetchSnapshotRequest};

use super::Job;
use super::log::metadata_partition;
use super::rpc::{standing, told, topic};
use super::snapshots::{path, read_file};
use crate::controller::record::text;
use crate::env::{Disk, Env, File, Open};
use crate::ids::{LeaderEpoch, NodeId};
use crate::node::Node;
use crate::node::partition::directory;
use crate::quorum::{Answer, Body, Call, Fetched, OffsetAndEpoch, Standing};

/// Bytes of a piece at most, and at least.
const PIECE: (u64, u64) = (512, 1 << 20);
/// The largest snapshot taken: a bound, far above what the metadata can be.
const LARGEST: i64 = 1 << 30;

/// Which snapshot is fetched, and from whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) to: NodeId,
    pub(super) call: Call,
    pub(super) epoch: LeaderEpoch,
    pub(super) id: OffsetAndEpoch,
}

/// Fetches it, and has the driver told.
pub(super) fn run<E: Env>(node: &Rc<Node<E>>, wanted: Wanted) {
    node.raft.snapshots.fetching.set(Some(wanted.call));
    let node = node.clone();
    node.env.clone().spawn("snapshot fetch", async move {
        let call = wanted.call;
        let partial = format!("{}.{call}.tmp", path(wanted.id));
        let fetched = whole(&node, wanted, &partial).await;
        if !matches!(fetched, Ok(true)) {
            // Else it is removed at the next start.
            let _ = node.env.disk().remove(&partial);
        }
        let job = match fetched {
            Ok(true) => Job::SnapshotFetched { call },
            Ok(false) => Job::Answered { call, answer: None },
            Err(error) => {
                // What was being written was promised to nobody. But after a failed fsync nothing can be believed.
                crate::node::ticker::tolerate(&node, "metadata snapshot", &error);
                Job::Answered { call, answer: None }
            }
        };
        // An error means that the node stops.
        let _ = node.raft.jobs.send(job).await;
    });
}

/// Whether all of it is here, durable, and good. An error is the disk's.
async fn whole<E: Env>(node: &Rc<Node<E>>, wanted: Wanted, partial: &str) -> io::Result<bool> {
    let disk = node.env.disk();
    let file = disk.open(partial, Open::Create)?;
    file.truncate(0)?;
    let mut position = 0;
    loop {
        let Some(piece) = piece(node, wanted, position).await else { return Ok(false) };
        if node.raft.snapshots.fetching.get() != Some(wanted.call) {
            return Ok(false);
        }
        let at = u64::try_from(position).map_err(io::Error::other)?;
        file.write_at(&piece.unaligned_records, at)?;
        position += i64::try_from(piece.unaligned_records.len()).map_err(io::Error::other)?;
        if position >= piece.size {
            break;
        }
    }
    file.sync().await?;
    if node.raft.snapshots.fetching.get() != Some(wanted.call) {
        return Ok(false);
    }
    let image = match read_file(disk, partial, wanted.id) {
        // Garbled on the way, or where it came from: it is of no use.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(false),
        image => image?,
    };
    disk.rename(partial, &path(wanted.id))?;
    disk.sync_dir(&directory(&metadata_partition())).await?;
    *node.raft.snapshots.fetched.borrow_mut() = Some((wanted.id, image));
    Ok(true)
}

/// The piece at `position`. Whatever else the leader says, the driver is told, and there is none.
async fn piece<E: Env>(node: &Node<E>, wanted: Wanted, position: i64) -> Option<Piece> {
    let most = node.config.metadata_snapshot_bytes.clamp(PIECE.0, PIECE.1);
    let id = SnapshotId::default().with_end_offset(wanted.id.offset).with_epoch(wanted.id.epoch);
    let asked = PartitionSnapshot::default()
        .with_partition(0)
        .with_current_leader_epoch(wanted.epoch)
        .with_snapshot_id(id)
        .with_position(position);
    let request = FetchSnapshotRequest::default()
        .with_cluster_id(Some(text(&node.config.cluster_id)))
        .with_replica_id(BrokerId(node.config.node_id.0))
        .with_max_bytes(i32::try_from(most).unwrap_or(i32::MAX))
        .with_topics(vec![TopicSnapshot::default().with_name(topic()).with_partitions(vec![asked])]);
    let answer = node.peers.call(wanted.to, request, node.config.quorum_fetch_timeout / 2).await.ok()?;
    let piece = answer.topics.into_iter().next()?.partitions.into_iter().next()?;
    let standing = standing(piece.error_code).filter(|_| answer.error_code == 0)?;
    let fetched = match standing {
        Standing::Current => Fetched::Read { high_watermark: 0 },
        refused => Fetched::Refused(refused),
    };
    tell(
        node,
        wanted.call,
        told(piece.current_leader.leader_id, piece.current_leader.leader_epoch, Body::Fetch(fetched)),
    )
    .await;
    let (id, size) = (&piece.snapshot_id, piece.size);
    let right = id.end_offset == wanted.id.offset && id.epoch == wanted.id.epoch && piece.position == position;
    let more = !piece.unaligned_records.is_empty() && (0..=LARGEST).contains(&size);
    (standing == Standing::Current && right && more).then_some(piece)
}

async fn tell<E: Env>(node: &Node<E>, call: Call, answer: Answer) {
    // An error means that the node stops.
    let _ = node.raft.jobs.send(Job::Answered { call, answer: Some((answer, Bytes::new())) }).await;
}
