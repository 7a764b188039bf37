//! A thousand partitions in one broker: its open files stay few, whatever all of them do at once.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};

use super::produce_fetch::{create, fetch, topic, values};
use crate::config::{BrokerConfig, FlushPolicy};
use crate::env::race;
use crate::node::MOST_FLUSHES;
use crate::node::testing::*;
use crate::record::Compression;

const PARTITIONS: i32 = 1000;
/// The least that a broker can work with, far less than one for each partition.
const POOL: usize = 64;
/// Fsyncs under way have three files open each, beside the pool; the metadata log and checkpoints have a few.
const BESIDE: usize = 3 * MOST_FLUSHES + 32;

/// Files below `root` that this process has open.
fn open_below(root: &Path) -> usize {
    let all = std::fs::read_dir("/proc/self/fd").unwrap();
    all.filter(|entry| std::fs::read_link(entry.as_ref().unwrap().path()).is_ok_and(|to| to.starts_with(root))).count()
}

fn to_all(records: &Bytes) -> ProduceRequest {
    let part = |index| PartitionProduceData::default().with_index(index).with_records(Some(records.clone()));
    let data =
        TopicProduceData::default().with_name(topic("t")).with_partition_data((0..PARTITIONS).map(part).collect());
    ProduceRequest::default().with_acks(-1).with_timeout_ms(60_000).with_topic_data(vec![data])
}

#[cfg(target_os = "linux")]
#[test]
fn a_thousand_partitions_keep_few_files_open() {
    let root = tempfile::tempdir().unwrap();
    let config = BrokerConfig { max_open_files: POOL, ..settings(FlushPolicy::Always) };
    with_broker(root.path(), config, async |mut wire| {
        let (error, id) = create(&mut wire, "t", PARTITIONS).await;
        assert_eq!(error, 0);
        let (answered, most) = (Cell::new(false), Cell::new(0));
        let produced = async {
            for round in 0..2 {
                let records = batch(&[&format!("value-{round}")], Compression::None);
                let answer = wire.ask(9, &to_all(&records)).await;
                let parts = &answer.responses[0].partition_responses;
                assert_eq!(parts.len(), 1000);
                assert!(parts.iter().all(|part| part.error_code == 0 && part.base_offset == round));
            }
            answered.set(true);
        };
        let watched = async {
            loop {
                most.set(open_below(root.path()).max(most.get()));
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
            }
        };
        race(produced, watched).await;
        assert!(answered.get() && most.get() <= POOL + BESIDE, "{} files open", most.get());
        for partition in [0, 499, 999] {
            let answer = wire.ask(17, &fetch("t", id, 17, partition, 0)).await;
            let records = answer.responses[0].partitions[0].records.as_ref().unwrap();
            assert_eq!(values(records), [(0, "value-0".to_owned()), (1, "value-1".to_owned())]);
        }
    });
    // The thread that syncs lets go of the last file after it has said so.
    for _ in 0..500 {
        if open_below(root.path()) == 0 {
            break;
        }
        #[expect(clippy::disallowed_methods, reason = "there is no reactor any more, and nothing to hear it by")]
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(open_below(root.path()), 0);
}
