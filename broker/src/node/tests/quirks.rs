//! What other people's clients send, byte for byte, and Kafka accepts.

use kafka_protocol::messages::MetadataRequest;

use super::produce_fetch::create;
use crate::config::FlushPolicy;
use crate::node::testing::*;

/// librdkafka 2.16.1 asks for the metadata of all topics with three bytes after the last field.
#[test]
fn librdkafka_asks_for_all_topics_with_bytes_to_spare() {
    const CAPTURED: &[u8] =
        b"\x00\x00\x00\x19\x00\x03\x00\x0d\x00\x00\x00\x03\x00\x07rdkafka\x00\x00\x00\x00\x00\x01\x00\x00";
    let root = tempfile::tempdir().unwrap();
    with_broker(root.path(), settings(FlushPolicy::Never), |mut wire| async move {
        create(&mut wire, "here", 1).await;
        wire.send_raw(CAPTURED).await;
        let (correlation, answer) = wire.receive::<MetadataRequest>(13).await;
        assert_eq!((correlation, answer.topics.len()), (3, 1));
    });
}
