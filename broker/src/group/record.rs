//! The records of `__consumer_offsets`, in Kafka's own formats: `OffsetCommitKey` 1, `OffsetCommitValue` 3,
//! `GroupMetadataKey` 2, `GroupMetadataValue` 3 (`group-coordinator/src/main/resources/common/message`), so that tools which
//! read that topic read this one; those of the newer protocol are in [`entry`](super::consumer::entry). Older values are
//! understood; keys of kinds not known are passed over.

use bytes::{BufMut, Bytes};
use kafka_protocol::protocol::StrBytes;

use super::consumer::entry::Entry;
use super::member::Member;
use crate::ids::{LeaderEpoch, Offset, Timestamp, TopicPartition};

const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;
const OFFSET_VALUE: i16 = 3;
const GROUP_VALUE: i16 = 3;

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to be consumed.
    pub offset: Offset,
    /// The leader epoch of the last record consumed (KIP-320); -1: not known.
    pub leader_epoch: LeaderEpoch,
    /// The client's own words, kept as they came.
    pub metadata: StrBytes,
    /// When it was committed, by the coordinator's wall clock.
    pub at: Timestamp,
}

/// A group's generation, as the leader of the group had it assigned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generation {
    /// `consumer`, or whatever its members call themselves; empty: none.
    pub protocol_type: StrBytes,
    /// Counts the rebalances.
    pub generation: i32,
    /// The protocol all members agreed on.
    pub protocol: Option<StrBytes>,
    /// The member that assigns.
    pub leader: Option<StrBytes>,
    /// When the group came into its state; -1: not known.
    pub since: Timestamp,
    /// Its members.
    pub members: Vec<Member>,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A group has consumed up to there; `None`: that is forgotten.
    Offset {
        /// The group.
        group: StrBytes,
        /// Of which partition.
        tp: TopicPartition,
        /// How far.
        committed: Option<Committed>,
    },
    /// A group's generation; `None`: the group is gone.
    Group {
        /// The group.
        group: StrBytes,
        /// What it is now.
        generation: Option<Generation>,
    },
    /// Something of a group of the newer protocol.
    Consumer {
        /// The group.
        group: StrBytes,
        /// What.
        entry: Entry,
    },
}

impl Record {
    /// Its group.
    pub fn group(&self) -> &StrBytes {
        match self {
            Record::Offset { group, .. } | Record::Group { group, .. } | Record::Consumer { group, .. } => group,
        }
    }

    /// Its key and value; no value is a tombstone.
    pub fn encode(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        let mut key = Vec::new();
        match self {
            Record::Offset { group, tp, committed } => {
                key.put_i16(OFFSET_KEY);
                put_text(&mut key, group);
                put_text(&mut key, &tp.topic);
                key.put_i32(tp.partition);
                (key, committed.as_ref().map(encode_offset))
            }
            Record::Group { group, generation } => {
                key.put_i16(GROUP_KEY);
                put_text(&mut key, group);
                (key, generation.as_ref().map(encode_generation))
            }
            Record::Consumer { group, entry } => entry.encode(group),
        }
    }

    /// Reads a record of the internal topic. `None`: of another kind, or malformed.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Option<Self> {
        let mut key = Cursor(key);
        let kind = key.i16()?;
        let group = key.text()?;
        match kind {
            0 | OFFSET_KEY => {
                let tp = TopicPartition::new(&*key.text()?, key.i32()?);
                let committed = value.map(|value| decode_offset(&mut Cursor(value)).ok_or(())).transpose().ok()?;
                Some(Record::Offset { group, tp, committed })
            }
            GROUP_KEY => {
                let generation = value.map(|value| decode_generation(&mut Cursor(value)).ok_or(())).transpose().ok()?;
                Some(Record::Group { group, generation })
            }
            _ => Entry::decode(kind, &mut key, value).map(|entry| Record::Consumer { group, entry }),
        }
    }
}

fn encode_offset(committed: &Committed) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_i16(OFFSET_VALUE);
    out.put_i64(committed.offset);
    out.put_i32(committed.leader_epoch);
    put_text(&mut out, &committed.metadata);
    out.put_i64(committed.at);
    out
}

