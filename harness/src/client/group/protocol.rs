//! What members of a group tell each other through the coordinator, which does not read it: subscriptions and
//! assignments of the `consumer` protocol type (`ConsumerProtocolSubscription.json`, `ConsumerProtocolAssignment.json`).
//!
//! Read by hand and bounded by the bytes that are there: it comes from other clients, and a newer version may carry
//! more at the end, which is not looked at (as the Kafka client does it).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use broker::ids::TopicPartition;
use bytes::{BufMut, Bytes, BytesMut};

/// The version written.
const VERSION: i16 = 3;

/// What a member wants and has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The topics it wants.
    pub topics: BTreeSet<Arc<str>>,
    /// For its assignor; see [`OwnedBefore`].
    pub user_data: Option<Bytes>,
    /// What it owns (KIP-429); empty under an eager protocol.
    pub owned: BTreeSet<TopicPartition>,
    /// The generation in which it was given that; -1 if unknown.
    pub generation: i32,
    /// Its rack.
    pub rack: Option<String>,
}

/// What a member is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// Its partitions.
    pub partitions: BTreeSet<TopicPartition>,
}

/// What a member of the eager sticky assignor had before it gave it up (`StickyAssignorUserData` v1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedBefore {
    /// Its partitions then.
    pub partitions: BTreeSet<TopicPartition>,
    /// The generation then; -1 if unknown.
    pub generation: i32,
}

impl Subscription {
    /// As bytes, version first.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_i16(VERSION);
        put_count(&mut out, self.topics.len());
        for topic in &self.topics {
            put_text(&mut out, topic);
        }
        put_blob(&mut out, self.user_data.as_deref());
        put_partitions(&mut out, &self.owned);
        out.put_i32(self.generation);
        match &self.rack {
            Some(rack) => put_text(&mut out, rack),
            None => out.put_i16(-1),
        }
        out.freeze()
    }

    /// From bytes; `None` if they are none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        let version = from.i16().filter(|version| *version >= 0)?;
        let topics = from.list(Reader::text)?.into_iter().collect();
        let user_data = from.blob()?.map(Bytes::copy_from_slice);
        let mut read = Self { topics, user_data, owned: BTreeSet::new(), generation: -1, rack: None };
        if version >= 1 {
            read.owned = from.partitions()?;
        }
        if version >= 2 {
            read.generation = from.i32()?;
        }
        if version >= 3 {
            read.rack = from.nullable_text()?.map(str::to_owned);
        }
        Some(read)
    }
}

impl Assignment {
    /// As bytes, version first.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_i16(VERSION);
        put_partitions(&mut out, &self.partitions);
        put_blob(&mut out, None);
        out.freeze()
    }

    /// From bytes; `None` if they are none. No bytes at all are an empty assignment: so a coordinator answers a member
    /// to which the leader gave nothing.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let mut from = Reader(bytes);
        from.i16().filter(|version| *version >= 0)?;
        let partitions = from.partitions()?;
        from.blob()?;
        Some(Self { partitions })
    }
}

impl OwnedBefore {
    /// As bytes.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        put_partitions(&mut out, &self.partitions);
        out.put_i32(self.generation);
        out.freeze()
    }

    /// From bytes; `None` if they are none. Version 0 knows no generation.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        let partitions = from.partitions()?;
        let generation = if from.0.is_empty() { -1 } else { from.i32()? };
        Some(Self { partitions, generation })
    }
}

fn put_count(out: &mut BytesMut, count: usize) {
    out.put_i32(i32::try_from(count).unwrap_or(i32::MAX));
}

fn put_text(out: &mut BytesMut, text: &str) {
    let text = &text.as_bytes()[..text.len().min(i16::MAX as usize)];
    out.put_i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
    out.put_slice(text);
}

fn put_blob(out: &mut BytesMut, blob: Option<&[u8]>) {
    match blob {
        None => out.put_i32(-1),
        Some(blob) => {
            put_count(out, blob.len());
            out.put_slice(blob);
        }
    }
}

fn put_partitions(out: &mut BytesMut, partitions: &BTreeSet<TopicPartition>) {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for tp in partitions {
        topics.entry(&tp.topic).or_default().push(tp.partition);
    }
    put_count(out, topics.len());
    for (topic, numbers) in topics {
        put_text(out, topic);
        put_count(out, numbers.len());
        numbers.into_iter().for_each(|number| out.put_i32(number));
    }
}

