//! Which of the machine's limits binds a run, whatever the broker: the least of what each resource that a record passes allows.

use std::io;
use std::path::Path;

use broker::config::FlushPolicy;
use broker::record::Compression;

use super::probes::{Onto, commits, group_commit};
use super::{Coding, Limits, number};
use crate::machine;
use crate::spec::{Drive, Reading, Spec};
use crate::threads::{a_side, cpus};

/// Threads that wait for a syncer, at most.
const MOST_WAITERS: usize = 256;

/// The limit that binds a run.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Bound {
    /// What limits it.
    pub by: String,
    /// Records a second.
    pub rate: f64,
}

impl Bound {
    fn new(by: impl Into<String>, rate: f64) -> Self {
        Self { by: by.into(), rate }
    }
}

/// What a record of an open loop takes at least, whatever the broker.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Floor {
    /// What it waits for.
    pub by: String,
    /// Microseconds, in the median.
    pub us: f64,
}

impl Limits {
    /// What binds a run of `spec` on this machine: syncs that acknowledgements share, the way there and back, the connections,
    /// the page cache or the device, and the threads that encode and decode records (`coding`, where the protocol is Kafka's).
    /// A log that grows takes new pages, of `page_us` microseconds each after the run; one that retention keeps short has those
    /// of what was deleted. All replicas are on this machine.
    pub fn binding(&self, spec: &Spec, dir: &Path, page_us: Option<f64>, coding: Option<&Coding>) -> io::Result<Bound> {
        let value = number(spec.record_bytes);
        let stored = match (spec.compression.0, coding) {
            (Compression::None, _) | (_, None) => value,
            (_, Some(coding)) => coding.bytes,
        };
        let mut all = vec![self.through_loopback(spec, stored), self.through_files(spec, stored, page_us)];
        all.extend(coding.into_iter().flat_map(|coding| by_clients(spec, *coding)));
        if !matches!(spec.reading, Reading::CatchUp { .. }) && spec.acks != 0 {
            all.extend(self.there_and_back(spec));
            all.extend(synced(spec, dir, stored)?);
        }
        let least = all.into_iter().min_by(|a, b| a.rate.total_cmp(&b.rate));
        Ok(least.expect("there are connections and files"))
    }

    /// What the publish latency of an open loop, or end to end where that is timed, is at least: a record goes to the broker,
    /// is made durable or replicated where that is asked for, and something comes back.
    pub fn floor(&self, spec: &Spec) -> Option<Floor> {
        let trips = round_trips(spec);
        let sync = self.commits.first().filter(|_| spec.flush == FlushPolicy::Always && spec.acks != 0);
        let by = match (trips, sync.is_some()) {
            (1.0, false) => "a round trip of 100 bytes",
            (1.0, true) => "a round trip of 100 bytes and one fdatasync()",
            (_, false) => "two round trips of 100 bytes",
            (_, true) => "two round trips of 100 bytes and one fdatasync()",
        };
        let us = self.round_trip_us.0 * trips + sync.map_or(0.0, |sync| sync.p50_us);
        matches!(spec.drive, Drive::Open { .. }).then(|| Floor { by: by.into(), us })
    }

    /// One connection carries what the probe's did, and all together no more than the processors can copy: two for each.
    fn through_loopback(&self, spec: &Spec, stored: f64) -> Bound {
        let one = self.loopback.iter().map(|(_, rate)| *rate).fold(0.0, f64::max) * 1e6;
        let all = one * (number(cpus()) / 2.0).max(1.0);
        let catches_up = matches!(spec.reading, Reading::CatchUp { .. });
        let readers = if spec.reads_along() { spec.groups() } else { 0 };
        let ways = if catches_up { 1.0 } else { number(usize::from(spec.replication.unsigned_abs()) + readers) };
        let connections = number(if catches_up { spec.consumers } else { spec.producers });
        let rate = (one * connections).min(all / ways) / stored;
        Bound::new(
            if ways > 1.0 { format!("loopback, {ways} times over") } else { "a loopback connection".into() },
            rate,
        )
    }

