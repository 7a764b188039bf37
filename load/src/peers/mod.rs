//! Systems that are no Kafka, driven by the same generator as hard as their protocols let: what is sent is not waited for.

mod answers;
mod link;
pub mod nats;
pub mod redis;

use std::io;
use std::time::Duration;

use crate::spec::{Keys, Reading, Spec};

/// How long a connection may be silent that owes an answer, and a call that is not timed may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a poll waits.
const POLL: Duration = Duration::from_millis(100);
/// Records of one poll, at most, before they are looked at.
const AT_ONCE: usize = 4096;

/// What neither of them has: not driven, rather than driven otherwise than it says.
fn refuse(spec: &Spec) -> io::Result<()> {
    let refused = [
        (spec.keys != Keys::None, "records have no keys here"),
        (spec.compacted, "there is no compaction here"),
        (spec.idempotent, "no producer numbers its records here"),
        (spec.acks == 0, "every record is acknowledged here"),
        (spec.compression.name() != "none", "no client compresses here"),
        (spec.retain_megabytes.is_some(), "nothing is deleted here"),
        (matches!(spec.reading, Reading::Group { .. }), "consumers share partitions out by themselves here"),
    ];
    match refused.iter().find(|(refused, _)| *refused) {
        Some((_, why)) => Err(io::Error::new(io::ErrorKind::Unsupported, *why)),
        None => Ok(()),
    }
}

/// Which partition a record goes to: as many bytes to each as Kafka's producers batch, then on to the next.
struct Spreading {
    partitions: u64,
    records: u64,
}

impl Spreading {
    fn new(spec: &Spec) -> Self {
        let records = (spec.batch_bytes / spec.record_bytes).max(1) as u64;
        Self { partitions: u64::from(spec.partitions.unsigned_abs()), records }
    }

    /// That of record `n`.
    fn of(&self, n: u64) -> usize {
        usize::try_from(n / self.records % self.partitions).unwrap_or(0)
    }
}

/// The partitions of consumer `share`.
fn shared(spec: &Spec, share: usize) -> impl Iterator<Item = i32> {
    (0..spec.partitions).skip(share).step_by(spec.consumers)
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_these_systems_do_not_have_is_refused() {
        assert!(refuse(&Spec::default()).is_ok());
        let bad = [
            Spec { keys: Keys::Even(2), ..Spec::default() },
            Spec { compacted: true, ..Spec::default() },
            Spec { idempotent: true, ..Spec::default() },
            Spec { acks: 0, ..Spec::default() },
            Spec { compression: crate::spec::Codec(broker::record::Compression::Zstd), ..Spec::default() },
        ];
        for spec in bad {
            assert_eq!(refuse(&spec).unwrap_err().kind(), io::ErrorKind::Unsupported, "{spec:?}");
        }
    }

    #[test]
    fn records_go_round_the_partitions_by_the_batch() {
        let spreading =
            Spreading::new(&Spec { partitions: 3, batch_bytes: 2048, record_bytes: 1024, ..Spec::default() });
        let to: Vec<_> = (0..8).map(|n| spreading.of(n)).collect();
        assert_eq!(to, [0, 0, 1, 1, 2, 2, 0, 0]);
    }

    #[test]
    fn every_partition_is_one_consumers() {
        let spec = Spec { partitions: 7, consumers: 3, ..Spec::default() };
        let mut all: Vec<_> = (0..3).flat_map(|share| shared(&spec, share)).collect();
        all.sort_unstable();
        assert_eq!(all, (0..7).collect::<Vec<_>>());
    }
}
