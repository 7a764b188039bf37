//! The log beside what the machine can do at best: `write`, `read` and `fdatasync` of the same bytes, in turns.
//!
//! Absolute figures of a shared machine say little: first writes into cold guest memory are 15 times slower than later
//! ones, and a busy core makes every fsync wait for a scheduler tick. So memory is warmed first, each measurement
//! alternates with its limit, and the result is the median of the rounds' ratios.

#![expect(
    clippy::disallowed_methods,
    reason = "measures the machine: real files and the real clock, no simulated world"
)]

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use broker::config::LogConfig;
use broker::env::real::RealDisk;
use broker::ids::TopicPartition;
use broker::log::{FilePool, Log, LogError, OpenHow};
use broker::record::{BatchBuilder, Compression};

/// What to measure with.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct Options {
    /// Bytes appended and read in a round.
    pub bytes: usize,
    /// Bytes of the log that is recovered.
    pub recovery_bytes: usize,
    /// Bytes of a batch, about.
    pub batch_bytes: usize,
    /// Bytes of a record's value.
    pub record_bytes: usize,
    /// Bytes that share one fsync.
    pub group_bytes: usize,
    /// Groups committed in a round.
    pub groups: usize,
    /// Rounds; the median is reported.
    pub rounds: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bytes: 512 << 20,
            recovery_bytes: 1 << 30,
            batch_bytes: 1 << 20,
            record_bytes: 1 << 10,
            group_bytes: 1 << 20,
            groups: 100,
            rounds: 5,
        }
    }
}

/// Batches of a group.
pub const GROUP: usize = 16;

/// Groups before those that count.
const COLD: usize = 5;

/// A measurement and its limit in the same rounds.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct Beside {
    /// Median of the log, in MB (10^6 bytes) a second.
    pub log: f64,
    /// Median of the plain loop.
    pub plain: f64,
    /// Median, least and most of the rounds' ratios log / plain.
    pub ratio: (f64, f64, f64),
}

/// What [`run`] measured.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct LogBench {
    /// How it was measured.
    pub options: Options,
    /// Appends beside a `write()` loop.
    pub append: Beside,
    /// Sequential fetches beside a `read()` loop.
    pub fetch: Beside,
    /// Group commits of [`GROUP`] batches beside as many `write()`s of the same bytes and an `fdatasync()`.
    pub commit: Beside,
    /// Commits of one batch as large as a group, beside one such `write()` and an `fdatasync()`.
    pub commit_one: Beside,
    /// Recovery of an unclean log, warm: MB a second, median, least and most.
    pub recovery: (f64, f64, f64),
    /// Microseconds per page of a 64 MiB probe write before the run: above 3, guest memory was cold.
    pub page_us: f64,
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, least, most) = self.ratio;
        write!(f, "{:>8.0} {:>8.0} {median:>7.2}   {least:.2}..{most:.2}", self.log, self.plain)
    }
}

impl fmt::Display for LogBench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let o = &self.options;
        writeln!(
            f,
            "log, {} KiB batches of {} B records, {} MiB a round, median of {} rounds; page {:.1} us",
            o.batch_bytes >> 10,
            o.record_bytes,
            o.bytes >> 20,
            o.rounds,
            self.page_us
        )?;
        writeln!(f, "{:<34}{:>8} {:>8} {:>7}   least..most", "", "MB/s", "limit", "ratio")?;
        writeln!(f, "{:<34}{}", "append, beside write()", self.append)?;
        writeln!(f, "{:<34}{}", "fetch, beside read()", self.fetch)?;
        let group = o.group_bytes >> 10;
        let (commit, one) =
            (format!("commit {GROUP} x {} KiB, beside the same", group / GROUP), format!("commit 1 x {group} KiB"));
        writeln!(f, "{commit:<34}{}", self.commit)?;
        writeln!(f, "{one:<34}{}", self.commit_one)?;
        let (median, least, most) = self.recovery;
        writeln!(f, "{:<34}{median:>8.0} {:>16}   {least:.0}..{most:.0}", "recovery, unclean, warm", "")
    }
}

