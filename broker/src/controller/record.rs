//! The records of the metadata log, `__cluster_metadata-0`: what has been decided, in order.
//!
//! Several decided together are one record batch, so that a crash keeps all of them or none. Each is one JSON object:
//! metadata is small and rare, and a human can read the log.

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::partition::{PartitionDelta, PartitionState};
use crate::ids::{BrokerEpoch, LeaderEpoch, NodeId};

/// The identity of the metadata log, as Kafka fixes it.
pub const METADATA_ID: TopicId = TopicId(Uuid::from_u128(1));

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

/// Tells one start of a broker from the next: drawn at each (KIP-631).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Incarnation(pub Uuid);

impl Incarnation {
    /// A random (version 4) id out of two draws.
    pub fn draw(draw: impl FnMut() -> u64) -> Self {
        Self(TopicId::draw(draw).0)
    }
}

impl From<Incarnation> for String {
    fn from(id: Incarnation) -> Self {
        id.0.to_string()
    }
}

impl TryFrom<String> for Incarnation {
    type Error = uuid::Error;

    fn try_from(text: String) -> Result<Self, uuid::Error> {
        Uuid::try_parse(&text).map(Self)
    }
}

/// A voter of the metadata quorum.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voter {
    /// Which.
    pub node: NodeId,
    /// Where the others find it, as `host:port`.
    pub address: String,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum MetadataRecord {
    /// A node leads the metadata quorum from here on: nothing older commits before this (KIP-595's LeaderChange).
    Leader {
        /// Which.
        node: NodeId,
        /// In which epoch.
        epoch: LeaderEpoch,
    },
    /// Who votes on metadata from here on, committed or not (KIP-853's VotersRecord).
    Voters {
        /// All of them.
        voters: Vec<Voter>,
    },
    /// A broker has started, or says anew where it is.
    RegisterBroker {
        /// Which.
        node: NodeId,
        /// Which start of it.
        incarnation: Incarnation,
        /// Its broker epoch: the offset of this record, unless the incarnation was registered before.
        epoch: BrokerEpoch,
        /// Where clients and other brokers find it.
        host: String,
        /// And on which port.
        port: u16,
        /// `broker.rack`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rack: Option<String>,
        /// Whether it may lead and be in sync nowhere, for now.
        fenced: bool,
    },
    /// A broker is fenced, or no more, or shuts down.
    BrokerChange {
        /// Which.
        node: NodeId,
        /// Which start of it: another's record changes nothing.
        epoch: BrokerEpoch,
        /// Whether it is fenced now, if that changes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fenced: Option<bool>,
        /// Whether it is on its way out (`inControlledShutdown`), if that changes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shutting_down: Option<bool>,
    },
    /// A broker is gone for good.
    UnregisterBroker {
        /// Which.
        node: NodeId,
        /// Which start of it: another's record changes nothing.
        epoch: BrokerEpoch,
    },
    /// A topic exists, without partitions.
    Topic {
        /// Its identity.
        id: TopicId,
        /// Its name.
        name: String,
    },
    /// A topic has a partition in this state: one more, or one that it had.
    Partition {
        /// Of which topic.
        topic: TopicId,
        /// Its number: at most how many there were.
        partition: i32,
        /// All of its state.
        state: PartitionState,
    },
    /// A partition's state is another.
    PartitionChange {
        /// Of which topic.
        topic: TopicId,
        /// Its number.
        partition: i32,
        /// What changes.
        change: PartitionDelta,
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
    /// A broker has taken producer ids (KIP-730): whoever asks next gets `next` and above.
    ProducerIds {
        /// Who took them.
        node: NodeId,
        /// Its broker epoch; -1 if it has none.
        epoch: BrokerEpoch,
        /// The first id nobody has.
        next: i64,
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
