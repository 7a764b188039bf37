//! What the internal topic holds of a group of the newer protocol: `ConsumerGroupMetadata` (3), `...MemberMetadata` (5),
//! `...TargetAssignmentMetadata` (6), `...TargetAssignmentMember` (7), `...CurrentMemberAssignment` (8) and
//! `...RegularExpression` (16), each as a key and a value of version 0. Which of them are to be written follows from what is
//! otherwise than before, so nothing that is decided can be forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bytes::BufMut;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::{Parts, Peer, Progress, Resolved, Roster, Said, Standing, by_topic};
use crate::controller::record::{TopicId, text};
use crate::group::record::{Cursor, put_text};

const EPOCH: i16 = 3;
const MEMBER: i16 = 5;
const TARGET_EPOCH: i16 = 6;
const TARGET: i16 = 7;
const STANDING: i16 = 8;
const REGEX: i16 = 16;

/// One thing that is known of a group; `None`: no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Its epoch, and the hash over what it reads.
    Epoch(Option<(i32, i64)>),
    /// What a member says of itself.
    Member(StrBytes, Option<Said>),
    /// The epoch in which it was decided who is to have what.
    TargetEpoch(Option<i32>),
    /// What a member is to have.
    Target(StrBytes, Option<Parts>),
    /// Where a member stands.
    Standing(StrBytes, Option<Standing>),
    /// Which topics a regular expression stands for.
    Regex(StrBytes, Option<Resolved>),
}

impl Roster {
    /// What is to be written down when `self` becomes `after`.
    pub fn changes(&self, after: &Roster) -> Vec<Entry> {
        let mut entries = Vec::new();
        let absent = Rc::new(Peer::default());
        // In Kafka's order: who goes, who is there, what the group is, who is to have what, who has what.
        for id in self.members.keys().filter(|id| !after.members.contains_key(*id)) {
            entries.extend([
                Entry::Standing(id.clone(), None),
                Entry::Target(id.clone(), None),
                Entry::Member(id.clone(), None),
            ]);
        }
        let peers = || {
            let both = after.members.iter().map(|(id, peer)| (id, self.members.get(id), peer));
            both.filter(|(_, before, peer)| before.is_none_or(|before| !Rc::ptr_eq(before, peer)))
        };
        for (id, before, peer) in peers() {
            if before.is_none_or(|before| before.said != peer.said) {
                entries.push(Entry::Member(id.clone(), Some(peer.said.clone())));
            }
        }
        for regex in self.regexes.keys().filter(|regex| !after.regexes.contains_key(*regex)) {
            entries.push(Entry::Regex(regex.clone(), None));
        }
        for (regex, resolved) in after.regexes.iter().filter(|(regex, it)| self.regexes.get(*regex) != Some(it)) {
            entries.push(Entry::Regex(regex.clone(), Some(resolved.clone())));
        }
        if (self.epoch, self.hash) != (after.epoch, after.hash) {
            entries.push(Entry::Epoch(Some((after.epoch, after.hash))));
        }
        for (id, before, peer) in peers() {
            if before.is_none_or(|before| before.target != peer.target) {
                entries.push(Entry::Target(id.clone(), Some(peer.target.clone())));
            }
        }
        if self.assigned_epoch != after.assigned_epoch {
            entries.push(Entry::TargetEpoch(Some(after.assigned_epoch)));
        }
        for (id, before, peer) in peers() {
            if before.unwrap_or(&absent).standing != peer.standing {
                entries.push(Entry::Standing(id.clone(), Some(peer.standing.clone())));
            }
        }
        entries
    }

    /// What is to be written down when nothing is left of a group.
    pub fn end(&self) -> Vec<Entry> {
        let mut entries = self.changes(&Roster { members: BTreeMap::new(), regexes: BTreeMap::new(), ..self.clone() });
        entries.extend([Entry::TargetEpoch(None), Entry::Epoch(None)]);
        entries
    }

    fn peer(&mut self, id: StrBytes) -> &mut Peer {
        Rc::make_mut(self.members.entry(id).or_default())
    }