/// What is left to read. Every step fails with `None` at the end of the bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn i16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn i32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn nullable_text(&mut self) -> Option<Option<&'a str>> {
        match self.i16()? {
            -1 => Some(None),
            length => Some(Some(str::from_utf8(self.take(usize::try_from(length).ok()?)?).ok()?)),
        }
    }

    fn text(&mut self) -> Option<Arc<str>> {
        Some(Arc::from(self.nullable_text()??))
    }

    fn blob(&mut self) -> Option<Option<&'a [u8]>> {
        match self.i32()? {
            -1 => Some(None),
            length => Some(Some(self.take(usize::try_from(length).ok()?)?)),
        }
    }

    /// A list; it grows with the elements read, whatever its count says.
    fn list<T>(&mut self, one: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = usize::try_from(self.i32()?).ok()?;
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(one(self)?);
        }
        Some(list)
    }

    fn partitions(&mut self) -> Option<BTreeSet<TopicPartition>> {
        let topics = self.list(|from| {
            let topic = from.text()?;
            Some((topic, from.list(Self::i32)?))
        })?;
        let each = |(topic, numbers): (Arc<str>, Vec<i32>)| {
            numbers.into_iter().map(move |number| TopicPartition::new(topic.clone(), number))
        };
        Some(topics.into_iter().flat_map(each).collect())
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::consumer_protocol_assignment::TopicPartition as TheirAssigned;
    use kafka_protocol::messages::consumer_protocol_subscription::TopicPartition as TheirOwned;
    use kafka_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicName};
    use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
    use proptest::prelude::*;

    use super::*;

    fn text(from: &str) -> StrBytes {
        StrBytes::from_string(from.to_owned())
    }

    fn set(of: &[(&str, i32)]) -> BTreeSet<TopicPartition> {
        of.iter().map(|(topic, number)| TopicPartition::new(*topic, *number)).collect()
    }

    /// The message as the crate that follows Kafka's schemas writes it.
    fn theirs(version: i16, message: &impl Encodable) -> Vec<u8> {
        let mut out = BytesMut::new();
        out.put_i16(version);
        message.encode(&mut out, version).unwrap();
        out.to_vec()
    }

    #[test]
    fn subscriptions_are_written_as_kafka_writes_them_and_read_in_every_version() {
        let owned = |topic: &str, of: &[i32]| {
            TheirOwned::default().with_topic(TopicName(text(topic))).with_partitions(of.to_vec())
        };
        let full = ConsumerProtocolSubscription::default()
            .with_topics(vec![text("a"), text("b")])
            .with_user_data(Some(Bytes::from("user")))
            .with_owned_partitions(vec![owned("a", &[0, 2]), owned("b", &[1])])
            .with_generation_id(7)
            .with_rack_id(Some(text("r")));
        let mut ours = Subscription {
            topics: ["a".into(), "b".into()].into(),
            user_data: Some(Bytes::from("user")),
            owned: set(&[("a", 0), ("a", 2), ("b", 1)]),
            generation: 7,
            rack: Some("r".into()),
        };
        assert_eq!(ours.encode(), theirs(3, &full));
        assert_eq!(Subscription::decode(&theirs(3, &full)), Some(ours.clone()));
        let full = full.with_rack_id(None);
        ours.rack = None;
        assert_eq!(ours.encode(), theirs(3, &full));
        assert_eq!(Subscription::decode(&theirs(2, &full)), Some(ours.clone()));
        ours.generation = -1;
        let full = full.with_generation_id(-1);
        assert_eq!(Subscription::decode(&theirs(1, &full)), Some(ours.clone()));
        ours.owned.clear();
        assert_eq!(Subscription::decode(&theirs(0, &full.with_owned_partitions(Vec::new()))), Some(ours.clone()));
        let mut newer = BytesMut::from(&ours.encode()[..]);
        newer[1] = 9;
        newer.put_slice(b"more");
        assert_eq!(Subscription::decode(&newer), Some(ours));
    }

    #[test]
    fn assignments_are_written_as_kafka_writes_them() {
        let given = TheirAssigned::default().with_topic(TopicName(text("a"))).with_partitions(vec![3, 5]);
        let full = ConsumerProtocolAssignment::default().with_assigned_partitions(vec![given]).with_user_data(None);
        let ours = Assignment { partitions: set(&[("a", 3), ("a", 5)]) };
        assert_eq!(ours.encode(), theirs(3, &full));
        let mut body = ours.encode().slice(2..);
        assert_eq!(ConsumerProtocolAssignment::decode(&mut body, 3).unwrap(), full);
        assert_eq!(Assignment::decode(&theirs(0, &full)), Some(ours));
        assert_eq!(Assignment::decode(&[]), Some(Assignment::default()));
    }

    #[test]
    fn what_was_owned_before_comes_back_and_knows_no_generation_in_version_0() {
        let mut before = OwnedBefore { partitions: set(&[("a", 1)]), generation: 4 };
        let bytes = before.encode();
        assert_eq!(OwnedBefore::decode(&bytes), Some(before.clone()));
        before.generation = -1;
        assert_eq!(OwnedBefore::decode(&bytes[..bytes.len() - 4]), Some(before));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = (Subscription::decode(&bytes), Assignment::decode(&bytes), OwnedBefore::decode(&bytes));
        }

        #[test]
        fn what_is_cut_short_is_nothing(cut in 0..40_usize) {
            let full = Subscription {
                topics: ["topic".into()].into(),
                user_data: Some(Bytes::from("user")),
                owned: set(&[("topic", 0)]),
                generation: 7,
                rack: None,
            }
            .encode();
            prop_assume!(cut < full.len());
            prop_assert_eq!(Subscription::decode(&full[..cut]), None);
        }
    }
}
