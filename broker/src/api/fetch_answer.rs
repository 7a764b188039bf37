//! A fetch response written by hand around the log's bytes: the batches go from where they were read to the socket
//! without being copied into a message.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::{Answer, begin_frame, frame_length};
use crate::ids::{LeaderEpoch, Offset};
use crate::wire::guard::RequestHead;

/// The first version with compact lengths and tagged fields.
const FLEXIBLE: i16 = 12;
/// The first version that names topics by identity.
const BY_ID: i16 = 13;
/// Batches up to this size are copied: cheaper than one more part.
const COPIED: usize = 4096;

/// One partition's part of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedPartition {
    /// Its number.
    pub index: i32,
    /// Kafka's error code, or 0.
    pub error: i16,
    /// High watermark; -1 if unknown.
    pub high: Offset,
    /// Last stable offset; -1 if unknown.
    pub stable: Offset,
    /// First offset kept; -1 if unknown.
    pub log_start: Offset,
    /// Whole batches, as they were read: one piece for each segment they came from.
    pub records: Vec<Bytes>,
    /// Where a follower's log parts from this one: an epoch, and where it ended (KIP-595). From version 12 on.
    pub diverging: Option<(LeaderEpoch, Offset)>,
    /// From whom the consumer should rather read; -1: from here (KIP-392). From version 11 on.
    pub preferred: i32,
}

impl Default for FetchedPartition {
    fn default() -> Self {
        Self::refused(0)
    }
}

impl FetchedPartition {
    /// Nothing but an error code.
    pub fn refused(error: i16) -> Self {
        let (index, records) = (0, Vec::new());
        Self { index, error, high: -1, stable: -1, log_start: -1, records, diverging: None, preferred: -1 }
    }

    /// Bytes of batches.
    pub fn size(&self) -> usize {
        self.records.iter().map(Bytes::len).sum()
    }
}

/// One topic's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedTopic {
    /// As asked for, up to version 12.
    pub name: StrBytes,
    /// As asked for, from version 13 on.
    pub id: Uuid,
    /// In the order asked for.
    pub partitions: Vec<FetchedPartition>,
}

/// The framed response; `error` is of the whole request, `session` the fetch session's id, or 0.
pub fn write(head: RequestHead, error: i16, session: i32, topics: &[FetchedTopic]) -> Answer {
    let flexible = head.version >= FLEXIBLE;
    let mut out = Out { parts: Vec::new(), tail: begin_frame(head, flexible), flexible };
    out.tail.put_i32(0);
    if head.version >= 7 {
        out.tail.put_i16(error);
        // Without a session the next fetch is to be a full one again (KIP-227).
        out.tail.put_i32(session);
    }
    out.count(topics.len());
    for topic in topics {
        if head.version >= BY_ID {
            out.tail.put_slice(topic.id.as_bytes());
        } else {
            out.text(&topic.name);
        }
        out.count(topic.partitions.len());
        topic.partitions.iter().for_each(|partition| out.partition(head.version, partition));
        out.no_tags();
    }
    out.no_tags();
    out.finish()
}

struct Out {
    parts: Vec<Bytes>,
    tail: BytesMut,
    flexible: bool,
}

impl Out {
    fn varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.tail.put_u8(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.tail.put_u8(value.to_le_bytes()[0]);
    }

    /// A count, or a length of bytes.
    fn count(&mut self, count: usize) {
        if self.flexible {
            self.varint(count + 1);
        } else {
            self.tail.put_i32(i32::try_from(count).unwrap_or(i32::MAX));
        }
    }

    fn text(&mut self, text: &str) {
        if self.flexible {
            self.varint(text.len() + 1);
        } else {
            self.tail.put_i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
        }
        self.tail.put_slice(text.as_bytes());
    }

    fn no_tags(&mut self) {
        if self.flexible {
            self.tail.put_u8(0);
        }
    }

    fn partition(&mut self, version: i16, partition: &FetchedPartition) {
        self.tail.put_i32(partition.index);
        self.tail.put_i16(partition.error);
        self.tail.put_i64(partition.high);
        self.tail.put_i64(partition.stable);
        if version >= 5 {
            self.tail.put_i64(partition.log_start);
        }
        // Aborted transactions: none, as there are no transactions.
        self.count(0);
        if version >= 11 {
            self.tail.put_i32(partition.preferred);
        }
        self.count(partition.size());
        for records in &partition.records {
            if records.len() <= COPIED {
                self.tail.put_slice(records);
            } else {
                self.parts.push(self.tail.split().freeze());
                self.parts.push(records.clone());
            }
        }
        match partition.diverging {
            Some((epoch, end)) if self.flexible => {
                // One tagged field: number 0, of 13 bytes, its own tagged fields included.
                self.tail.put_slice(&[1, 0, 13]);
                self.tail.put_i32(epoch);
                self.tail.put_i64(end);
                self.tail.put_u8(0);
            }
            _ => self.no_tags(),
        }
    }

