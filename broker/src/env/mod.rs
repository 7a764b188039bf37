//! The only doors outward: network, disk, clocks, chance, tasks. Broker and client code is generic over [`Env`] and
//! cannot tell whether it is simulated.
//!
//! A node is one reactor: one thread, one current-thread runtime. Nothing here is `Send`, on purpose.

pub mod real;

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::fact::Fact;

/// A node's monotonic clock, in nanoseconds since the node's world began. In the simulator each node's clock has its
/// own offset and rate, so two nodes' values are not comparable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(pub u64);

impl Mono {
    /// The time from `earlier` to `self`; zero if `earlier` is later.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The instant `d` after this one.
    pub fn after(self, d: Duration) -> Mono {
        Mono(self.0.saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// One node's view of the world outside it. Cheap to clone.
pub trait Env: Clone + 'static {
    /// Its network.
    type Net: Net;
    /// Its disk.
    type Disk: Disk;

    /// The network door.
    fn net(&self) -> &Self::Net;
    /// The disk door.
    fn disk(&self) -> &Self::Disk;
    /// The node's monotonic clock.
    fn now(&self) -> Mono;
    /// The node's wall clock, milliseconds since the Unix epoch. May jump either way.
    fn wall(&self) -> i64;
    /// Waits for `d` on the node's clock.
    fn sleep(&self, d: Duration) -> impl Future<Output = ()>;
    /// Runs `task` on this node's reactor until it ends or the node crashes. `name` is for traces.
    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + 'static);
    /// A random number of this node's own stream, fixed by (seed, node, incarnation) in the simulator.
    fn draw(&self) -> u64;
    /// Whether anyone listens to facts; a teller that must do work to state one asks first.
    fn hears(&self) -> bool;
    /// States a typed fact for white-box checking. Does nothing in a live world.
    fn tell(&self, fact: Fact);
    /// Stops this node at once and for good, as a process that aborts. Called when a promise can no longer be kept,
    /// as after a failed fsync. The simulator's supervisor may start it again.
    fn halt(&self, why: &str);

    /// `work`, or `None` when `d` has passed first.
    fn timeout<T>(&self, d: Duration, work: impl Future<Output = T>) -> impl Future<Output = Option<T>> {
        race(work, self.sleep(d))
    }
}

/// What `work` gives, or `None` if `late` ends first. `work` is looked at first: nothing is drawn, as `select!` would.
pub async fn race<T>(work: impl Future<Output = T>, late: impl Future<Output = ()>) -> Option<T> {
    let (mut work, mut late) = (pin!(work), pin!(late));
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => late.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// The network of one node.
pub trait Net: 'static {
    /// A connection: an ordered stream of bytes both ways.
    type Stream: AsyncRead + AsyncWrite + Unpin + 'static;
    /// A listening socket.
    type Listener: Listener<Stream = Self::Stream>;

    /// Listens on `addr`, written `host:port`.
    fn listen(&self, addr: &str) -> impl Future<Output = io::Result<Self::Listener>>;
    /// Connects to `addr`, written `host:port`. `TimedOut` after `timeout`: never hangs, never spins.
    fn connect(&self, addr: &str, timeout: Duration) -> impl Future<Output = io::Result<Self::Stream>>;
}

/// A listening socket.
pub trait Listener: 'static {
    /// What it accepts.
    type Stream;

    /// The next connection, with the peer's address for messages.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, String)>>;
    /// The port it listens on (as chosen by the system when port 0 was asked for).
    fn port(&self) -> u16;
}

/// How [`Disk::open`] opens a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Read only; `NotFound` if there is none.
    Read,
    /// Read and write; `NotFound` if there is none.
    Write,
    /// Read and write; created empty if there is none. The new directory entry is durable after [`Disk::sync_dir`].
    Create,
}

/// The disk of one node. Paths are relative to the node's root, `/`-separated, without `.` or `..`.
///
/// Data operations are synchronous: they are page-cache operations, and the log is on the hottest path. What takes a
/// device's time is [`File::sync`], and [`Disk::settled`], which a caller awaits before it answers for what it read.
pub trait Disk: Clone + 'static {
    /// An open file.
    type File: File;

    /// Opens a file.
    fn open(&self, path: &str, how: Open) -> io::Result<Rc<Self::File>>;
    /// Creates a directory and its parents; no error if it is there.
    fn create_dir(&self, path: &str) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &str) -> io::Result<()>;
    /// Renames a file or a directory over whatever has the name. Durable after [`Disk::sync_dir`] of both parents.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file's directory entry; open handles stay usable.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// The names in a directory (files and directories), sorted. `NotFound` if it is missing.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;
    /// Whether something has that name.
    fn exists(&self, path: &str) -> bool;
    /// Makes a directory's entries durable.
    fn sync_dir(&self, path: &str) -> impl Future<Output = io::Result<()>>;
    /// Returns when the device has caught up with the data operations asked of it: at once on a real disk (they
    /// blocked already); after their simulated latency in the simulator.
    fn settled(&self) -> impl Future<Output = ()>;
}

/// An open file. Positions are bytes from its start.
pub trait File: 'static {
    /// Reads up to `buf.len()` bytes at `position`; fewer only at the end of the file.
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes all of `bytes` at `position`, extending the file. On an error a prefix may have been written.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()>;
    /// The file's length in bytes.
    fn size(&self) -> io::Result<u64>;
    /// Cuts or extends (with zeros) the file to `size` bytes.
    fn truncate(&self, size: u64) -> io::Result<()>;
    /// Makes the file's data and length durable (`fdatasync`). After an error the dirty pages may be gone for good
    /// although reads still show them: calling it again proves nothing.
    fn sync(&self) -> impl Future<Output = io::Result<()>>;
}
