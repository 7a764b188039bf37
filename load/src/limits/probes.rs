//! The probes: the plainest code that does one thing as fast as the machine does it.

#![expect(
    clippy::disallowed_methods,
    reason = "measures the machine: real files and sockets, the real clock, a thread for each end"
)]

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Commits, number};

/// How long a probe takes, about.
pub(super) const TIME: Duration = Duration::from_millis(700);
/// Bytes of a file that is written without being synced.
pub(super) const WRITTEN: usize = 512 << 20;
/// Bytes of a file that was written before commits go into it, at least.
const REUSED: usize = 64 << 20;
/// Bytes of each of its writes.
const PIECE: usize = 1 << 20;
/// Bytes of a small message there and back.
const PING: usize = 100;

/// What is made durable: a file that grows, or one that was written before, whose blocks and pages are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Onto {
    Growing,
    Written,
}

/// A file that is appended to, from its beginning again once it has all the bytes that it had.
struct Appended {
    file: File,
    path: PathBuf,
    at: usize,
    length: usize,
}

impl Appended {
    fn new(dir: &Path, onto: Onto, most: usize) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let path = dir.join("logquake-commits");
        let file = File::create(&path)?;
        let length = if onto == Onto::Written { REUSED.max(most).next_multiple_of(PIECE) } else { usize::MAX };
        if onto == Onto::Written {
            let piece = vec![b'o'; PIECE];
            for at in 0..length / PIECE {
                file.write_all_at(&piece, (at * PIECE) as u64)?;
            }
            file.sync_all()?;
        }
        Ok(Self { file, path, at: 0, length })
    }

    /// Appends, and waits until the device has it.
    fn commit(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.length - self.at < bytes.len() {
            self.at = 0;
        }
        self.file.write_all_at(bytes, self.at as u64)?;
        self.at += bytes.len();
        self.file.sync_data()
    }

    fn remove(self) -> io::Result<()> {
        std::fs::remove_file(self.path)
    }
}

/// `write()` and `fdatasync()` of so many bytes at a time, one after the other: what one flush of the device that all who
/// wait share can do at most.
pub(super) fn commits(dir: &Path, bytes: usize, onto: Onto) -> io::Result<Commits> {
    let (mut file, piece) = (Appended::new(dir, onto, bytes)?, vec![b'x'; bytes]);
    let (begun, mut took) = (Instant::now(), Vec::new());
    while begun.elapsed() < TIME {
        let at = Instant::now();
        file.commit(&piece)?;
        took.push(at.elapsed().as_secs_f64() * 1e6);
    }
    let rate = number(took.len()) / begun.elapsed().as_secs_f64();
    file.remove()?;
    took.sort_by(f64::total_cmp);
    let reused = onto == Onto::Written;
    Ok(Commits { bytes, reused, rate, p50_us: took[took.len() / 2], p99_us: took[took.len() * 99 / 100] })
}

/// What so many waiters get from one thread that writes what they wait for and syncs it, over and over: acknowledgements a
/// second, of so many bytes each. No broker that syncs before it acknowledges gives more.
pub(super) fn group_commit(dir: &Path, waiters: usize, bytes: usize, onto: Onto) -> io::Result<f64> {
    let mut file = Appended::new(dir, onto, bytes * waiters)?;
    let (queue, begun) = (Queue::default(), Instant::now());
    let (piece, mut done) = (vec![b'x'; bytes * waiters], 0);
    thread::scope(|scope| {
        for _ in 0..waiters {
            scope.spawn(|| while queue.wait() {});
        }
        let mut sync = || {
            while begun.elapsed() < TIME {
                let count = queue.take();
                file.commit(&piece[..count * bytes])?;
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
    file.remove()?;
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

/// MB a second of a file of [`WRITTEN`] bytes.
pub(super) struct Streams {
    /// Written into new pages.
    pub(super) write: f64,
    /// Written again.
    pub(super) overwrite: f64,
    /// Read from the page cache.
    pub(super) read: f64,
    /// Read after the page cache was emptied of it.
    pub(super) cold_read: f64,
}

/// By `write()` and `read()` of 1 MiB at a time.
pub(super) fn streams(dir: &Path) -> io::Result<Streams> {
    let path = dir.join("logquake-written");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    let mut piece = vec![b'x'; PIECE];
    let mut rate = |writes: bool| {
        let begun = Instant::now();
        for at in (0..WRITTEN / PIECE).map(|at| (at * PIECE) as u64) {
            if writes { file.write_all_at(&piece, at)? } else { file.read_exact_at(&mut piece, at)? }
        }
        Ok::<_, io::Error>(number(WRITTEN) / 1e6 / begun.elapsed().as_secs_f64())
    };
    let (write, overwrite, read) = (rate(true)?, rate(true)?, rate(false)?);
    file.sync_all()?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    let cold_read = rate(false)?;
    std::fs::remove_file(path)?;
    Ok(Streams { write, overwrite, read, cold_read })
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
pub(super) fn loopback(control: Option<&str>) -> io::Result<(String, f64)> {
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
pub(super) fn round_trip() -> io::Result<(f64, f64)> {
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
pub(super) fn crc() -> f64 {
    let (piece, begun, mut bytes) = (vec![7u8; 64 << 10], Instant::now(), 0);
    let mut sum = 0;
    while begun.elapsed() < TIME / 4 {
        sum ^= crc_fast::crc32_iscsi(std::hint::black_box(&piece));
        bytes += piece.len();
    }
    std::hint::black_box(sum);
    number(bytes) / 1e6 / begun.elapsed().as_secs_f64()
}
