//! What the machine does without any broker, by the plainest code there is: a result is worth what it is of these.

use std::fmt;
use std::io;
use std::path::Path;

use crate::machine::Machine;
use crate::outcome::grouped;

mod binding;
pub(crate) mod coding;
mod probes;

pub use binding::{Bound, Floor};
pub use coding::Coding;
use probes::Onto;

/// Writes that are made durable one after the other.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct Commits {
    /// Bytes of each.
    pub bytes: usize,
    /// Whether they go over what was written before, as into a recycled segment; else the file grows.
    #[serde(default)]
    pub reused: bool,
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
    /// MB a second written over what was written, as into a recycled segment; 0 where it was not measured.
    #[serde(default)]
    pub overwrite: f64,
    /// MB a second read from it.
    pub read: f64,
    /// MB a second read when the page cache was emptied of it; 0 where it was not measured.
    #[serde(default)]
    pub cold_read: f64,
    /// `write()` and `fdatasync()`.
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

impl Limits {
    /// Probes the disk that `dir` is on, and the rest of the machine.
    pub fn probe(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let machine = Machine { data: Some(dir.into()), ..Machine::default() };
        let page_us = machine.warm(probes::WRITTEN as u64)?.unwrap_or(0.0);
        let before = machine.read(&[])?;
        let streams = probes::streams(dir)?;
        let growing = [1 << 10, 16 << 10, 64 << 10, 1 << 20].map(|bytes| (bytes, Onto::Growing));
        let sizes = growing.into_iter().chain([1 << 10, 64 << 10].map(|bytes| (bytes, Onto::Written)));
        let commits = sizes.map(|(bytes, onto)| probes::commits(dir, bytes, onto));
        let group = |waiters| Ok((waiters, probes::group_commit(dir, waiters, 1 << 10, Onto::Growing)?));
        let groups = [1, 16, 64].map(group);
        // Where cubic is not allowed there is no such row.
        let cubic = probes::loopback(Some("cubic")).ok().map(Ok);
        let loopback = [probes::loopback(None)].into_iter().chain(cubic);
        let this = Self {
            page_us,
            write: streams.write,
            overwrite: streams.overwrite,
            read: streams.read,
            cold_read: streams.cold_read,
            groups: groups.into_iter().collect::<io::Result<_>>()?,
            commits: commits.collect::<io::Result<_>>()?,
            loopback: loopback.collect::<io::Result<_>>()?,
            round_trip_us: probes::round_trip()?,
            crc: probes::crc(),
            foreign: machine.read(&[])?.since(&before).foreign,
        };
        Ok(this)
    }
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
        for (what, mb) in [
            ("over what was written", self.overwrite),
            ("read() from it", self.read),
            ("read() from the device", self.cold_read),
        ] {
            writeln!(f, "{what:27} {:>12} MB/s", grouped(mb))?;
        }
        for c in &self.commits {
            let size = format!("{} KiB{} + fdatasync()", c.bytes >> 10, if c.reused { " over" } else { "" });
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
mod tests;
