//! A compacted topic, over the wire.

use kafka_protocol::messages::*;

use super::produce_fetch::{create, fetch, produce, values};
use crate::config::{BrokerConfig, CleanupPolicy, FlushPolicy, LogConfig};
use crate::fact::Fact;
use crate::node::testing::*;
use crate::record::{BatchBuilder, Compression};

fn keyed(key: &str, value: &str) -> bytes::Bytes {
    let mut builder = BatchBuilder::new();
    builder.append(1, Some(key.as_bytes()), Some(value.as_bytes()), std::iter::empty::<(&str, Option<&str>)>());
    builder.finish(Compression::None)
}

fn config() -> BrokerConfig {
    let broker = settings(FlushPolicy::Always);
    let log = LogConfig {
        cleanup: CleanupPolicy::Compact,
        segment_bytes: 400,
        min_cleanable_dirty_millionths: 0,
        ..broker.log.clone()
    };
    BrokerConfig { log, cleaner_backoff: std::time::Duration::from_millis(1), ..broker }
}

#[test]
fn of_each_key_the_latest_is_served_after_a_while_and_after_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let (id, facts) = with_broker(root.path(), config(), async |mut wire| {
        let (_, id) = create(&mut wire, "t", 1).await;
        let error = |r: ProduceResponse| r.responses[0].partition_responses[0].error_code;
        let keyless = produce("t", id, 9, 0, -1, batch(&["without a key"], Compression::None));
        assert_eq!(error(wire.ask(9, &keyless).await), 87);
        assert_eq!(error(wire.ask(9, &produce("t", id, 9, 0, -1, keyed("once", "kept"))).await), 0);
        // Each request is a turn for the cleaner, too.
        for at in 0..5000 {
            assert_eq!(error(wire.ask(9, &produce("t", id, 9, 0, -1, keyed("k", &at.to_string()))).await), 0);
            let response = wire.ask(12, &fetch("t", id, 12, 0, 0)).await;
            let found = values(response.responses[0].partitions[0].records.as_ref().unwrap());
            assert_eq!(found[0], (0, "kept".to_string()));
            if found.get(1).is_some_and(|(offset, _)| *offset > 1) || (found.len() == 1 && at > 0) {
                return id;
            }
        }
        panic!("nothing is compacted");
    });
    assert!(facts.iter().any(|fact| matches!(fact, Fact::Cleaned { records, .. } if *records > 0)));
    with_broker(root.path(), config(), async |mut wire| {
        let response = wire.ask(12, &fetch("t", id, 12, 0, 0)).await;
        let found = values(response.responses[0].partitions[0].records.as_ref().unwrap());
        assert_eq!(found[0], (0, "kept".to_string()));
    });
}
