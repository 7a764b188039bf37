//! A batch while it fills, and the tickets that tell each of its records what became of it.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use broker::ids::{Offset, Timestamp};
use broker::record::batch::number;
use broker::record::{BatchBuilder, Compression};
use bytes::Bytes;

use super::CallError;
use super::record::Record;
use super::sequence::Stamp;
use crate::history::event::Outcome;

/// Where a record went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its partition.
    pub partition: i32,
    /// Its offset; -1 with acks=0.
    pub offset: Offset,
    /// Its timestamp as stored, in milliseconds.
    pub timestamp: Timestamp,
}

/// What became of a batch: its base offset and the broker's append time (-1 unless it stamps records), or the error.
type End = Result<(Offset, Timestamp), CallError>;

/// Shared by the tickets of a batch.
#[derive(Default)]
struct Fate {
    end: Cell<Option<End>>,
    waiting: RefCell<Vec<Waker>>,
}

/// Ready when it is known what became of one record.
pub struct Ticket {
    fate: Rc<Fate>,
    partition: i32,
    delta: i32,
    timestamp: Timestamp,
    /// Where its waker is in the list, once it waits.
    waits: Option<usize>,
}

impl Future for Ticket {
    type Output = Result<Sent, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(end) = self.fate.end.get() {
            return Poll::Ready(end.map(|(base, appended)| Sent {
                partition: self.partition,
                offset: if base < 0 { -1 } else { base + Offset::from(self.delta) },
                timestamp: if appended < 0 { self.timestamp } else { appended },
            }));
        }
        let fate = self.fate.clone();
        let mut waiting = fate.waiting.borrow_mut();
        match self.waits {
            Some(at) => waiting[at].clone_from(cx.waker()),
            None => {
                self.waits = Some(waiting.len());
                waiting.push(cx.waker().clone());
            }
        }
        Poll::Pending
    }
}

/// A batch from its first record to its end.
pub(super) struct Filling {
    partition: i32,
    records: i32,
    bytes: usize,
    content: Content,
    fate: Rc<Fate>,
}

enum Content {
    Open(BatchBuilder, Compression),
    Sealed(Bytes, Option<Stamp>),
}

impl Filling {
    /// An empty batch for a partition.
    pub fn new(partition: i32, compression: Compression) -> Self {
        let content = Content::Open(BatchBuilder::new(), compression);
        Self { partition, records: 0, bytes: 0, content, fate: Rc::default() }
    }

    /// Adds a record, counted as `bytes`. A batch that was sealed takes none.
    pub fn add(&mut self, record: &Record, timestamp: Timestamp, bytes: usize) -> Ticket {
        if let Content::Open(builder, _) = &mut self.content {
            let headers = record.headers.iter().map(|(key, value)| (&key[..], value.as_deref()));
            builder.append(timestamp, record.key.as_deref(), record.value.as_deref(), headers);
        }
        let delta = self.records;
        self.records += 1;
        self.bytes += bytes;
        Ticket { fate: self.fate.clone(), partition: self.partition, delta, timestamp, waits: None }
    }

    /// The batch as it goes over the wire. Encoded once, so that every attempt with the same number sends the same bytes.
    pub fn seal(&mut self, stamp: Option<Stamp>) -> Bytes {
        let sealed = match &mut self.content {
            Content::Open(builder, compression) => std::mem::take(builder).finish(*compression),
            Content::Sealed(bytes, before) if *before == stamp => return bytes.clone(),
            Content::Sealed(bytes, _) => std::mem::take(bytes),
        };
        let sealed = match stamp {
            Some(Stamp { identity: (id, epoch), first, .. }) => {
                let mut bytes = Vec::from(sealed);
                number(&mut bytes, id, epoch, first);
                bytes.into()
            }
            None => sealed,
        };
        self.content = Content::Sealed(sealed.clone(), stamp);
        sealed
    }

    /// It is stored from offset `base` (-1 if unknown). Returns its bytes, which are free again.
    pub fn done(self, base: Offset, appended: Timestamp) -> usize {
        self.end(Ok((base, appended)))
    }

    /// It is not, or nobody knows. Returns its bytes, which are free again.
    pub fn fail(self, outcome: Outcome, code: i16) -> usize {
        self.end(Err(CallError { outcome, code }))
    }

    fn end(self, end: End) -> usize {
        self.fate.end.set(Some(end));
        for waker in self.fate.waiting.take() {
            waker.wake();
        }
        self.bytes
    }
}
