//! What the machine does without any broker, by the plainest code there is: a result is worth what it is of these.

#![expect(
    clippy::disallowed_methods,
    reason = "measures the machine: real files and sockets, the real clock, a thread for each end"
)]

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use broker::config::FlushPolicy;
use broker::record::Compression;

use crate::machine::{self, Machine};
use crate::outcome::grouped;
use crate::spec::{Drive, Reading, Spec};

/// How long a probe takes, about.
const TIME: Duration = Duration::from_millis(700);
/// Bytes of a file that is written without being synced.
const WRITTEN: usize = 512 << 20;
/// Bytes of each of its writes.
const PIECE: usize = 1 << 20;
/// Threads that wait for a syncer, at most.
const MOST_WAITERS: usize = 256;
/// Bytes of a small message there and back.
const PING: usize = 100;

/// Writes that are made durable one after the other.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct Commits {
    /// Bytes of each.
    pub bytes: usize,
    /// How many a second.
    pub rate: f64,
    /// Median, in microseconds.
    pub p50_us: f64,
    /// 99th percentile.
    pub p99_us: f64,
}

/// The machine's limits.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Limits {
    /// Microseconds of a page: about 0.7 where memory is warm, ten where it is not.
    pub page_us: f64,
    /// MB (10^6 bytes) a second by `write()` of 1 MiB into the page cache.
    pub write: f64,
    /// MB a second read from it.
    pub read: f64,
    /// `write()` and `fdatasync()`, of a file that grows.
    pub commits: Vec<Commits>,
    /// Acknowledgements of 1 KiB a second that so many waiters get from one syncing thread.
    pub groups: Vec<(usize, f64)>,
    /// MB a second through a loopback connection, by congestion control.
    pub loopback: Vec<(String, f64)>,
    /// Microseconds there and back of 100 bytes, between two threads: median and 99th percentile.
    pub round_trip_us: (f64, f64),
    /// MB a second of CRC-32C.
    pub crc: f64,
    /// Cores that others used meanwhile.
    pub foreign: f64,
}

/// The limit that binds a run.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Bound {
    /// What limits it.
    pub by: String,
    /// Records a second.
    pub rate: f64,
}

impl Limits {
    /// What limits a run of `spec` on this machine, whatever the broker: the syncs that its acknowledgements share, else the page
    /// cache or the network within the machine, whichever is slower. A log that grows takes new pages, of `page_us` microseconds
    /// each after the run; one that retention keeps short has those of what was deleted. One record at a time waits for its way
    /// there and back, which is as long as where the kernel has both ends run makes it.
    /// Nothing is said where codecs make fewer bytes of it, where others read meanwhile, where each byte is sent and written more
    /// than once, or where it is read from the device.
    pub fn binding(&self, spec: &Spec, dir: &Path, page_us: Option<f64>) -> io::Result<Option<Bound>> {
        let cold = matches!(spec.reading, Reading::CatchUp { cold: true, .. });
        if spec.compression.0 != Compression::None || spec.reads_along() || spec.replication > 1 || cold {
            return Ok(None);
        }
        let records = |mb: f64| mb * 1e6 / number(spec.record_bytes);
        let loopback = self.loopback.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
        if let (FlushPolicy::Always, Drive::Closed { in_flight }) = (spec.flush, spec.drive) {
            let waiters = spec.producers * in_flight;
            if waiters <= MOST_WAITERS {
                let by = format!("{waiters} waiting for one syncer");
                return Ok(Some(Bound { by, rate: group_commit(dir, waiters, spec.record_bytes)? }));
            }
            let whole = commits(dir, spec.batch_bytes * spec.requests_in_flight * spec.producers)?;
            let by = format!("write() and fdatasync() of {} KiB", whole.bytes >> 10);
            return Ok(Some(Bound { by, rate: records(whole.rate * number(whole.bytes) / 1e6) }));
        }
        let grows = page_us.filter(|_| spec.retain_megabytes.is_none());
        // Bytes a microsecond are megabytes a second.
        let grown = grows.map_or(f64::INFINITY, |us| number(machine::PAGE) / us);
        if spec.drive == (Drive::Closed { in_flight: 1 }) && spec.producers == 1 {
            return Ok(Some(Bound { by: "a round trip of 100 bytes".into(), rate: 1e6 / self.round_trip_us.0 }));
        }
        let (file, by) = match spec.reading {
            Reading::CatchUp { .. } => (self.read, "read() from the page cache"),
            _ if grown < self.write => (grown, "write() into new pages"),
            _ => (self.write, "write() into the page cache"),
        };
        let (least, by) = if file < loopback { (file, by) } else { (loopback, "a loopback connection") };
        Ok(Some(Bound { by: by.into(), rate: records(least) }))
    }

