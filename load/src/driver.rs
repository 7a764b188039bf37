//! A system under load, as the generator sees it: what is timed and checked is the same for each.

use std::future::Future;
use std::io;

use bytes::Bytes;

use crate::spec::Spec;
use crate::stamp::Stamp;

/// A system under load. Copies go to the generator's threads.
pub trait Driver: Clone + Send + 'static {
    /// One producer.
    type Producer: Producer;
    /// One consumer.
    type Consumer: Consumer;

    /// Makes what is to be written to. An error if it is there already.
    fn prepare(&self, spec: &Spec) -> impl Future<Output = io::Result<()>>;
    /// A producer, on the thread that calls.
    fn producer(&self, spec: &Spec) -> impl Future<Output = io::Result<Self::Producer>>;
    /// Consumer `share` of a group's [`Spec::consumers`], which reads its partitions from the beginning.
    fn consumer(&self, spec: &Spec, share: usize) -> impl Future<Output = io::Result<Self::Consumer>>;
    /// Removes what was made.
    fn remove(&self) -> impl Future<Output = io::Result<()>>;
}

/// One producer.
pub trait Producer: 'static {
    /// Ready when a record is acknowledged (true), or surely or possibly not stored.
    type Ack: Future<Output = bool> + Unpin + 'static;

    /// Hands a record over; waits only for room. Returns where its acknowledgement is to be expected: those of one lane come in
    /// order, unless one is sent again; then those behind it are heard of with it. `None` if it was refused.
    fn send(&self, key: Option<Bytes>, value: Bytes) -> impl Future<Output = Option<(usize, Self::Ack)>>;
    /// Sends what lingers, and waits until all is acknowledged or given up.
    fn flush(&self) -> impl Future<Output = ()>;
}

/// One consumer.
pub trait Consumer: 'static {
    /// Waits for records, for a tenth of a second or so, and adds the partition and the stamp of each.
    fn poll(&mut self, into: &mut Vec<(i32, Stamp)>) -> impl Future<Output = io::Result<()>>;
    /// Whether what comes next does not follow what came before, since that was deleted before it was read. Says so once.
    fn has_skipped(&mut self) -> bool {
        false
    }
    /// Whether it knows what it is to read, and nothing of that is about to change.
    fn is_settled(&self) -> bool {
        true
    }
    /// Leaves its group, and says so; dropped without it, it is as if crashed.
    fn close(self) -> impl Future<Output = ()>
    where
        Self: Sized,
    {
        std::future::ready(())
    }
}
