//! What comes in, what is kept of it, and what of that crosses disks, networks and processors at the peak.

use super::derivation::{Sheet, Term};
use super::given::Point;
use super::input;
use super::unit::{Bytes, BytesPerRecord, BytesPerSecond, Cores, Count, RecordsPerSecond, Seconds};

/// The load.
pub(super) struct Load {
    /// Records a second, on average.
    pub average: Term<RecordsPerSecond>,
    /// Records a second at the peak.
    pub peak: Term<RecordsPerSecond>,
    /// What all replicas keep.
    pub stored: Term<Bytes>,
    /// Bytes a second that producers send at the peak, compressed.
    pub produced: Term<BytesPerSecond>,
}

/// What that does to all brokers together at the peak.
pub(super) struct Traffic {
    /// Written to disks.
    pub written: Term<BytesPerSecond>,
    /// Written to and read from disks.
    pub disk: Term<BytesPerSecond>,
    /// Into brokers.
    pub network_in: Term<BytesPerSecond>,
    /// Out of brokers.
    pub network_out: Term<BytesPerSecond>,
    /// What it keeps busy.
    pub cores: Term<Cores>,
    /// What the page cache would hold.
    pub cached: Term<Bytes>,
}

/// What comes in and what is kept.
pub(super) fn load(sheet: &mut Sheet, at: &Point) -> Load {
    sheet.part("Load");
    let second_in_day: Term<Seconds> = Term::constant("86,400 s", 86_400.0);
    let (daily, average) = match at.find(&input::RATE) {
        Some(rate) => {
            let average = sheet.line("average rate", rate);
            (sheet.line("records a day", average.times(&second_in_day)), average)
        }
        None => {
            let daily = sheet.line("records a day", at.get(&input::USERS).times(&at.get(&input::EVENTS)));
            let average = sheet.line("average rate", daily.over(&second_in_day));
            (daily, average)
        }
    };
    let peak = sheet.line("peak rate", average.times(&at.get(&input::PEAK)));
    let record: Term<BytesPerRecord> =
        sheet.line("record on disk", at.get(&input::SIZE).over(&at.get(&input::COMPRESSION)));
    let bytes = sheet.line("bytes a day", daily.times(&record));
    let day: Term<Seconds> = Term::constant("1 d", 86_400.0);
    let kept = sheet.line("kept once", bytes.times(&at.get(&input::RETENTION).over(&day)));
    let stored = sheet.line("kept in all", kept.times(&at.get(&input::REPLICATION)));
    sheet.line("average throughput", average.times(&record));
    let produced = sheet.line("peak throughput", peak.times(&record));
    Load { average, peak, stored, produced }
}

/// What crosses brokers at the peak.
pub(super) fn traffic(sheet: &mut Sheet, at: &Point, load: &Load) -> Traffic {
    sheet.part("All brokers at the peak");
    let one: Term<Count> = Term::constant("1", 1.0);
    let (replicas, readers) = (at.get(&input::REPLICATION), at.get(&input::FAN_OUT));
    let written = sheet.line("disk writes", load.produced.times(&replicas));
    let read = sheet.line("disk reads", load.produced.times(&readers).times(&at.get(&input::COLD_READS)));
    let disk = sheet.line("disk throughput", written.plus(&read));
    let network_in = sheet.line("network in", load.produced.times(&replicas));
    let network_out = sheet.line("network out", load.produced.times(&replicas.less(&one).plus(&readers)));
    let for_bytes = network_in.plus(&network_out).times(&at.get(&input::CPU_PER_GB));
    let for_records = load.peak.times(&at.get(&input::CPU_PER_MILLION));
    let cores = sheet.line("processors", for_bytes.plus(&for_records));
    let cached = sheet.line("newest data in memory", written.times(&at.get(&input::CACHE_WINDOW)));
    Traffic { written, disk, network_in, network_out, cores, cached }
}