    /// Probes the disk that `dir` is on, and the rest of the machine.
    pub fn probe(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let machine = Machine { data: Some(dir.into()), ..Machine::default() };
        let page_us = machine.warm(WRITTEN as u64)?.unwrap_or(0.0);
        let before = machine.read(&[])?;
        let (write, read) = written(dir)?;
        let commits = [1 << 10, 16 << 10, 64 << 10, 1 << 20].map(|bytes| commits(dir, bytes));
        let groups = [1, 16, 64].map(|waiters| Ok((waiters, group_commit(dir, waiters, 1 << 10)?)));
        // Where cubic is not allowed there is no such row.
        let loopback = [loopback(None)].into_iter().chain(loopback(Some("cubic")).ok().map(Ok));
        let this = Self {
            page_us,
            write,
            read,
            groups: groups.into_iter().collect::<io::Result<_>>()?,
            commits: commits.into_iter().collect::<io::Result<_>>()?,
            loopback: loopback.collect::<io::Result<_>>()?,
            round_trip_us: round_trip()?,
            crc: crc(),
            foreign: machine.read(&[])?.since(&before).foreign,
        };
        Ok(this)
    }
}

/// `write()` and `fdatasync()` of so many bytes at a time, one after the other: what one flush of the device that all who
/// wait share can do at most.
pub fn commits(dir: &Path, bytes: usize) -> io::Result<Commits> {
    std::fs::create_dir_all(dir)?;
    let path = dir.join("logquake-commits");
    let (mut file, piece) = (File::create(&path)?, vec![b'x'; bytes]);
    let (begun, mut took) = (Instant::now(), Vec::new());
    while begun.elapsed() < TIME {
        let at = Instant::now();
        file.write_all(&piece)?;
        file.sync_data()?;
        took.push(at.elapsed().as_secs_f64() * 1e6);
    }
    let rate = number(took.len()) / begun.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    took.sort_by(f64::total_cmp);
    Ok(Commits { bytes, rate, p50_us: took[took.len() / 2], p99_us: took[took.len() * 99 / 100] })
}

/// What so many waiters get from one thread that writes what they wait for and syncs it, over and over: acknowledgements a
/// second, of so many bytes each. No broker that syncs before it acknowledges gives more.
pub fn group_commit(dir: &Path, waiters: usize, bytes: usize) -> io::Result<f64> {
    std::fs::create_dir_all(dir)?;
    let path = dir.join("logquake-group");
    let mut file = File::create(&path)?;
    let (queue, begun) = (Queue::default(), Instant::now());
    let (piece, mut done) = (vec![b'x'; bytes * waiters], 0);
    thread::scope(|scope| {
        for _ in 0..waiters {
            scope.spawn(|| while queue.wait() {});
        }
        let mut sync = || {
            while begun.elapsed() < TIME {
                let count = queue.take();
                file.write_all(&piece[..count * bytes])?;
                file.sync_data()?;
                queue.release();
                done += count;
            }
            Ok::<_, io::Error>(())
        };
        let synced = sync();
        queue.end();
        synced
    })?;
    let rate = number(done) / begun.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}