    /// Takes in what the log says. The entries of one group may come in any order: compaction keeps the last of each.
    pub fn load(&mut self, entry: Entry) {
        match entry {
            Entry::Epoch(it) => (self.epoch, self.hash) = it.unwrap_or_default(),
            Entry::TargetEpoch(it) => self.assigned_epoch = it.unwrap_or_default(),
            Entry::Member(id, None) => drop(self.members.remove(&id)),
            Entry::Member(id, Some(said)) => self.peer(id).said = said,
            Entry::Target(id, None) | Entry::Standing(id, None) if !self.members.contains_key(&id) => {}
            Entry::Target(id, it) => self.peer(id).target = it.unwrap_or_default(),
            Entry::Standing(id, it) => self.peer(id).standing = it.unwrap_or_default(),
            Entry::Regex(regex, None) => drop(self.regexes.remove(&regex)),
            Entry::Regex(regex, Some(it)) => drop(self.regexes.insert(regex, it)),
        }
    }
}

impl Entry {
    /// Whether it says that there is no more of something.
    pub fn is_end(&self) -> bool {
        match self {
            Entry::Epoch(it) => it.is_none(),
            Entry::Member(_, it) => it.is_none(),
            Entry::TargetEpoch(it) => it.is_none(),
            Entry::Target(_, it) => it.is_none(),
            Entry::Standing(_, it) => it.is_none(),
            Entry::Regex(_, it) => it.is_none(),
        }
    }

    /// Its key and value; no value is a tombstone.
    pub fn encode(&self, group: &str) -> (Vec<u8>, Option<Vec<u8>>) {
        let key = |kind: i16, part: Option<&StrBytes>| {
            let mut key = Vec::new();
            key.put_i16(kind);
            put_text(&mut key, group);
            part.into_iter().for_each(|part| put_text(&mut key, part));
            key
        };
        match self {
            Entry::Epoch(it) => (key(EPOCH, None), it.map(of_epoch)),
            Entry::Member(id, it) => (key(MEMBER, Some(id)), it.as_ref().map(|said| value(|out| put_said(out, said)))),
            Entry::TargetEpoch(it) => (key(TARGET_EPOCH, None), it.map(|epoch| value(|out| out.put_i32(epoch)))),
            Entry::Target(id, it) => {
                (key(TARGET, Some(id)), it.as_ref().map(|parts| value(|out| put_parts(out, parts))))
            }
            Entry::Standing(id, it) => {
                (key(STANDING, Some(id)), it.as_ref().map(|it| value(|out| put_standing(out, it))))
            }
            Entry::Regex(regex, it) => {
                (key(REGEX, Some(regex)), it.as_ref().map(|it| value(|out| put_resolved(out, it))))
            }
        }
    }

    /// Reads a record whose key is of that kind, after the group's name. `None`: of another kind, or malformed.
    pub(in crate::group) fn decode(kind: i16, key: &mut Cursor<'_>, value: Option<&[u8]>) -> Option<Self> {
        Some(match kind {
            EPOCH => Entry::Epoch(taken(value, take_epoch)?),
            MEMBER => Entry::Member(key.text()?, taken(value, take_said)?),
            TARGET_EPOCH => Entry::TargetEpoch(taken(value, Cursor::i32)?),
            TARGET => Entry::Target(key.text()?, taken(value, take_parts)?),
            STANDING => Entry::Standing(key.text()?, taken(value, take_standing)?),
            REGEX => Entry::Regex(key.text()?, taken(value, take_resolved)?),
            _ => return None,
        })
    }
}

/// The outer `None`: it is malformed, or of another version than 0.
fn taken<'a, T>(value: Option<&'a [u8]>, take: impl Fn(&mut Cursor<'a>) -> Option<T>) -> Option<Option<T>> {
    let Some(bytes) = value else { return Some(None) };
    let mut cursor = Cursor(bytes);
    cursor.i16().filter(|version| *version == 0)?;
    take(&mut cursor).map(Some)
}

/// A value of version 0: flexible, and without tagged fields.
fn value(fields: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![0, 0];
    fields(&mut out);
    out.put_u8(0);
    out
}

/// The hash is a tagged field (KIP-1101).
fn of_epoch((epoch, hash): (i32, i64)) -> Vec<u8> {
    let mut out = vec![0, 0];
    out.put_i32(epoch);
    out.put_slice(&[1, 0, 8]);
    out.put_i64(hash);
    out
}

fn take_epoch(value: &mut Cursor<'_>) -> Option<(i32, i64)> {
    let epoch = value.i32()?;
    let mut hash = 0;
    for _ in 0..value.count()? {
        let (tag, size) = (value.count()?, value.count()?);
        let field = value.take(size)?;
        if tag == 0 {
            hash = i64::from_be_bytes(field.try_into().ok()?);
        }
    }
    Some((epoch, hash))
}

