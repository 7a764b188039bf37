//! The records of the metadata log, `__cluster_metadata-0`: what has been decided, in order.
//!
//! Several decided together are one record batch, so that a crash keeps all of them or none. Each is one JSON object:
//! metadata is small and rare, and a human can read the log.

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::ids::{BrokerEpoch, LeaderEpoch, NodeId};

/// The identity of the metadata log, as Kafka fixes it.
pub const METADATA_ID: TopicId = TopicId(Uuid::from_u128(1));

/// Stands for a leader where there is none, as in Kafka's messages.
pub const NO_LEADER: NodeId = NodeId(-1);

/// The topic that holds the metadata log. It is not listed, produced to or fetched by clients.
pub const METADATA_TOPIC: &str = "__cluster_metadata";

/// A topic's identity: another one after it is deleted and created again (KIP-516).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TopicId(pub Uuid);

impl TopicId {
    /// A random (version 4) id out of two draws.
    pub fn draw(mut draw: impl FnMut() -> u64) -> Self {
        let bits = (u128::from(draw()) << 64) | u128::from(draw());
        Self(uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid())
    }
}

impl From<TopicId> for String {
    fn from(id: TopicId) -> Self {
        id.0.to_string()
    }
}

impl TryFrom<String> for TopicId {
    type Error = uuid::Error;

    fn try_from(text: String) -> Result<Self, uuid::Error> {
        Uuid::try_parse(&text).map(Self)
    }
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum MetadataRecord {
    /// A node leads the metadata quorum from here on.
    Leader {
        /// Which.
        node: NodeId,
        /// In which epoch.
        epoch: LeaderEpoch,
    },
    /// A broker has joined, fenced for now.
    RegisterBroker {
        /// Which.
        node: NodeId,
        /// Tells its processes apart.
        incarnation: Uuid,
        /// Its registration: the offset of this record.
        epoch: BrokerEpoch,
        /// Where it listens.
        host: String,
        /// And on which port.
        port: u16,
        /// Its rack.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rack: Option<String>,
    },
    /// A broker's standing has changed.
    BrokerChange {
        /// Which.
        node: NodeId,
        /// Of which registration.
        epoch: BrokerEpoch,
        /// Whether it may not lead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fenced: Option<bool>,
        /// Whether it is about to shut down.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shutting_down: Option<bool>,
    },
    /// A topic exists, without partitions.
    Topic {
        /// Its identity.
        id: TopicId,
        /// Its name.
        name: String,
    },
    /// A topic has one partition more.
    Partition {
        /// Of which topic.
        topic: TopicId,
        /// Its number: how many there were.
        partition: i32,
        /// Who has it, the preferred leader first.
        replicas: Vec<NodeId>,
        /// Who has all that is committed.
        in_sync: Vec<NodeId>,
        /// Who leads it in epoch 0; [`NO_LEADER`]: nobody.
        leader: NodeId,
    },
    /// A partition's state has changed. What is absent is as before.
    PartitionChange {
        /// Of which topic.
        topic: TopicId,
        /// Its number.
        partition: i32,
        /// Who leads from now on, in the next epoch; [`NO_LEADER`]: nobody.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leader: Option<NodeId>,
        /// Who is in sync from now on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        in_sync: Option<Vec<NodeId>>,
    },
    /// A block of producer ids is given to a broker.
    ProducerIds {
        /// To whom.
        node: NodeId,
        /// Of which registration.
        epoch: BrokerEpoch,
        /// The first id that is free now.
        next: i64,
    },
    /// A topic's setting.
    Config {
        /// Of which topic.
        topic: TopicId,
        /// Kafka's name of it.
        name: String,
        /// Its value; `None`: the default again.
        value: Option<String>,
    },
    /// A topic and all that belongs to it is gone.
    Removed {
        /// Which.
        topic: TopicId,
    },
}

/// A record of the log that is not understood: a newer broker's, or damaged within a valid batch.
#[derive(Debug, thiserror::Error)]
#[error("not a metadata record: {0}")]
pub struct BadRecord(#[from] serde_json::Error);

impl MetadataRecord {
    /// Its bytes, as a record's value.
    ///
    /// # Panics
    /// Never: it holds no map with keys that are not text.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a metadata record is JSON")
    }

    /// The record with these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadRecord> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

/// Text as the protocol crate takes it.
pub fn text(from: &str) -> StrBytes {
    StrBytes::try_from(Bytes::copy_from_slice(from.as_bytes())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_random_uuids_of_version_four() {
        let id = TopicId::draw(|| 0xffff_ffff_ffff_ffff);
        assert_eq!(String::from(id), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(TopicId::try_from(String::from(id)).unwrap(), id);
    }

    #[test]
    fn records_read_as_a_human_would_write_them() {
        let record = MetadataRecord::Config {
            topic: TopicId::draw(|| 0),
            name: "retention.ms".into(),
            value: Some("1000".into()),
        };
        let bytes = record.to_bytes();
        insta::assert_snapshot!(
            String::from_utf8(bytes.clone()).unwrap(),
            @r#"{"type":"config","topic":"00000000-0000-4000-8000-000000000000","name":"retention.ms","value":"1000"}"#
        );
        assert_eq!(MetadataRecord::from_bytes(&bytes).unwrap(), record);
        assert!(MetadataRecord::from_bytes(br#"{"type":"vote"}"#).is_err());
    }
}
