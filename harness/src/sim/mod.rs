//! The simulated world's control surface. Faults and the runner see only [`World`]; which network simulator lies
//! beneath is a matter of the folder below.

mod clock;
pub mod disk;
pub mod env;
mod episodes;
pub mod net;
mod panics;
mod state;
mod timer;
pub mod turmoil;

use std::time::Duration;

pub use clock::EPOCH_MS;

use crate::order::Order;

/// A host of the world: its place in the list of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(pub usize);

/// How a host goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process dies; the page cache stays; peers see their connections closed.
    Process,
    /// The power goes: unsynced data meets its fate, peers see nothing but silence.
    Power(Unsynced),
}

/// What becomes of data that was written but not synced when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// All lost.
    Lost,
    /// All kept (the kernel had written it back).
    Kept,
    /// Each 512-byte sector and each directory operation by draw: lost or kept.
    Torn,
}

/// A kind of disk operation that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskOp {
    /// `read_at`, `list`, and `open` of a file that is there.
    Read,
    /// `write_at`, which may leave a beginning of what it was to write, `truncate`, and what changes names: `open` of a new
    /// file, `create_dir`, `rename`, `remove`, `remove_dir`.
    Write,
    /// `sync`, `sync_dir`. The dirty pages are marked clean without reaching the disk, as Linux does.
    Sync,
}

/// How often it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// The next time only.
    Once,
    /// Every time until healed.
    Always,
}

/// Frames between hosts: requests of one API, or the answers to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frames {
    /// Sent by this host; by any, if `None`.
    pub from: Option<Host>,
    /// Sent to this host; to any, if `None`.
    pub to: Option<Host>,
    /// Of this API.
    pub api_key: i16,
    /// The answers, not the requests.
    pub answers: bool,
    /// Matches that pass first.
    pub skip: u32,
    /// Matches meant after that.
    pub most: u32,
}

/// A fault that goes on, or a rule about frames that is in force: ends it, and it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// What was asked of the network and of disks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests that left their hosts.
    pub requests: u64,
    /// Bytes given to the network, both ways.
    pub network_bytes: u64,
    /// Writes of files.
    pub disk_writes: u64,
    /// Bytes written.
    pub disk_bytes: u64,
    /// Syncs of files and directories.
    pub disk_syncs: u64,
}

