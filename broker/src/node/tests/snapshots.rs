//! The metadata log is cut where a snapshot ends; starts and followers make do with what is left.

#![expect(clippy::disallowed_methods, reason = "looks at a broker's files, and damages them")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_snapshot_request::{PartitionSnapshot, SnapshotId, TopicSnapshot};
use kafka_protocol::messages::*;

use super::produce_fetch::{create, topic};
use crate::config::{BrokerConfig, FlushPolicy};
use crate::controller::record::{METADATA_TOPIC, text};
use crate::env::Env;
use crate::env::real::block_on;
use crate::fact::Fact;
use crate::node::serve;
use crate::node::testing::*;

const TRIES: usize = 600;

fn config() -> BrokerConfig {
    BrokerConfig {
        metadata_snapshot_bytes: 2000,
        broker_heartbeat_interval: Duration::from_millis(100),
        broker_session_timeout: Duration::from_millis(1000),
        ..settings(FlushPolicy::Never)
    }
}

/// The files of the metadata log with that ending, by name.
fn files(root: &Path, ending: &str) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(root.join(format!("{METADATA_TOPIC}-0"))).unwrap();
    let mut names: Vec<PathBuf> = listed.map(|entry| entry.unwrap().path()).collect();
    names.retain(|name| name.to_str().unwrap().ends_with(ending));
    names.sort();
    names
}

async fn names(wire: &mut Wire) -> Vec<String> {
    let all = wire.ask(12, &MetadataRequest::default().with_topics(None)).await;
    all.topics.into_iter().map(|topic| topic.name.unwrap().to_string()).collect()
}