    fn finish(mut self) -> Answer {
        let size = self.tail.len() + self.parts.iter().map(Bytes::len).sum::<usize>();
        let Some(length) = frame_length(size) else { return Answer::Close };
        match self.parts.first_mut() {
            Some(first) => {
                let mut patched = BytesMut::from(std::mem::take(first));
                patched[..4].copy_from_slice(&length);
                *first = patched.freeze();
                self.parts.push(self.tail.freeze());
            }
            None => {
                self.tail[..4].copy_from_slice(&length);
                self.parts.push(self.tail.freeze());
            }
        }
        Answer::Parts(self.parts)
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::{FetchResponse, ResponseHeader};
    use kafka_protocol::protocol::{Decodable, HeaderVersion};
    use proptest::prelude::*;

    use super::*;
    use crate::controller::record::text;

    fn partition() -> impl Strategy<Value = FetchedPartition> {
        let diverging = prop::option::of((0i32..9, 0i64..99));
        let records = prop::collection::vec(any::<u8>(), 0..6000);
        let offsets = any::<(i64, i64, i64)>();
        (any::<i32>(), any::<i16>(), offsets, records, diverging, -1i32..9).prop_map(
            |(index, error, (high, stable, log_start), records, diverging, preferred)| {
                let records = records.chunks(4500).map(Bytes::copy_from_slice).collect();
                FetchedPartition { index, error, high, stable, log_start, records, diverging, preferred }
            },
        )
    }

    fn topic() -> impl Strategy<Value = FetchedTopic> {
        ("[a-z]{1,9}", any::<u128>(), prop::collection::vec(partition(), 0..3))
            .prop_map(|(name, id, partitions)| FetchedTopic { name: text(&name), id: Uuid::from_u128(id), partitions })
    }

    proptest! {
        #[test]
        fn the_crate_reads_what_is_written(
            topics in prop::collection::vec(topic(), 0..3), error in any::<i16>(), session in 0i32.., version in 4i16..=17,
        ) {
            let head = RequestHead { key: 1, version, correlation: 77 };
            let Answer::Parts(parts) = write(head, error, session, &topics) else { panic!("no answer") };
            let mut frame = Bytes::from(parts.concat());
            prop_assert_eq!(i32::from_be_bytes(frame[..4].try_into().unwrap()), i32::try_from(frame.len()).unwrap() - 4);
            let _ = frame.split_to(4);
            let header = ResponseHeader::decode(&mut frame, FetchResponse::header_version(version)).unwrap();
            let read = FetchResponse::decode(&mut frame, version).unwrap();
            prop_assert!(frame.is_empty());
            prop_assert_eq!(header.correlation_id, 77);
            prop_assert_eq!(read.error_code, if version >= 7 { error } else { 0 });
            prop_assert_eq!(read.session_id, if version >= 7 { session } else { 0 });
            prop_assert_eq!(read.responses.len(), topics.len());
            for (read, topic) in read.responses.iter().zip(&topics) {
                let same = if version >= 13 { read.topic_id == topic.id } else { read.topic.0 == topic.name };
                prop_assert!(same);
                let got: Vec<_> = read.partitions.iter().map(|p| FetchedPartition {
                    index: p.partition_index,
                    error: p.error_code,
                    high: p.high_watermark,
                    stable: p.last_stable_offset,
                    log_start: if version >= 5 { p.log_start_offset } else { topic.partitions[0].log_start },
                    records: p.records.clone().unwrap().chunks(4500).map(Bytes::copy_from_slice).collect(),
                    diverging: Some((p.diverging_epoch.epoch, p.diverging_epoch.end_offset)).filter(|d| d.0 >= 0),
                    preferred: p.preferred_read_replica.0,
                }).collect();
                let mut expected = topic.partitions.clone();
                if version < 12 {
                    expected.iter_mut().for_each(|p| p.diverging = None);
                }
                if version < 11 {
                    expected.iter_mut().for_each(|p| p.preferred = -1);
                }
                if version < 5 {
                    expected.iter_mut().for_each(|p| p.log_start = topic.partitions[0].log_start);
                }
                prop_assert_eq!(got, expected);
            }
        }
    }
}