    /// Bytes a microsecond are megabytes a second.
    fn through_files(&self, spec: &Spec, stored: f64, page_us: Option<f64>) -> Bound {
        let grown = page_us.map_or(f64::INFINITY, |us| number(machine::PAGE) / us);
        let (mb, by) = match spec.reading {
            Reading::CatchUp { cold: true, .. } if self.cold_read > 0.0 => (self.cold_read, "read() from the device"),
            Reading::CatchUp { .. } => (self.read, "read() from the page cache"),
            _ if spec.retain_megabytes.is_some() => (self.overwrite.max(self.write), "write() over what was written"),
            _ if grown < self.write => (grown, "write() into new pages"),
            _ => (self.write, "write() into the page cache"),
        };
        let copies = if matches!(spec.reading, Reading::CatchUp { .. }) { 1 } else { spec.replication.unsigned_abs() };
        let by = if copies > 1 { format!("{by}, {copies} times over") } else { by.into() };
        Bound::new(by, mb * 1e6 / stored / f64::from(copies))
    }

    /// Of a closed loop, each of whose records waits for its own.
    fn there_and_back(&self, spec: &Spec) -> Option<Bound> {
        let Drive::Closed { in_flight } = spec.drive else { return None };
        let trips = round_trips(spec);
        let by = if trips > 1.0 { "two round trips of 100 bytes" } else { "a round trip of 100 bytes" };
        let waiting = number(spec.producers * in_flight);
        Some(Bound::new(by, waiting * 1e6 / self.round_trip_us.0 / trips))
    }
}

/// A follower has a record by one answer, and says so by its next request.
fn round_trips(spec: &Spec) -> f64 {
    if spec.replication > 1 && spec.acks == -1 { 2.0 } else { 1.0 }
}

/// What the generator's threads can encode and decode.
fn by_clients(spec: &Spec, coding: Coding) -> Vec<Bound> {
    let threads = |clients: usize| clients.min(a_side());
    let with = match spec.compression.0 {
        Compression::None => String::new(),
        _ => format!(" with {}", spec.compression.name()),
    };
    let on = |threads: usize| if threads == 1 { "one thread".into() } else { format!("{threads} threads") };
    let (writers, readers) = (threads(spec.producers), threads(spec.consumers * spec.groups()));
    let groups = number(if spec.reads_along() { spec.groups() } else { 1 });
    let encode = Bound::new(format!("encoding{with} on {}", on(writers)), coding.encode * number(writers));
    let decode = Bound::new(format!("decoding{with} on {}", on(readers)), coding.decode * number(readers) / groups);
    match spec.reading {
        Reading::CatchUp { .. } => vec![decode],
        _ if spec.reads_along() => vec![encode, decode],
        _ => vec![encode],
    }
}

/// The syncs that acknowledgements of a durable run share; probed anew, as it depends on how many wait.
pub(super) fn synced(spec: &Spec, dir: &Path, stored: f64) -> io::Result<Option<Bound>> {
    if spec.flush != FlushPolicy::Always {
        return Ok(None);
    }
    let onto = if spec.retain_megabytes.is_some() { Onto::Written } else { Onto::Growing };
    let over = if onto == Onto::Written { " over what was written" } else { "" };
    let waiters = match spec.drive {
        Drive::Closed { in_flight } => spec.producers * in_flight,
        Drive::Open { .. } => usize::MAX,
    };
    if waiters <= MOST_WAITERS {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes of one record")]
        let rate = group_commit(dir, waiters, stored.ceil() as usize, onto)?;
        return Ok(Some(Bound::new(format!("{waiters} waiting for one syncer{over}"), rate)));
    }
    let whole = commits(dir, spec.batch_bytes * spec.requests_in_flight * spec.producers, onto)?;
    let by = format!("write() and fdatasync() of {} KiB{over}", whole.bytes >> 10);
    Ok(Some(Bound::new(by, whole.rate * number(whole.bytes) / stored)))
}