/// Measures in `dir`, which is created, and left empty.
pub fn run(dir: &Path, options: Options) -> io::Result<LogBench> {
    fs::create_dir_all(dir)?;
    let bench = Bench { dir, options, batch: batch(&options, options.batch_bytes) };
    bench.warm_up()?;
    let page_us = bench.probe()?;
    let (mut append, mut fetch, mut recovery) = (Vec::new(), Vec::new(), Vec::new());
    let (mut commit, mut commit_one) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds.max(1) {
        let (appended, fetched) = bench.append_and_fetch()?;
        append.push(appended);
        fetch.push(fetched);
        commit.push(bench.commits(GROUP)?);
        commit_one.push(bench.commits(1)?);
    }
    bench.fill_unclean()?;
    for _ in 0..options.rounds.max(1) {
        recovery.push(bench.recover()?);
    }
    bench.clear()?;
    let (append, fetch, recovery) = (beside(append), beside(fetch), spread(recovery));
    let (commit, commit_one) = (beside(commit), beside(commit_one));
    Ok(LogBench { options, append, fetch, commit, commit_one, recovery, page_us })
}

fn batch(options: &Options, size: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    let value = vec![b'x'; options.record_bytes];
    loop {
        builder.append(1, None, Some(&value), std::iter::empty::<(&str, Option<&str>)>());
        if builder.size() + options.record_bytes + 16 > size {
            return builder.finish(Compression::None).to_vec();
        }
    }
}

fn spread(mut all: Vec<f64>) -> (f64, f64, f64) {
    all.sort_by(f64::total_cmp);
    (all[all.len() / 2], all[0], all[all.len() - 1])
}

fn beside(rounds: Vec<(f64, f64)>) -> Beside {
    let median = |pick: fn(&(f64, f64)) -> f64| spread(rounds.iter().map(pick).collect()).0;
    Beside { log: median(|r| r.0), plain: median(|r| r.1), ratio: spread(rounds.iter().map(|r| r.0 / r.1).collect()) }
}

fn rate(bytes: usize, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
    let megabytes = bytes as f64 / 1e6;
    megabytes / took.as_secs_f64()
}

fn failed(error: LogError) -> io::Error {
    match error {
        LogError::Io(error) => error,
        other => io::Error::other(other),
    }
}

struct Bench<'a> {
    dir: &'a Path,
    options: Options,
    batch: Vec<u8>,
}

