//! Snapshots: what is written is read, and nothing that is damaged is believed.

use bytes::Bytes;
use proptest::prelude::*;

use super::super::image::Image;
use super::super::partition::PartitionState;
use super::super::record::{MetadataRecord, Voter};
use super::super::snapshot::{decode, encode};
use super::plans::states;
use super::{broker, fold, id};
use crate::ids::NodeId;
use crate::quorum::OffsetAndEpoch;

fn end() -> OffsetAndEpoch {
    OffsetAndEpoch { offset: 77, epoch: 5 }
}

fn image() -> impl Strategy<Value = Image> {
    let brokers = prop::collection::btree_map(0..5i32, (any::<bool>(), any::<bool>(), prop::option::of("[a-c]")), 0..5);
    let configs = prop::collection::btree_map("[a-z.]{1,9}", "[ -~]{0,9}", 0..3);
    let topics = prop::collection::btree_map("[a-z]{1,3}", (configs, prop::collection::vec(states(), 0..4)), 0..5);
    (brokers, topics, 0..5000i64).prop_map(|(brokers, topics, next)| {
        let address = "host:9092".to_owned();
        let voters = brokers.keys().map(|node| Voter { node: NodeId(*node), address: address.clone() }).collect();
        let mut records = vec![MetadataRecord::Voters { voters }];
        for (node, (fenced, leaving, rack)) in brokers {
            records.push(broker(node, rack.as_deref(), fenced));
            let (node, epoch) = (NodeId(node), 100 + i64::from(node));
            records.push(MetadataRecord::BrokerChange { node, epoch, fenced: None, shutting_down: Some(leaving) });
        }
        for (at, (name, (configs, states))) in (1..).zip(topics) {
            let topic = id(at);
            records.push(MetadataRecord::Topic { id: topic, name });
            let settings =
                configs.into_iter().map(|(name, value)| MetadataRecord::Config { topic, name, value: Some(value) });
            records.extend(settings);
            let numbered = (0..).zip(states);
            records.extend(numbered.map(|(partition, state)| MetadataRecord::Partition { topic, partition, state }));
        }
        records.push(MetadataRecord::ProducerIds { node: NodeId(1), epoch: 101, next });
        fold(&records)
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(image in image()) {
        let bytes = Bytes::from(encode(&image, end()));
        prop_assert_eq!(decode(bytes), Ok((end(), image)));
    }

    #[test]
    fn no_bit_may_be_another(image in image(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut bytes = encode(&image, end());
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(decode(Bytes::from(bytes)).is_err(), "bit {} of byte {}", bit, at);
    }

    #[test]
    fn no_byte_may_be_missing_or_too_many(image in image(), at in any::<prop::sample::Index>()) {
        let whole = encode(&image, end());
        prop_assert!(decode(Bytes::copy_from_slice(&whole[..at.index(whole.len())])).is_err());
        prop_assert!(decode(Bytes::from([&whole[..], &whole[..]].concat())).is_err());
    }

    #[test]
    fn noise_does_no_harm(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(decode(Bytes::from(noise)).is_err());
    }
}

#[test]
fn many_records_are_many_batches() {
    let mut records = vec![MetadataRecord::Topic { id: id(1), name: "t".into() }];
    let replicas: Vec<NodeId> = (0..3).map(NodeId).collect();
    let state = PartitionState { replicas: replicas.clone(), in_sync: replicas, ..PartitionState::default() };
    records.extend((0..9000).map(|partition| MetadataRecord::Partition {
        topic: id(1),
        partition,
        state: state.clone(),
    }));
    let image = fold(&records);
    let bytes = Bytes::from(encode(&image, end()));
    assert!(bytes.len() > 2 << 20);
    assert_eq!(decode(bytes), Ok((end(), image)));
}