/// What a fault can do to the world. Every method takes effect at the present instant of world time.
pub trait World {
    /// World time, nanoseconds since the run began.
    fn now(&self) -> u64;
    /// The broker hosts.
    fn brokers(&self) -> Vec<Host>;
    /// The hosts of nodes that are controllers alone.
    fn controllers(&self) -> Vec<Host>;
    /// The hosts of all nodes: brokers, then controllers, each at the place that its node id says.
    fn nodes(&self) -> Vec<Host> {
        [self.brokers(), self.controllers()].concat()
    }
    /// The client hosts.
    fn clients(&self) -> Vec<Host>;
    /// The host's name, for the history.
    fn name(&self, host: Host) -> String;
    /// Whether its process runs.
    fn up(&self, host: Host) -> bool;
    /// Takes a host down. Nothing happens if it is down.
    fn crash(&mut self, host: Host, how: Crash);
    /// Starts a host that is down. Nothing happens if it is up.
    fn start(&mut self, host: Host);
    /// Asks a host's process to stop in its own time, as SIGTERM does. It stays down until [`World::start`].
    fn stop(&mut self, host: Host);
    /// Whether a host's process runs that was asked to stop.
    fn stopping(&self, host: Host) -> bool;
    /// Takes a host down and its data disk away: it will start with an empty one. Internal directories (`__...`: the
    /// metadata log and the vote) are on another disk, and stay.
    fn wipe(&mut self, host: Host);
    /// The host on which a second process of this host's broker may run, if there is one. It is no broker's and no
    /// client's host, and is down unless [`World::start`] was called for it.
    fn twin(&self, host: Host) -> Option<Host>;
    /// Has the disk of `to`, which is down, hold what that of `from` shows at present, and nothing else.
    fn copy_disk(&mut self, from: Host, to: Host);
    /// Stalls everything `from` sends to `to`: delivered after [`World::mend`], as TCP would retransmit it; connections
    /// attempted meanwhile time out.
    fn cut(&mut self, from: Host, to: Host);
    /// Ends a cut in that direction.
    fn mend(&mut self, from: Host, to: Host);
    /// Adds `extra` to the latency from `from` to `to`, until [`World::hasten`]. Of several the slowest counts.
    fn slow(&mut self, from: Host, to: Host, extra: Duration) -> Ticket;
    /// Ends one slowness in that direction.
    fn hasten(&mut self, from: Host, to: Host, ticket: Ticket);
    /// Resets the connection that carries the `nth` request (from 1) with `api_key` to `broker` from now on, after the
    /// broker has handled it and before the response leaves.
    fn reset_after(&mut self, broker: Host, api_key: i16, nth: u32) -> Ticket;
    /// Forgets one [`World::reset_after`], if it has not come to pass.
    fn forget_reset(&mut self, broker: Host, ticket: Ticket);
    /// Holds connections from the frames named on, until [`World::release`].
    fn hold(&mut self, frames: Frames) -> Ticket;
    /// Delivers the requests named once more, each so long after it was sent first, until [`World::release`].
    fn repeat(&mut self, frames: Frames, after: Duration) -> Ticket;
    /// How many requests of an API have left their hosts since the run began.
    fn asked(&self, api_key: i16) -> u64;
    /// What all hosts have asked of the network and of their disks since the run began.
    fn traffic(&self) -> Traffic;
    /// Ends a rule. What it holds is delivered; with `lost` it never is, and its connections break.
    fn release(&mut self, ticket: Ticket, lost: bool);
    /// Asks the run's administrator, a client like others, to change the cluster.
    fn order(&mut self, order: Order);
    /// Stops the host's traffic and disk: its links hold what they carry, its disk stalls.
    fn freeze(&mut self, host: Host);
    /// Lets a frozen host go on.
    fn thaw(&mut self, host: Host);
    /// Moves the host's wall clock by `ms`; their rate stays.
    fn clock_jump(&mut self, host: Host, ms: i64);
    /// Has both clocks of the host run at `1 + ppm / 1e6`, until [`World::clock_steady`]. Several add up.
    fn clock_drift(&mut self, host: Host, ppm: i64) -> Ticket;
    /// Ends one drift. What the clocks have gained or lost by it stays.
    fn clock_steady(&mut self, host: Host, ticket: Ticket);
    /// Stalls every disk operation of the host that waits for the device, until [`World::disk_resume`].
    fn disk_stall(&mut self, host: Host);
    /// Ends a stall.
    fn disk_resume(&mut self, host: Host);
    /// Adds `extra` to the latency of each sync and `extra / 16` to each read or write, until [`World::disk_hasten`]. Of
    /// several the slowest counts.
    fn disk_slow(&mut self, host: Host, extra: Duration) -> Ticket;
    /// Ends one slowness of the disk.
    fn disk_hasten(&mut self, host: Host, ticket: Ticket);
    /// Makes a kind of operation fail with `EIO`, until [`World::disk_mend`].
    fn disk_fail(&mut self, host: Host, op: DiskOp, failing: Failing) -> Ticket;
    /// Ends one failure of a kind of operation, if it has not come to pass.
    fn disk_mend(&mut self, host: Host, op: DiskOp, ticket: Ticket);
    /// Leaves the host's disk `free` more bytes, until [`World::disk_grow`]. Of several the tightest counts.
    fn disk_room(&mut self, host: Host, free: u64) -> Ticket;
    /// Ends one shortage of room.
    fn disk_grow(&mut self, host: Host, ticket: Ticket);
    /// Flips one bit at rest, drawn by `salt` among durable bytes of files whose path ends in `suffix`; says which.
    fn disk_flip(&mut self, host: Host, suffix: &str, salt: u64) -> Option<String>;
}
