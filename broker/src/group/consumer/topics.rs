//! The topics there are, as far as a group must know them; and what a regular expression stands for among them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kafka_protocol::protocol::StrBytes;
use regex_lite::{Regex, RegexBuilder};

use super::{Resolved, Roster};
use crate::controller::image::Image;
use crate::controller::record::{TopicId, text};
use crate::ids::Timestamp;

/// Bytes of a compiled regular expression at most: one comes from a client.
const MOST_COMPILED: usize = 1 << 18;

/// The topics there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics {
    /// Counts the changes; 0: nothing is known yet.
    pub version: u64,
    /// By name: identity, and how many partitions.
    pub all: BTreeMap<Arc<str>, (TopicId, i32)>,
}

impl Topics {
    /// Those of the cluster.
    pub fn of(image: &Image) -> BTreeMap<Arc<str>, (TopicId, i32)> {
        let count = |topic: &crate::controller::image::Topic| i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        image.topics().map(|topic| (topic.name.clone(), (topic.id, count(topic)))).collect()
    }

    /// Those of these names that there are: identity, and how many partitions.
    pub(super) fn find<'a>(&'a self, names: impl Iterator<Item = &'a StrBytes>) -> BTreeMap<TopicId, i32> {
        names.filter_map(|name| self.all.get(&**name).copied()).collect()
    }

    fn matching(&self, regex: &Regex) -> BTreeSet<StrBytes> {
        self.all.keys().filter(|name| regex.is_match(name)).map(|name| text(name)).collect()
    }
}

/// The regular expression, for whole names. `None`: it is none, or is too large.
pub(super) fn compile(pattern: &str) -> Option<Regex> {
    let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(MOST_COMPILED).build().ok();
    // Alone first: a parenthesis too many would otherwise close ours.
    build(pattern)?;
    build(&format!("^(?:{pattern})$"))
}

impl Roster {
    /// Looks what the members' regular expressions stand for: those not looked at yet, or all of them. Says whether anything
    /// is otherwise than it was.
    pub(super) fn resolve(&mut self, topics: &Topics, anew: bool, now: Timestamp) -> bool {
        let used: BTreeSet<StrBytes> = self.members.values().filter_map(|peer| peer.said.regex.clone()).collect();
        let before = self.regexes.len();
        self.regexes.retain(|regex, _| used.contains(regex));
        let mut differs = self.regexes.len() != before;
        for pattern in used {
            let known = self.regexes.get(&pattern);
            if known.is_some() && !anew {
                continue;
            }
            let found = compile(&pattern).map(|regex| topics.matching(&regex)).unwrap_or_default();
            if known.is_none_or(|known| known.topics != found) {
                let version = known.map_or(0, |known| known.version) + 1;
                self.regexes.insert(pattern, Resolved { topics: found, version, at: now });
                differs = true;
            }
        }
        differs
    }

    /// A hash over the topics that its members want to read: it changes when one is made, grows or is deleted.
    pub(super) fn hash_of(&self, topics: &Topics) -> i64 {
        let names = self.members.values().flat_map(|peer| self.wants(&peer.said));
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for (id, count) in topics.find(names) {
            for byte in id.0.as_bytes().iter().copied().chain(count.to_be_bytes()) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        hash.cast_signed()
    }
}