impl Bench<'_> {
    fn config(&self) -> LogConfig {
        let max_message_bytes = u32::try_from(self.batch.len()).unwrap_or(u32::MAX);
        LogConfig { max_message_bytes, ..LogConfig::default() }
    }

    fn open(&self, name: &str) -> io::Result<Log<RealDisk>> {
        let pool = FilePool::new(RealDisk::new(self.dir.to_owned())?, 64);
        let opened = Log::open(&pool, name, TopicPartition::new("bench", 0), self.config(), OpenHow::default());
        Ok(opened.map_err(failed)?.0)
    }

    fn count(&self, bytes: usize) -> usize {
        (bytes / self.batch.len()).max(1)
    }

    /// Touches as much page cache as a round will use.
    fn warm_up(&self) -> io::Result<()> {
        let path = self.dir.join("warm");
        let mut file = File::create(&path)?;
        for _ in 0..self.count(self.options.recovery_bytes.max(2 * self.options.bytes)) {
            file.write_all(&self.batch)?;
        }
        fs::remove_file(path)
    }

    /// Microseconds per page of a small write now.
    fn probe(&self) -> io::Result<f64> {
        let path = self.dir.join("probe");
        let mut file = File::create(&path)?;
        let began = Instant::now();
        let count = self.count(64 << 20);
        for _ in 0..count {
            file.write_all(&self.batch)?;
        }
        let took = began.elapsed();
        fs::remove_file(path)?;
        Ok(4096.0 / rate(count * self.batch.len(), took))
    }

    /// Appends beside a `write()` loop, then fetches beside a `read()` loop: (log, plain) of each. They take turns of a
    /// few batches, so that whatever else the machine does falls on both.
    fn append_and_fetch(&self) -> io::Result<((f64, f64), (f64, f64))> {
        const TURN: usize = 16;
        let path = self.dir.join("plain");
        let mut file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        let mut log = self.open("log")?;
        let mut batch = self.batch.clone();
        let turns = self.count(self.options.bytes).div_ceil(TURN);
        let bytes = turns * TURN * batch.len();
        let (mut ours, mut plain) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..turns {
            let began = Instant::now();
            for _ in 0..TURN {
                file.write_all(&self.batch)?;
            }
            plain += began.elapsed();
            let began = Instant::now();
            for _ in 0..TURN {
                log.append_leader(&mut batch, 0, 0).map_err(failed)?;
            }
            ours += began.elapsed();
        }
        let append = (rate(bytes, ours), rate(bytes, plain));
        file.rewind()?;
        let mut buffer = vec![0; batch.len()];
        let (mut at, mut fetched, end) = (0, 0, log.log_end());
        (ours, plain) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..turns {
            let began = Instant::now();
            for _ in 0..TURN {
                file.read_exact(&mut buffer)?;
            }
            plain += began.elapsed();
            let began = Instant::now();
            for _ in 0..TURN {
                let slice = log.read(at, batch.len(), end, true).map_err(failed)?;
                fetched += slice.records.len();
                at = slice.next;
            }
            ours += began.elapsed();
        }
        let fetch = (rate(fetched, ours), rate(bytes, plain));
        log.delete().map_err(failed)?;
        fs::remove_file(path)?;
        Ok((append, fetch))
    }

    /// Group commits of the log and of a plain file in turns: the same bytes in as many writes, since many small writes
    /// cost the page cache more than a large one, with any of them. Of each the median group counts: on a busy machine a
    /// sync now and then waits for a tick of the scheduler, 4 ms and more, and a sum would tell on whom those fell.
    fn commits(&self, batches: usize) -> io::Result<(f64, f64)> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let mut log = self.open("commit")?;
        let path = self.dir.join("commit.plain");
        let mut file = File::create(&path)?;
        let mut batch = batch(&self.options, self.options.group_bytes / batches);
        let (mut ours, mut plain) = (Vec::new(), Vec::new());
        // The first ones make directory entries durable and find the caches cold.
        for group in 0..COLD + self.options.groups.max(1) {
            let began = Instant::now();
            for _ in 0..batches {
                file.write_all(&batch)?;
            }
            file.sync_data()?;
            let plain_took = began.elapsed();
            let began = Instant::now();
            for _ in 0..batches {
                log.append_leader(&mut batch, 0, 0).map_err(failed)?;
            }
            let flush = log.begin_flush().map_err(failed)?;
            runtime.block_on(flush.sync()).map_err(failed)?;
            log.end_flush(flush).map_err(failed)?;
            if group >= COLD {
                ours.push(began.elapsed());
                plain.push(plain_took);
            }
        }
        log.delete().map_err(failed)?;
        fs::remove_file(path)?;
        let median = |mut all: Vec<Duration>| {
            all.sort_unstable();
            rate(batches * batch.len(), all[all.len() / 2])
        };
        Ok((median(ours), median(plain)))
    }

    fn fill_unclean(&self) -> io::Result<()> {
        let mut log = self.open("recover")?;
        let mut batch = self.batch.clone();
        for _ in 0..self.count(self.options.recovery_bytes) {
            log.append_leader(&mut batch, 0, 0).map_err(failed)?;
        }
        Ok(())
    }

    fn recover(&self) -> io::Result<f64> {
        let began = Instant::now();
        let log = self.open("recover")?;
        Ok(rate(usize::try_from(log.size()).unwrap_or(usize::MAX), began.elapsed()))
    }

    fn clear(&self) -> io::Result<()> {
        self.open("recover")?.delete().map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_everything_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            bytes: 1 << 20,
            recovery_bytes: 1 << 20,
            batch_bytes: 1 << 16,
            groups: 10,
            group_bytes: 1 << 16,
            rounds: 1,
            ..Options::default()
        };
        let bench = run(dir.path(), options).unwrap();
        for figure in
            [bench.append.log, bench.fetch.log, bench.commit.log, bench.commit_one.log, bench.recovery.0, bench.page_us]
        {
            assert!(figure > 0.0 && figure.is_finite(), "{bench}");
        }
        assert_eq!(bench.to_string().lines().count(), 7);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