fn flip(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn the_log_is_cut_behind_two_snapshots_and_all_is_there_after_every_start() {
    let root = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for round in 0..6 {
        let name = |n: usize| format!("t{round}{n}");
        let work = async |mut wire: Wire| {
            assert_eq!(names(&mut wire).await, expected, "round {round}");
            for n in 0..8 {
                assert_eq!(create(&mut wire, &name(n), 1).await.0, 0);
            }
        };
        if round % 2 == 0 {
            with_broker(root.path(), config(), work);
        } else {
            with_broker_killed(root.path(), config(), work);
        }
        expected.extend((0..8).map(name));
    }
    assert_eq!(files(root.path(), ".checkpoint").len(), 2);
    let first = files(root.path(), ".log")[0].file_stem().unwrap().to_str().unwrap().parse::<i64>().unwrap();
    assert!(first > 0, "the log's beginning is kept");

    // A damaged snapshot: the one before it and the log make up for it.
    flip(&files(root.path(), ".checkpoint")[1]);
    with_broker(root.path(), config(), async |mut wire| assert_eq!(names(&mut wire).await, expected));
    let kept = files(root.path(), ".checkpoint");
    assert!(!kept.is_empty());
    kept.iter().for_each(|file| flip(file));
    let env = TestEnv::new(root.path());
    let refused = block_on(serve(env, config(), std::future::ready(()))).unwrap().unwrap_err().to_string();
    assert!(refused.contains("cannot be read"), "{refused}");
}

async fn create_many(member: &Member, from: usize, to: usize) {
    for n in from..to {
        let wanted = CreatableTopic::default().with_name(topic(&format!("t{n:03}"))).with_num_partitions(1);
        let request = CreateTopicsRequest::default().with_topics(vec![wanted.with_replication_factor(1)]);
        let made = member.connect().await.ask(7, &request.with_timeout_ms(5000)).await;
        assert_eq!(made.topics[0].error_code, 0);
    }
}

async fn until_known(member: &Member, count: usize) {
    for _ in 0..TRIES {
        if names(&mut member.connect().await).await.len() == count {
            return;
        }
        member.env().sleep(Duration::from_millis(20)).await;
    }
    panic!("it does not learn of all topics");
}

#[test]
fn who_was_away_for_long_or_has_nothing_is_given_a_snapshot() {
    let root = tempfile::tempdir().unwrap();
    with_cluster(root.path(), 3, &config(), |mut members| async move {
        create_many(&members[0], 0, 3).await;
        let (away, settings) = members.remove(2).stop().await;
        create_many(&members[0], 3, 30).await;
        for wiped in [false, true] {
            if wiped {
                std::fs::remove_dir_all(&away).unwrap();
            }
            let mut back = Member::start(&away, settings.clone());
            back.ready().await;
            until_known(&back, 30).await;
            let fetched = back.facts().into_iter().any(|fact| matches!(fact, Fact::Snapshot { fetched: true, .. }));
            let there = |root: &Path| [files(root, ".checkpoint"), files(root, ".log")];
            let others = (0..2).map(|n| there(&away.parent().unwrap().join(format!("n{n}")))).collect::<Vec<_>>();
            assert!(fetched, "wiped {wiped}: it has {:?}, others {others:?}", there(&away));
            back.stop().await;
        }
    });
}

#[test]
fn pieces_of_a_snapshot_are_given_to_whoever_asks_right() {
    let root = tempfile::tempdir().unwrap();
    with_broker(root.path(), config(), async |mut wire| {
        for n in 0..30 {
            create(&mut wire, &format!("t{n}"), 1).await;
        }
        let newest = files(root.path(), ".checkpoint").pop().unwrap();
        let whole = std::fs::read(&newest).unwrap();
        let stem = newest.file_stem().unwrap().to_str().unwrap();
        let (end, epoch) = stem.split_once('-').unwrap();
        let id = SnapshotId::default().with_end_offset(end.parse().unwrap()).with_epoch(epoch.parse().unwrap());
        let mut ask = async |id: &SnapshotId, leader_epoch: i32, position: i64, name: &str| {
            let part = PartitionSnapshot::default()
                .with_current_leader_epoch(leader_epoch)
                .with_snapshot_id(id.clone())
                .with_position(position);
            let of = TopicSnapshot::default().with_name(topic(name)).with_partitions(vec![part]);
            let request = FetchSnapshotRequest::default().with_replica_id(BrokerId(7)).with_max_bytes(700);
            wire.ask(1, &request.with_topics(vec![of])).await.topics.remove(0).partitions.remove(0)
        };
        let mut got = Vec::new();
        while got.len() < whole.len() {
            let position = i64::try_from(got.len()).unwrap();
            let piece = ask(&id, id.epoch, position, METADATA_TOPIC).await;
            assert_eq!((piece.error_code, piece.size), (0, i64::try_from(whole.len()).unwrap()));
            assert!((1..=700).contains(&piece.unaligned_records.len()) && piece.position == position);
            got.extend_from_slice(&piece.unaligned_records);
        }
        assert_eq!(got, whole);
        let end = i64::try_from(whole.len()).unwrap();
        let out = ResponseError::PositionOutOfRange.code();
        assert_eq!(ask(&id, id.epoch, end, METADATA_TOPIC).await.error_code, out);
        assert_eq!(ask(&id, id.epoch, -1, METADATA_TOPIC).await.error_code, out);
        let other = id.clone().with_end_offset(1);
        let missing = ResponseError::SnapshotNotFound.code();
        assert_eq!(ask(&other, id.epoch, 0, METADATA_TOPIC).await.error_code, missing);
        assert_eq!(ask(&id, id.epoch - 1, 0, METADATA_TOPIC).await.error_code, 74);
        assert_eq!(ask(&id, id.epoch + 1, 0, METADATA_TOPIC).await.error_code, 75);
        assert_eq!(ask(&id, id.epoch, 0, "t").await.error_code, 3);
        let foreign = FetchSnapshotRequest::default().with_cluster_id(Some(text("other")));
        assert_eq!(wire.ask(0, &foreign).await.error_code, ResponseError::InconsistentClusterId.code());
    });
}
