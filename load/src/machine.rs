//! What else went on: processor time of either side and of anyone else, flushes of the device, and whether memory was warm.
//! From the kernel's own counters (proc(5)); a figure that they do not have is absent.

#![expect(clippy::disallowed_methods, reason = "measures the machine: real files, real counters")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::time::ClockId;

use crate::statistics::figure;

/// Nanoseconds of a tick (`USER_HZ` is 100 on every Linux that runs this).
const TICK: u64 = 10_000_000;
/// Bytes of the probe that tells warm memory from cold.
const PROBE: usize = 64 << 20;
/// Bytes of a page.
pub(crate) const PAGE: usize = 4096;
/// Bytes of a working set that are touched beforehand, at most.
const MOST_TOUCHED: u64 = 2 << 30;

/// What is watched.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// The broker's processes, where they are on this machine.
    pub pids: Vec<u32>,
    /// Where the broker keeps its files, if here.
    pub data: Option<PathBuf>,
}

/// The counters at one time.
#[derive(Clone, Debug)]
pub struct Counters {
    at: Instant,
    generator: u64,
    threads: Vec<u64>,
    broker: Option<u64>,
    busy: u64,
    steal: u64,
    flushes: Option<u64>,
}

/// What was used between two times, in cores unless said.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Used {
    /// By this process.
    pub generator: f64,
    /// By the busiest of the threads asked for.
    pub busiest: f64,
    /// By the broker's.
    pub broker: Option<f64>,
    /// By others.
    pub foreign: f64,
    /// By other machines on the same host.
    pub steal: f64,
    /// Flushes that the device completed: their number.
    pub flushes: Option<u64>,
}

impl Machine {
    /// The counters now, and those of these threads of this process.
    pub fn read(&self, threads: &[i32]) -> io::Result<Counters> {
        let (busy, steal) = processors(&text("/proc/stat")?);
        let broker = self.pids.iter().map(|pid| process(*pid).ok());
        let broker = if self.pids.is_empty() { None } else { broker.sum() };
        let thread = |id: &i32| text(&format!("/proc/self/task/{id}/schedstat")).ok().and_then(|stat| running(&stat));
        let threads = threads.iter().map(|id| thread(id).unwrap_or(0)).collect();
        let flushes = self.data.as_deref().and_then(|data| flushes(&text("/proc/diskstats").ok()?, device(data)?));
        let generator = cpu(ClockId::ProcessCPUTime);
        Ok(Counters { at: Instant::now(), generator, threads, broker, busy, steal, flushes })
    }

    /// Writes and removes files of so many bytes where the broker keeps its own, so that the memory of their pages is this
    /// machine's already; then says how many microseconds a page takes. A guest's cold pages take 15 times as long.
    pub fn warm(&self, bytes: u64) -> io::Result<Option<f64>> {
        let Some(data) = &self.data else { return Ok(None) };
        let file = data.join("logquake-warm");
        let touched = write(&file, bytes.min(MOST_TOUCHED));
        let _ = std::fs::remove_file(&file);
        touched.and_then(|_| self.page())
    }

    /// How many microseconds a page of a file that grows takes now: more than before a run where the run has used up what was
    /// warm.
    pub fn page(&self) -> io::Result<Option<f64>> {
        let Some(data) = &self.data else { return Ok(None) };
        let file = data.join("logquake-page");
        let probed = write(&file, PROBE as u64);
        let _ = std::fs::remove_file(&file);
        Ok(Some(probed? / figure((PROBE / PAGE) as u64)))
    }

    /// Empties the page cache of the broker's files, whatever is on their way to the device first written.
    pub fn evict(&self) -> io::Result<()> {
        let mut left: Vec<PathBuf> = self.data.iter().cloned().collect();
        while let Some(dir) = left.pop() {
            for entry in std::fs::read_dir(dir)? {
                let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
                if kind.is_dir() {
                    left.push(path);
                } else if let Ok(file) = File::open(&path) {
                    file.sync_all()?;
                    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
                }
            }
        }
        Ok(())
    }
}

impl Counters {
    /// What was used since `before`.
    pub fn since(&self, before: &Counters) -> Used {
        let took = self.at.duration_since(before.at).as_secs_f64().max(1e-9);
        let cores = |now: u64, then: u64| figure(now.saturating_sub(then)) / 1e9 / took;
        let generator = cores(self.generator, before.generator);
        let broker = self.broker.zip(before.broker).map(|(now, then)| cores(now, then));
        let foreign = cores(self.busy, before.busy) - generator - broker.unwrap_or(0.0);
        let flushes = self.flushes.zip(before.flushes).map(|(now, then)| now.saturating_sub(then));
        let each = self.threads.iter().zip(&before.threads).map(|(now, then)| cores(*now, *then));
        let (busiest, steal) = (each.fold(0.0, f64::max), cores(self.steal, before.steal));
        Used { generator, busiest, broker, foreign: foreign.max(0.0), steal, flushes }
    }
}