fn put_said(out: &mut Vec<u8>, said: &Said) {
    for text in [said.instance.as_ref(), said.rack.as_ref(), Some(&said.client_id), Some(&said.client_host)] {
        put_compact(out, text);
    }
    put_names(out, &said.names);
    put_compact(out, said.regex.as_ref());
    out.put_i32(said.rebalance_timeout);
    put_compact(out, said.assignor.as_ref());
}

fn take_said(value: &mut Cursor<'_>) -> Option<Said> {
    let (instance, rack) = (take_compact(value)?, take_compact(value)?);
    let (client_id, client_host) = (take_compact(value)??, take_compact(value)??);
    let (names, regex) = (take_names(value)?, take_compact(value)?);
    let (rebalance_timeout, assignor) = (value.i32()?, take_compact(value)?);
    Some(Said { instance, rack, client_id, client_host, names, regex, rebalance_timeout, assignor })
}

fn put_standing(out: &mut Vec<u8>, standing: &Standing) {
    out.put_i32(standing.epoch);
    out.put_i32(standing.previous);
    out.put_u8(standing.progress as u8);
    put_parts(out, &standing.assigned);
    put_parts(out, &standing.revoking);
}

fn take_standing(value: &mut Cursor<'_>) -> Option<Standing> {
    let (epoch, previous) = (value.i32()?, value.i32()?);
    let [progress] = value.array()?;
    let progress = match progress {
        0 => Progress::Stable,
        1 => Progress::Revoking,
        // Kafka has a state for what it does not know: such a member goes on with what is its own.
        _ => Progress::Waiting,
    };
    Some(Standing { epoch, previous, progress, assigned: take_parts(value)?, revoking: take_parts(value)? })
}

fn put_resolved(out: &mut Vec<u8>, resolved: &Resolved) {
    put_names(out, &resolved.topics);
    out.put_i64(resolved.version);
    out.put_i64(resolved.at);
}

fn take_resolved(value: &mut Cursor<'_>) -> Option<Resolved> {
    Some(Resolved { topics: take_names(value)?, version: value.i64()?, at: value.i64()? })
}

/// By topic, as Kafka's records have them.
fn put_parts(out: &mut Vec<u8>, parts: &Parts) {
    let by_topic = by_topic(parts);
    put_count(out, by_topic.len() + 1);
    for (topic, numbers) in by_topic {
        out.put_slice(topic.0.as_bytes());
        put_count(out, numbers.len() + 1);
        numbers.iter().for_each(|number| out.put_i32(*number));
        out.put_u8(0);
    }
}

fn take_parts(value: &mut Cursor<'_>) -> Option<Parts> {
    let mut parts = Parts::new();
    for _ in 1..value.count()? {
        let topic = TopicId(Uuid::from_bytes(value.array()?));
        for _ in 1..value.count()? {
            parts.insert((topic, value.i32()?));
        }
        for _ in 0..value.count()? {
            let (_, size) = (value.count()?, value.count()?);
            value.take(size)?;
        }
    }
    Some(parts)
}

fn put_names(out: &mut Vec<u8>, names: &BTreeSet<StrBytes>) {
    put_count(out, names.len() + 1);
    names.iter().for_each(|name| put_compact(out, Some(name)));
}

fn take_names(value: &mut Cursor<'_>) -> Option<BTreeSet<StrBytes>> {
    (1..value.count()?).map(|_| take_compact(value)?).collect()
}

fn put_compact(out: &mut Vec<u8>, text: Option<&StrBytes>) {
    match text {
        Some(text) => {
            put_count(out, text.len() + 1);
            out.put_slice(text.as_bytes());
        }
        None => out.put_u8(0),
    }
}

fn take_compact(value: &mut Cursor<'_>) -> Option<Option<StrBytes>> {
    match value.count()? {
        0 => Some(None),
        size => Some(Some(text(std::str::from_utf8(value.take(size - 1)?).ok()?))),
    }
}

/// An unsigned varint.
fn put_count(out: &mut Vec<u8>, count: usize) {
    let mut rest = count;
    while rest >= 0x80 {
        out.put_u8(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest.to_le_bytes()[0]);
}
