//! Records as applications see them, going in and coming out.

use std::sync::Arc;

use broker::ids::{LeaderEpoch, Offset, Timestamp};
use bytes::Bytes;

/// A header of a record: its key, and its value or null.
pub type Header = (Bytes, Option<Bytes>);

/// A record to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Where to.
    pub topic: Arc<str>,
    /// Which partition; by key, or sticky without a key, if `None`.
    pub partition: Option<i32>,
    /// Its key, or null.
    pub key: Option<Bytes>,
    /// Its value, or null.
    pub value: Option<Bytes>,
    /// Its headers, in order; a key may come more than once.
    pub headers: Vec<Header>,
    /// Its create time in milliseconds; the client's wall clock if `None`.
    pub timestamp: Option<Timestamp>,
}

impl Record {
    /// A record of `topic` with a value and nothing else.
    pub fn new(topic: impl Into<Arc<str>>, value: impl Into<Bytes>) -> Self {
        Self { topic: topic.into(), value: Some(value.into()), ..Self::default() }
    }

    /// An upper bound on its encoded size in bytes, before compression.
    pub(crate) fn size(&self) -> usize {
        /// Length, attributes, timestamp and offset deltas, key and value lengths, header count: varints at their longest.
        const FIXED: usize = 5 + 1 + 10 + 5 + 5 + 5 + 5;
        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers: usize = self.headers.iter().map(|(key, value)| 10 + key.len() + length(value)).sum();
        FIXED + length(&self.key) + length(&self.value) + headers
    }
}

/// A record as read from a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its offset.
    pub offset: Offset,
    /// The leader epoch of its batch.
    pub epoch: LeaderEpoch,
    /// Its timestamp in milliseconds.
    pub timestamp: Timestamp,
    /// Its key, or null.
    pub key: Option<Bytes>,
    /// Its value, or null.
    pub value: Option<Bytes>,
    /// Its headers, in order.
    pub headers: Vec<Header>,
}