/// Who waits for a sync.
#[derive(Default)]
struct Queue {
    state: Mutex<Waiting>,
    came: Condvar,
    synced: Condvar,
}

#[derive(Default)]
struct Waiting {
    count: usize,
    /// Syncs that are over, and whether one is under way, which began before whoever comes now.
    syncs: u64,
    syncing: bool,
    over: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a sync that begins from now on. False when there will be none.
    fn wait(&self) -> bool {
        let mut state = self.lock();
        state.count += 1;
        let due = state.syncs + 1 + u64::from(state.syncing);
        self.came.notify_one();
        while state.syncs < due && !state.over {
            state = self.synced.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.over
    }

    fn take(&self) -> usize {
        let mut state = self.lock();
        while state.count == 0 {
            state = self.came.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.syncing = true;
        std::mem::take(&mut state.count)
    }

    fn release(&self) {
        let mut state = self.lock();
        (state.syncs, state.syncing) = (state.syncs + 1, false);
        self.synced.notify_all();
    }

    fn end(&self) {
        self.lock().over = true;
        self.synced.notify_all();
    }
}

/// MB a second written to the page cache, and read from it.
fn written(dir: &Path) -> io::Result<(f64, f64)> {
    let path = dir.join("logquake-written");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    let mut piece = vec![b'x'; PIECE];
    let pieces = WRITTEN / PIECE;
    let begun = Instant::now();
    for at in 0..pieces {
        file.write_all_at(&piece, (at * PIECE) as u64)?;
    }
    let write = number(WRITTEN) / 1e6 / begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    for at in 0..pieces {
        file.read_exact_at(&mut piece, (at * PIECE) as u64)?;
    }
    let read = number(WRITTEN) / 1e6 / begun.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok((write, read))
}

fn connected() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let one = TcpStream::connect(listener.local_addr()?)?;
    let (other, _) = listener.accept()?;
    one.set_nodelay(true)?;
    other.set_nodelay(true)?;
    Ok((one, other))
}

/// MB a second through one connection in pieces of 64 KiB, under a congestion control or the system's own.
fn loopback(control: Option<&str>) -> io::Result<(String, f64)> {
    let (mut one, mut other) = connected()?;
    if let Some(control) = control {
        rustix::net::sockopt::set_tcp_congestion(&one, control)?;
    }
    let name = rustix::net::sockopt::tcp_congestion(&one)?;
    let writer = thread::spawn(move || {
        let (piece, begun) = (vec![0; 64 << 10], Instant::now());
        while begun.elapsed() < TIME {
            one.write_all(&piece)?;
        }
        Ok::<_, io::Error>(())
    });
    let (mut room, mut bytes, begun) = (vec![0; 256 << 10], 0, Instant::now());
    loop {
        let read = other.read(&mut room)?;
        if read == 0 {
            break;
        }
        bytes += read;
    }
    let rate = number(bytes) / 1e6 / begun.elapsed().as_secs_f64();
    writer.join().unwrap_or_else(|why| std::panic::resume_unwind(why))?;
    let name = if control.is_none() { format!("{name} (default)") } else { name };
    Ok((name, rate))
}

/// Microseconds there and back, between two threads: median and 99th percentile.
fn round_trip() -> io::Result<(f64, f64)> {
    let (mut one, mut other) = connected()?;
    let echo = thread::spawn(move || {
        let mut message = [0; PING];
        while other.read_exact(&mut message).is_ok() {
            other.write_all(&message)?;
        }
        Ok::<_, io::Error>(())
    });
    let (mut message, mut took, begun) = ([7; PING], Vec::new(), Instant::now());
    while begun.elapsed() < TIME {
        let at = Instant::now();
        one.write_all(&message)?;
        one.read_exact(&mut message)?;
        took.push(at.elapsed().as_secs_f64() * 1e6);
    }
    drop(one);
    echo.join().unwrap_or_else(|why| std::panic::resume_unwind(why))?;
    took.sort_by(f64::total_cmp);
    Ok((took[took.len() / 2], took[took.len() * 99 / 100]))
}

/// MB a second of the check that every batch gets.
fn crc() -> f64 {
    let (piece, begun, mut bytes) = (vec![7u8; 64 << 10], Instant::now(), 0);
    let mut sum = 0;
    while begun.elapsed() < TIME / 4 {
        sum ^= crc_fast::crc32_iscsi(std::hint::black_box(&piece));
        bytes += piece.len();
    }
    std::hint::black_box(sum);
    number(bytes) / 1e6 / begun.elapsed().as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "figures to read")]