/// The congestion control that sockets have unless they ask for another.
pub fn congestion() -> Option<String> {
    text("/proc/sys/net/ipv4/tcp_congestion_control").ok().map(|name| name.trim().into())
}

/// The kernel's release.
pub fn kernel() -> Option<String> {
    text("/proc/sys/kernel/osrelease").ok().map(|name| name.trim().into())
}

fn cpu(of: ClockId) -> u64 {
    let time = rustix::time::clock_gettime(of);
    let part = |n: i64| u64::try_from(n).unwrap_or(0);
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}

pub(crate) fn text(path: &str) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// Writes so many bytes. Returns the microseconds that it took.
fn write(path: &Path, bytes: u64) -> io::Result<f64> {
    let piece = vec![b'x'; 1 << 20];
    let (mut file, begun) = (File::create(path)?, Instant::now());
    for _ in 0..bytes.div_ceil(piece.len() as u64) {
        file.write_all(&piece)?;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6)
}

/// Nanoseconds that all processors were busy, and that were stolen from them.
fn processors(stat: &str) -> (u64, u64) {
    let first = stat.lines().next().unwrap_or("");
    let ticks: Vec<u64> = first.split_whitespace().skip(1).map(|n| n.parse().unwrap_or(0)).collect();
    let of = |at: usize| ticks.get(at).copied().unwrap_or(0) * TICK;
    // user, nice, system, idle, iowait, irq, softirq, steal
    (of(0) + of(1) + of(2) + of(5) + of(6), of(7))
}

/// Nanoseconds that the threads of a process that still live were on a processor: exact, where the ticks of its `stat` miss
/// whoever is never running when one comes.
fn process(pid: u32) -> io::Result<u64> {
    let mut sum = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // One that ends meanwhile has no file any more.
        let of = text(&task?.path().join("schedstat").to_string_lossy());
        sum += of.ok().and_then(|stat| running(&stat)).unwrap_or(0);
    }
    Ok(sum)
}

/// The first of a thread's three numbers.
pub(crate) fn running(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().next()?.parse().ok()
}

/// The device that a path is on.
fn device(path: &Path) -> Option<(u32, u32)> {
    let stat = rustix::fs::stat(path).ok()?;
    let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
    // Flushes are counted of whole devices only (Documentation/admin-guide/iostats.rst).
    let mut of = format!("/sys/dev/block/{major}:{minor}");
    if Path::new(&of).join("partition").exists() {
        of.push_str("/..");
    }
    // One without a cache has nothing to flush, and counts none.
    if text(&format!("{of}/queue/write_cache")).ok()?.trim() != "write back" {
        return None;
    }
    let whole = text(&format!("{of}/dev")).ok()?;
    let (major, minor) = whole.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// How many flushes a device has completed: field 16 of its statistics (Linux 5.5).
fn flushes(diskstats: &str, (major, minor): (u32, u32)) -> Option<u64> {
    let of = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is = fields.first()?.parse() == Ok(major) && fields.get(1)?.parse() == Ok(minor);
        is.then(|| fields.get(18)?.parse().ok()).flatten()
    };
    diskstats.lines().find_map(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_counters_are_read() {
        let stat = "cpu  100 1 50 9000 7 2 3 4 0 0\ncpu0 1 1 1 1\n";
        assert_eq!(processors(stat), (156 * TICK, 4 * TICK));
        assert_eq!((running("307244 1804549 2\n"), running("")), (Some(307_244), None));
        let disk = " 253 0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 77 88\n 253 1 vda1 1 2\n";
        assert_eq!((flushes(disk, (253, 0)), flushes(disk, (253, 1)), flushes(disk, (8, 0))), (Some(77), None, None));
    }

    #[test]
    fn work_is_seen_whoever_does_it() {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine { pids: vec![std::process::id()], data: Some(dir.path().into()) };
        let before = machine.read(&[]).unwrap();
        assert!(machine.warm(1 << 20).unwrap().unwrap() > 0.0);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let used = machine.read(&[]).unwrap().since(&before);
        assert!(used.generator > 0.0 && used.broker.is_some(), "{used:?}");
        std::fs::write(dir.path().join("f"), "x").unwrap();
        machine.evict().unwrap();
    }
}
