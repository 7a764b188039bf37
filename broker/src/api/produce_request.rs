//! A produce request read in place: where its record batches lie in the frame, so that they can be appended from there,
//! with base offset and epoch set in place. The protocol crate would give them out shared, not to be written to.

use std::ops::Range;

use uuid::Uuid;

use crate::wire::guard::RequestHead;
use crate::wire::layout::PRODUCE;

/// A produce request. Ranges are of the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Produce {
    /// Whether it names a transaction.
    pub transactional: bool,
    /// 0, 1 or -1.
    pub acks: i16,
    /// How long to wait for the acknowledgement, in milliseconds.
    pub timeout_ms: i32,
    /// Its topics.
    pub topics: Vec<ProduceTopic>,
}

/// A topic's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProduceTopic {
    /// Its name, up to version 12.
    pub name: Range<usize>,
    /// Its identity, from version 13 on.
    pub id: Uuid,
    /// (partition, its batches; `None` if null).
    pub partitions: Vec<(i32, Option<Range<usize>>)>,
}

impl Produce {
    /// Reads the request whose body starts at `body`. `None` only for a frame that was not bounded before.
    pub fn parse(head: RequestHead, frame: &[u8], body: usize) -> Option<Self> {
        let (version, flexible) = (head.version, head.version >= PRODUCE.flexible);
        let mut at = Cursor { frame, at: body, flexible };
        let transactional = version >= 3 && at.text()?.is_some();
        let acks = i16::from_be_bytes(at.take()?);
        let timeout_ms = i32::from_be_bytes(at.take()?);
        let count = at.length(true)?.unwrap_or(0);
        let mut topics = Vec::with_capacity(count.min(frame.len()));
        for _ in 0..count {
            let named = version <= 12;
            let name = if named { at.text()?.unwrap_or(0..0) } else { 0..0 };
            let id = if named { Uuid::nil() } else { Uuid::from_bytes(at.take()?) };
            let partitions = at.partitions()?;
            at.tags()?;
            topics.push(ProduceTopic { name, id, partitions });
        }
        at.tags()?;
        Some(Self { transactional, acks, timeout_ms, topics })
    }
}

struct Cursor<'a> {
    frame: &'a [u8],
    at: usize,
    flexible: bool,
}

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = self.frame.get(self.at..)?.first_chunk()?;
        self.at += N;
        Some(*bytes)
    }

    fn varint(&mut self) -> Option<u32> {
        let mut value = 0;
        for shift in (0..32).step_by(7) {
            let [byte] = self.take()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// A length or count; `Some(None)` for null.
    fn length(&mut self, wide: bool) -> Option<Option<usize>> {
        let length = match (self.flexible, wide) {
            (true, _) => i64::from(self.varint()?) - 1,
            (false, true) => i64::from(i32::from_be_bytes(self.take()?)),
            (false, false) => i64::from(i16::from_be_bytes(self.take()?)),
        };
        Some(usize::try_from(length).ok())
    }

    fn span(&mut self, length: Option<usize>) -> Option<Option<Range<usize>>> {
        let Some(length) = length else { return Some(None) };
        let range = self.at..self.at.checked_add(length).filter(|end| *end <= self.frame.len())?;
        self.at = range.end;
        Some(Some(range))
    }

    fn text(&mut self) -> Option<Option<Range<usize>>> {
        let length = self.length(false)?;
        self.span(length)
    }

    fn partitions(&mut self) -> Option<Vec<(i32, Option<Range<usize>>)>> {
        let count = self.length(true)?.unwrap_or(0);
        let mut partitions = Vec::with_capacity(count.min(self.frame.len()));
        for _ in 0..count {
            let index = i32::from_be_bytes(self.take()?);
            let length = self.length(true)?;
            partitions.push((index, self.span(length)?));
            self.tags()?;
        }
        Some(partitions)
    }

    fn tags(&mut self) -> Option<()> {
        if !self.flexible {
            return Some(());
        }
        for _ in 0..self.varint()? {
            self.varint()?;
            let size = usize::try_from(self.varint()?).ok()?;
            self.span(Some(size))?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
    use kafka_protocol::messages::{ProduceRequest, TopicName};
    use kafka_protocol::protocol::Encodable;
    use proptest::prelude::*;

    use super::*;
    use crate::controller::record::text;

    type Topic = (String, u128, Vec<(i32, Option<Vec<u8>>)>);

    fn topics() -> impl Strategy<Value = Vec<Topic>> {
        let records = prop::option::of(prop::collection::vec(any::<u8>(), 0..200));
        let partitions = prop::collection::vec((any::<i32>(), records), 0..4);
        prop::collection::vec(("[a-z]{0,20}", any::<u128>(), partitions), 0..4)
    }

    proptest! {
        #[test]
        fn reads_what_the_crate_writes(
            topics in topics(), acks in -1i16..2, timeout in any::<i32>(), txn in any::<bool>(), version in 3i16..=13,
        ) {
            let data = topics.iter().map(|(name, id, partitions)| {
                let partitions = partitions.iter().map(|(index, records)| PartitionProduceData::default()
                    .with_index(*index).with_records(records.clone().map(Bytes::from)));
                let topic = TopicProduceData::default().with_partition_data(partitions.collect());
                if version <= 12 { topic.with_name(TopicName(text(name))) } else { topic.with_topic_id(Uuid::from_u128(*id)) }
            });
            let request = ProduceRequest::default().with_acks(acks).with_timeout_ms(timeout)
                .with_transactional_id(txn.then(|| text("t").into())).with_topic_data(data.collect());
            let mut frame = BytesMut::from(&b"header"[..]);
            request.encode(&mut frame, version).unwrap();
            let head = RequestHead { key: 0, version, correlation: 0 };
            let read = Produce::parse(head, &frame, 6).unwrap();
            prop_assert_eq!((read.acks, read.timeout_ms, read.transactional), (acks, timeout, txn));
            prop_assert_eq!(read.topics.len(), topics.len());
            for (read, (name, id, partitions)) in read.topics.iter().zip(&topics) {
                if version <= 12 {
                    prop_assert_eq!(&frame[read.name.clone()], name.as_bytes());
                } else {
                    prop_assert_eq!(read.id, Uuid::from_u128(*id));
                }
                let got: Vec<_> = read.partitions.iter()
                    .map(|(index, range)| (*index, range.clone().map(|range| frame[range].to_vec()))).collect();
                prop_assert_eq!(&got, partitions);
            }
        }

        #[test]
        fn noise_is_no_danger(frame in prop::collection::vec(any::<u8>(), 0..200), version in 0i16..=13) {
            let _ = Produce::parse(RequestHead { key: 0, version, correlation: 0 }, &frame, 0);
        }
    }
}