fn number(n: usize) -> f64 {
    n as f64
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "write() into the page cache {:>12} MB/s   a page takes {:.2} us",
            grouped(self.write),
            self.page_us
        )?;
        writeln!(f, "read() from it              {:>12} MB/s", grouped(self.read))?;
        for c in &self.commits {
            let size = format!("{} KiB + fdatasync()", c.bytes >> 10);
            let mb = grouped(c.rate * number(c.bytes) / 1e6);
            let rate = grouped(c.rate);
            writeln!(f, "{size:27} {mb:>12} MB/s   {rate}/s, p50 {:.0} us, p99 {:.0} us", c.p50_us, c.p99_us)?;
        }
        for (waiters, rate) in &self.groups {
            let what = format!("{waiters} waiting for one syncer");
            writeln!(f, "{what:27} {:>12} acks/s of 1 KiB", grouped(*rate))?;
        }
        for (control, rate) in &self.loopback {
            writeln!(f, "{:27} {:>12} MB/s", format!("loopback, {control}"), grouped(*rate))?;
        }
        writeln!(
            f,
            "100 B there and back        {:>12.0} us     p99 {:.0} us",
            self.round_trip_us.0, self.round_trip_us.1
        )?;
        writeln!(f, "CRC-32C                     {:>12} MB/s", grouped(self.crc))?;
        writeln!(f, "others used                 {:>12.2} cores meanwhile", self.foreign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_probe_measures_something_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits::probe(dir.path()).unwrap();
        let all = [limits.write, limits.read, limits.round_trip_us.0, limits.crc, limits.page_us];
        let groups = limits.groups.iter().map(|(_, rate)| *rate);
        let commits = limits.commits.iter().flat_map(|c| [c.rate, c.p50_us]);
        for figure in all.into_iter().chain(commits).chain(groups).chain(limits.loopback.iter().map(|(_, rate)| *rate))
        {
            assert!(figure > 0.0 && figure.is_finite(), "{limits}");
        }
        for spec in [Spec::default(), Spec { flush: FlushPolicy::Always, ..Spec::default() }] {
            let bound = limits.binding(&spec, dir.path(), None).unwrap().unwrap();
            assert!(bound.rate > 0.0, "{bound:?}");
        }
        // 4,096 bytes in 2,048 us are 2 MB a second, whatever was warm beforehand.
        let cold = limits.binding(&Spec::default(), dir.path(), Some(2048.0)).unwrap().unwrap();
        assert_eq!(cold, Bound { by: "write() into new pages".into(), rate: 2e6 / 1024.0 });
        let alone = Spec { drive: Drive::Closed { in_flight: 1 }, ..Spec::default() };
        let there_and_back = limits.binding(&alone, dir.path(), Some(2048.0)).unwrap().unwrap();
        assert_eq!(there_and_back.rate, 1e6 / limits.round_trip_us.0);
        let reading = Reading::CatchUp { megabytes: 1, cold: true };
        for spec in [Spec { reading, ..Spec::default() }, Spec { replication: 3, ..Spec::default() }] {
            assert_eq!(limits.binding(&spec, dir.path(), None).unwrap(), None);
        }
        let kept_short = Spec { retain_megabytes: Some(64), ..Spec::default() };
        assert!(limits.binding(&kept_short, dir.path(), Some(2048.0)).unwrap().unwrap().rate > cold.rate);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