fn decode_offset(value: &mut Cursor<'_>) -> Option<Committed> {
    let version = value.i16().filter(|version| (0..=OFFSET_VALUE).contains(version))?;
    let offset = value.i64()?;
    let leader_epoch = if version == 3 { value.i32()? } else { -1 };
    Some(Committed { offset, leader_epoch, metadata: value.text()?, at: value.i64()? })
}

fn encode_generation(generation: &Generation) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_i16(GROUP_VALUE);
    put_text(&mut out, &generation.protocol_type);
    out.put_i32(generation.generation);
    put_nullable(&mut out, generation.protocol.as_deref());
    put_nullable(&mut out, generation.leader.as_deref());
    out.put_i64(generation.since);
    out.put_i32(i32::try_from(generation.members.len()).unwrap_or(i32::MAX));
    for member in &generation.members {
        put_text(&mut out, &member.id);
        put_nullable(&mut out, member.instance.as_deref());
        put_text(&mut out, &member.client_id);
        put_text(&mut out, &member.client_host);
        out.put_i32(millis(member.rebalance_timeout));
        out.put_i32(millis(member.session_timeout));
        let metadata = generation.protocol.as_ref().and_then(|protocol| member.metadata(protocol));
        put_blob(&mut out, metadata.map_or(&[][..], |metadata| metadata));
        put_blob(&mut out, &member.assignment);
    }
    out
}

fn decode_generation(value: &mut Cursor<'_>) -> Option<Generation> {
    let version = value.i16().filter(|version| (0..=GROUP_VALUE).contains(version))?;
    let (protocol_type, generation) = (value.text()?, value.i32()?);
    let (protocol, leader) = (value.nullable()?, value.nullable()?);
    let since = if version >= 2 { value.i64()? } else { -1 };
    let mut members = Vec::new();
    for _ in 0..value.i32()? {
        let id = value.text()?;
        let instance = if version >= 3 { value.nullable()? } else { None };
        let (client_id, client_host) = (value.text()?, value.text()?);
        let rebalance = if version >= 1 { Some(value.duration()?) } else { None };
        let session_timeout = value.duration()?;
        let (metadata, assignment) = (value.blob()?, value.blob()?);
        members.push(Member {
            protocols: protocol.iter().map(|protocol| (protocol.clone(), metadata.clone())).collect(),
            rebalance_timeout: rebalance.unwrap_or(session_timeout),
            assignment,
            ..Member::new(id, instance, client_id, client_host, session_timeout)
        });
    }
    Some(Generation { protocol_type, generation, protocol, leader, since, members })
}

fn millis(duration: std::time::Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    // Longer ones cannot have come in: the bounds on requests see to it.
    out.put_i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
    out.put_slice(&text.as_bytes()[..text.len().min(i16::MAX as usize)]);
}

fn put_nullable(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => put_text(out, text),
        None => out.put_i16(-1),
    }
}

fn put_blob(out: &mut Vec<u8>, blob: &[u8]) {
    out.put_i32(i32::try_from(blob.len()).unwrap_or(i32::MAX));
    out.put_slice(blob);
}

/// Reads off the front, never past the end.
pub(super) struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    pub fn take(&mut self, size: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(size)?;
        self.0 = rest;
        Some(front)
    }

    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// An unsigned varint of 32 bits: a count, a size or a tag.
    pub fn count(&mut self) -> Option<usize> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(value).ok().map(|_| value);
            }
        }
        None
    }

    fn duration(&mut self) -> Option<std::time::Duration> {
        self.i32().map(|ms| std::time::Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
    }

    fn nullable(&mut self) -> Option<Option<StrBytes>> {
        match self.i16()? {
            -1 => Some(None),
            size => {
                let bytes = self.take(usize::try_from(size).ok()?)?;
                Some(Some(StrBytes::from_string(std::str::from_utf8(bytes).ok()?.to_owned())))
            }
        }
    }

    pub fn text(&mut self) -> Option<StrBytes> {
        self.nullable()?
    }

    fn blob(&mut self) -> Option<Bytes> {
        let size = usize::try_from(self.i32()?).ok()?;
        self.take(size).map(Bytes::copy_from_slice)
    }
}
