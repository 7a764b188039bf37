//! The log's promises one by one, over the disk in memory.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::testing::MemDisk;
use super::*;
use crate::fact::Fact;
use crate::record::{BatchBuilder, Compression};

pub(super) const DIR: &str = "t-0";

pub(super) fn tp() -> TopicPartition {
    TopicPartition::new("t", 0)
}

/// Runs what never waits.
pub(super) fn now<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("the disk in memory never waits"),
    }
}

pub(super) fn small() -> LogConfig {
    LogConfig { segment_bytes: 1000, index_interval_bytes: 200, retention_ms: None, ..LogConfig::default() }
}

pub(super) fn open_with(disk: &MemDisk, config: LogConfig, how: OpenHow) -> Result<(Log<MemDisk>, Recovery), LogError> {
    Log::open(&FilePool::new(disk.clone(), 8), DIR, tp(), config, how)
}

pub(super) fn open(disk: &MemDisk, recovery_point: Offset) -> (Log<MemDisk>, Recovery) {
    open_with(disk, small(), OpenHow { recovery_point, list_tail: true, ..OpenHow::default() }).unwrap()
}

pub(super) fn batch(timestamps: &[Timestamp], size: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for &timestamp in timestamps {
        builder.append(timestamp, None, Some(&vec![7; size]), std::iter::empty::<(&str, Option<&str>)>());
    }
    builder.finish(Compression::None).to_vec()
}

pub(super) fn flush(log: &mut Log<MemDisk>) {
    let flush = log.begin_flush().unwrap();
    now(flush.sync()).unwrap();
    log.end_flush(flush).unwrap();
}

/// Closes it, as at the end of a node that stops.
pub(super) fn close(log: &mut Log<MemDisk>) {
    let closing = log.close().unwrap();
    now(closing.sync()).unwrap();
    log.end_flush(closing).unwrap();
}

pub(super) fn append(log: &mut Log<MemDisk>, timestamps: &[Timestamp]) -> Appended {
    log.append_leader(&mut batch(timestamps, 100), 3, 0).unwrap()
}

/// Appends `count` batches of one record, with timestamps from 0.
fn fill(log: &mut Log<MemDisk>, count: i64) {
    for at in 0..count {
        append(log, &[at]);
    }
}

pub(super) fn offsets(records: &Bytes) -> Vec<(Offset, Offset)> {
    let headers = Batches::new(records).map(|batch| *batch.unwrap().header());
    headers.map(|header| (header.base_offset, header.last_offset())).collect()
}

fn bad_lookups(disk: &MemDisk) -> Vec<String> {
    let Fact::Audited { bad_lookups, .. } = audit(disk, DIR, tp(), 0, false).unwrap() else { panic!("not an audit") };
    bad_lookups
}

#[test]
fn a_read_gives_whole_batches_from_the_one_that_holds_the_offset() {
    let disk = MemDisk::default();
    let (mut log, _) = open(&disk, 0);
    for at in 0..6 {
        let done = append(&mut log, &[at, at + 1]);
        assert_eq!((done.base, done.last), (2 * at, 2 * at + 1));
    }
    assert!(log.segment_count() > 1);
    let slice = log.read(3, 10_000, Offset::MAX, true).unwrap();
    assert_eq!(offsets(&slice.records), [(2, 3), (4, 5)], "up to the segment's end");
    assert_eq!(slice.next, 6);
    assert_eq!(offsets(&log.read(3, 1, Offset::MAX, true).unwrap().records), [(2, 3)]);
    assert!(log.read(3, 1, Offset::MAX, false).unwrap().records.is_empty());
    assert_eq!(offsets(&log.read(3, 10_000, 4, true).unwrap().records), [(2, 3)]);
    assert!(log.read(3, 10_000, 3, true).unwrap().records.is_empty());
    assert!(log.read(2, 10_000, 3, true).unwrap().records.is_empty(), "no batch across the bound");
    assert!(log.read(12, 10_000, Offset::MAX, true).unwrap().records.is_empty());
    assert!(matches!(log.read(13, 1, Offset::MAX, true), Err(LogError::OutOfRange { .. })));
}

#[test]
fn what_is_not_a_good_batch_leaves_no_trace() {
    let disk = MemDisk::default();
    let (mut log, _) = open(&disk, 0);
    append(&mut log, &[1]);
    let size = log.size();
    let mut bad = [batch(&[1], 10), batch(&[2], 10)].concat();
    *bad.last_mut().unwrap() ^= 1;
    assert!(matches!(log.append_leader(&mut bad, 3, 0), Err(LogError::Batch(BatchError::Crc { .. }))));
    assert!(log.append_leader(&mut [], 3, 0).is_err());
    assert_eq!((log.log_end(), log.size()), (1, size));
}

#[test]
fn a_full_disk_refuses_and_poisons_nothing() {
    let disk = MemDisk::default();
    let (mut log, _) = open(&disk, 0);
    append(&mut log, &[1]);
    disk.leave_room(Some(50));
    assert!(matches!(log.append_leader(&mut batch(&[2], 100), 3, 0), Err(LogError::Io(_))));
    disk.leave_room(None);
    append(&mut log, &[3]);
    assert_eq!(offsets(&log.read(0, 10_000, Offset::MAX, true).unwrap().records), [(0, 0), (1, 1)]);
    drop(log);
    let (log, recovery) = open(&disk, 0);
    assert_eq!((log.log_end(), recovery.torn_bytes), (2, 0));
}

#[test]
fn one_fsync_serves_many_appends_and_new_files_are_durable() {
    let disk = MemDisk::default();
    let (mut log, recovery) = open(&disk, 0);
    assert!(recovery.must_sync);
    for at in 0..3 {
        append(&mut log, &[at]);
    }
    flush(&mut log);
    let before = disk.syncs();
    for at in 0..2 {
        append(&mut log, &[at]);
    }
    let first = log.begin_flush().unwrap();
    append(&mut log, &[9]);
    now(first.sync()).unwrap();
    assert!(log.end_flush(first).unwrap());
    assert_eq!((log.flushed(), log.log_end(), disk.syncs() - before), (5, 6, 1));
    disk.lose_power(|| false);
    drop(log);
    let (log, _) = open(&disk, 5);
    assert_eq!(log.log_end(), 5);
}

#[test]
fn a_torn_tail_is_cut_and_the_rest_is_listed() {
    let disk = MemDisk::default();
    let (mut log, _) = open(&disk, 0);
    fill(&mut log, 3);
    let size = usize::try_from(log.size()).unwrap();
    drop(log);
    disk.flip(&format!("{DIR}/{}", Kind::Log.name(0)), size - 1);
    let (mut log, recovery) = open(&disk, 1);
    assert_eq!(log.log_end(), 2);
    assert_eq!(recovery.torn_bytes as usize, size / 3);
    assert_eq!(recovery.tail.iter().map(|mark| mark.base).collect::<Vec<_>>(), [1]);
    flush(&mut log);
    assert_eq!(bad_lookups(&disk), [""; 0]);
}

#[test]
fn damage_below_the_recovery_point_is_never_cut_off() {
    for clean in [true, false] {
        let disk = MemDisk::default();
        let (mut log, _) = open(&disk, 0);
        fill(&mut log, 3);
        close(&mut log);
        let size = log.size();
        drop(log);
        let path = format!("{DIR}/{}", Kind::Log.name(0));
        let file = disk.open(&path, crate::env::Open::Write).unwrap();
        file.truncate(size - 1).unwrap();
        let how = OpenHow { clean, recovery_point: 3, ..OpenHow::default() };
        assert!(matches!(open_with(&disk, small(), how), Err(LogError::Corrupt { .. })));
        assert_eq!(file.size().unwrap(), size - 1, "left as found");
        disk.remove(&path).unwrap();
        assert!(matches!(open_with(&disk, small(), how), Err(LogError::Corrupt { .. })));
    }
}

#[test]
fn a_trimmed_segment_that_comes_back_alone_is_not_missed_by_those_after_it() {
    let disk = MemDisk::default();
    let (mut log, _) = open(&disk, 0);
    for _ in 0..4 {
        fill(&mut log, 2);
        log.roll(0).unwrap();
    }
    flush(&mut log);
    drop(log);
    // The log begins at 4. Of the two segments before, the removal of one was durable; so were, of the two unsynced ones
    // after, the names of one.
    for base in [2, 4] {
        disk.remove(&format!("{DIR}/{}", Kind::Log.name(base))).unwrap();
    }
    let missing = OpenHow { recovery_point: 5, log_start: 4, ..OpenHow::default() };
    assert!(matches!(open_with(&disk, small(), missing), Err(LogError::Corrupt { offset: 2, segment: 6, .. })));
    let (log, _) = open_with(&disk, small(), OpenHow { recovery_point: 4, ..missing }).unwrap();
    assert_eq!((log.log_start(), log.log_end(), log.segment_count()), (4, 4, 1));
}

#[test]
fn the_audit_checks_what_is_kept_and_not_what_was_trimmed() {
    let disk = MemDisk::default();
    let (mut log, _) = open(&disk, 0);
    for at in 0..3 {
        append(&mut log, &[at, at]);
    }
    let size = usize::try_from(log.size()).unwrap();
    for batch in 1..=3 {
        disk.flip(&format!("{DIR}/{}", Kind::Log.name(0)), size / 3 * batch - 1);
    }
    // A batch that the start lies in is kept as a whole.
    for (start, bad) in [(0, &[0, 2, 4][..]), (2, &[2, 4]), (3, &[2, 4]), (4, &[4]), (6, &[])] {
        let Fact::Audited { bad_crc, .. } = audit(&disk, DIR, tp(), start, false).unwrap() else {
            panic!("not an audit")
        };
        assert_eq!(bad_crc, bad, "from {start}");
    }
}

#[test]
fn after_a_failed_fsync_nothing_is_served_and_recovery_rewrites() {
    let disk = MemDisk::default();
    let (mut log, _) = open(&disk, 0);
    append(&mut log, &[1]);
    flush(&mut log);
    append(&mut log, &[2]);
    disk.fail_syncs(1);
    let failed = log.begin_flush().unwrap();
    assert!(now(failed.sync()).is_err());
    assert!(matches!(log.read(0, 100, 1, true), Err(LogError::Offline)));
    assert!(matches!(log.append_leader(&mut batch(&[1], 1), 3, 0), Err(LogError::Offline)));
    drop(log);
    // The process restarts; the page cache still has the record, the device does not and thinks it has.
    let (mut log, recovery) = open(&disk, 1);
    assert!(recovery.rewritten && recovery.must_sync);
    flush(&mut log);
    assert_eq!(log.flushed(), 2);
    drop(log);
    disk.lose_power(|| false);
    assert_eq!(open(&disk, 2).0.log_end(), 2);
}

#[test]
fn indexes_that_are_missing_or_misleading_do_not_change_answers() {
    let disk = MemDisk::default();
    let (mut log, _) = open(&disk, 0);
    fill(&mut log, 30);
    close(&mut log);
    drop(log);
    disk.flip(&format!("{DIR}/{}", Kind::Offsets.name(0)), 7);
    disk.remove(&format!("{DIR}/{}", Kind::Times.name(5))).unwrap();
    assert_ne!(bad_lookups(&disk), [""; 0]);
    let how = OpenHow { clean: true, recovery_point: 30, ..OpenHow::default() };
    let (mut log, recovery) = open_with(&disk, small(), how).unwrap();
    assert!(recovery.clean && recovery.reindexed > 0);
    for at in 0..30 {
        assert_eq!(offsets(&log.read(at, 1, Offset::MAX, true).unwrap().records), [(at, at)]);
        assert_eq!(log.offset_for_timestamp(at, 30).unwrap().unwrap().offset, at);
    }
}

#[test]
fn retention_stops_at_the_high_watermark_and_moves_the_start() {
    let disk = MemDisk::default();
    let config = LogConfig { retention_ms: Some(10), ..small() };
    let (mut log, _) = open_with(&disk, config, OpenHow::default()).unwrap();
    fill(&mut log, 12);
    let trimmed = log.retain(1000, 7).unwrap();
    assert_eq!((trimmed.segments, trimmed.log_start), (vec![0], 5));
    assert!(matches!(log.read(4, 1, 7, true), Err(LogError::OutOfRange { .. })));
    let trimmed = log.retain(1000, 12).unwrap();
    assert_eq!((trimmed.log_start, log.segment_count(), log.size()), (12, 1, 0));
    assert_eq!(log.sweep(5).unwrap(), 1);
    assert_eq!(log.sweep(12).unwrap(), 2);
    assert_eq!(append(&mut log, &[50]).base, 12);
    assert_eq!(disk.list(DIR).unwrap().iter().filter(|name| name.ends_with(".log")).count(), 1);
}

#[test]
fn retention_by_size_keeps_at_least_the_limit() {
    let disk = MemDisk::default();
    let config = LogConfig { retention_bytes: Some(1200), ..small() };
    let (mut log, _) = open_with(&disk, config, OpenHow::default()).unwrap();
    fill(&mut log, 22);
    let before = log.size();
    assert!(before > 3000);
    log.retain(0, 22).unwrap();
    assert!((1200..2400).contains(&log.size()), "{}", log.size());
}

#[test]
fn a_log_start_written_down_never_goes_back() {
    let disk = MemDisk::default();
    let (mut log, _) = open(&disk, 0);
    fill(&mut log, 12);
    assert_eq!(log.trim_to(7).unwrap().segments, [0]);
    assert!(log.trim_to(13).is_err());
    assert_eq!(log.trim_to(3).unwrap().log_start, 7);
    // Swept or not, and whichever files come back.
    drop(log);
    let how = OpenHow { log_start: 7, ..OpenHow::default() };
    let (mut log, _) = open_with(&disk, small(), how).unwrap();
    assert_eq!((log.log_start(), log.log_end()), (7, 12));
    assert_eq!(offsets(&log.read(7, 1, 12, true).unwrap().records), [(7, 7)]);
}

#[test]
fn old_records_close_a_segment() {
    let disk = MemDisk::default();
    let config = LogConfig { segment_ms: 100, ..small() };
    let (mut log, _) = open_with(&disk, config, OpenHow::default()).unwrap();
    assert_eq!(append(&mut log, &[1000]).rolled, None);
    assert_eq!(append(&mut log, &[1100]).rolled, None);
    assert_eq!(append(&mut log, &[1101]).rolled, Some(2));
}

#[test]
fn the_broker_stamps_if_so_configured() {
    let disk = MemDisk::default();
    let config = LogConfig { log_append_time: true, ..small() };
    let (mut log, _) = open_with(&disk, config, OpenHow::default()).unwrap();
    let done = log.append_leader(&mut batch(&[5, 6], 10), 0, 777).unwrap();
    assert_eq!(done.max_timestamp, 777);
    assert_eq!(log.offset_for_timestamp(700, 2).unwrap(), Some(Found { offset: 0, timestamp: 777 }));
    drop(log);
    assert_eq!(open(&disk, 0).1.torn_bytes, 0);
}

#[test]
fn epochs_survive_and_follow_the_log() {
    let disk = MemDisk::default();
    let (mut log, _) = open(&disk, 0);
    for epoch in [0, 0, 4, 4, 9] {
        log.append_leader(&mut batch(&[1], 100), epoch, 0).unwrap();
    }
    assert_eq!(log.epochs().entries(), [(0, 0), (4, 2), (9, 4)]);
    assert_eq!(log.end_offset_for_epoch(4), (4, 4));
    flush(&mut log);
    drop(log);
    disk.remove(&format!("{DIR}/leader-epoch-checkpoint")).unwrap();
    let (mut log, _) = open(&disk, 5);
    assert_eq!(log.epochs().entries(), [(0, 0), (4, 2), (9, 4)]);
    assert_eq!(log.truncate_to(3).unwrap(), 3);
    assert_eq!(log.epochs().entries(), [(0, 0), (4, 2)]);
    flush(&mut log);
    drop(log);
    assert_eq!(open(&disk, 3).0.epochs().entries(), [(0, 0), (4, 2)]);
}

#[test]
fn open_files_stay_within_their_bound() {
    let disk = MemDisk::default();
    let pool = FilePool::new(disk.clone(), 16);
    let mut logs: Vec<_> = (0..100)
        .map(|p| {
            Log::open(&pool, &format!("t-{p}"), TopicPartition::new("t", p), small(), OpenHow::default()).unwrap().0
        })
        .collect();
    for round in 0..12 {
        for log in &mut logs {
            append(log, &[round]);
        }
    }
    for log in &mut logs {
        assert_eq!(offsets(&log.read(7, 1, 12, true).unwrap().records), [(7, 7)]);
        flush(log);
        assert_eq!(log.flushed(), 12);
    }
    assert!(pool.open_files() <= 16);
}

#[test]
fn a_deleted_log_leaves_nothing() {
    let disk = MemDisk::default();
    let (mut log, _) = open(&disk, 0);
    fill(&mut log, 12);
    log.delete().unwrap();
    assert!(!disk.exists(DIR) && disk.list(DIR).unwrap().is_empty());
}

#[cfg(feature = "planted")]
mod planted {
    use super::*;
    use crate::planted::{Defect, activate};

    #[test]
    fn a_wrong_index_entry_at_a_roll_is_found_by_the_audit() {
        for (defect, found) in [(None, false), (Some(Defect::StIndexOffByOneRoll), true)] {
            activate(defect);
            let disk = MemDisk::default();
            let (mut log, _) = open(&disk, 0);
            fill(&mut log, 12);
            activate(None);
            assert_eq!(!bad_lookups(&disk).is_empty(), found);
        }
    }

    #[test]
    fn a_stale_time_index_is_found_after_a_torn_tail() {
        for (defect, found) in [(None, false), (Some(Defect::StTimeindexStaleAfterTruncate), true)] {
            let disk = MemDisk::default();
            let (mut log, _) = open(&disk, 0);
            fill(&mut log, 5);
            let size = usize::try_from(log.size()).unwrap();
            drop(log);
            disk.flip(&format!("{DIR}/{}", Kind::Log.name(0)), size - 1);
            activate(defect);
            let (_log, recovery) = open(&disk, 0);
            activate(None);
            assert_ne!(recovery.torn_bytes, 0);
            assert_eq!(!bad_lookups(&disk).is_empty(), found);
        }
    }

    #[test]
    fn each_storage_defect_breaks_its_promise() {
        let disk = MemDisk::default();
        let (mut log, _) = open(&disk, 0);
        append(&mut log, &[1]);
        flush(&mut log);
        append(&mut log, &[2]);
        activate(Some(Defect::StFsyncErrorRetry));
        disk.fail_syncs(1);
        flush(&mut log);
        assert_eq!(log.flushed(), 2);
        disk.lose_power(|| false);
        activate(None);
        assert!(open_with(&disk, small(), OpenHow { recovery_point: 2, ..OpenHow::default() }).is_err());

        activate(Some(Defect::StRetentionPastHw));
        let disk = MemDisk::default();
        let config = LogConfig { retention_ms: Some(10), ..small() };
        let (mut log, _) = open_with(&disk, config, OpenHow::default()).unwrap();
        fill(&mut log, 12);
        assert!(log.retain(1000, 3).unwrap().log_start > 3);

        activate(Some(Defect::StTornBatchAccepted));
        let disk = MemDisk::default();
        let (mut log, _) = open(&disk, 0);
        append(&mut log, &[1]);
        disk.flip(&format!("{DIR}/{}", Kind::Log.name(0)), 100);
        assert_eq!(open(&disk, 0).0.log_end(), 1);

        activate(Some(Defect::StRecoverNoFlush));
        let disk = MemDisk::default();
        let (mut log, _) = open(&disk, 0);
        append(&mut log, &[1]);
        let (log, recovery) = open(&disk, 0);
        assert!(!recovery.must_sync && log.flushed() == 1);
        activate(None);
    }
}

#[test]
fn an_empty_segment_that_a_power_loss_brings_back_takes_no_record_with_it() {
    let disk = MemDisk::default();
    let (mut log, _) = open(&disk, 0);
    append(&mut log, &[1]);
    log.roll(0).unwrap();
    close(&mut log);
    drop(log);
    let clean = OpenHow { clean: true, recovery_point: 1, ..OpenHow::default() };
    let (mut log, _) = open_with(&disk, small(), clean).unwrap();
    append(&mut log, &[2]);
    flush(&mut log);
    log.trim_to(1).unwrap();
    drop(log);
    // Its removal at the clean start was never synced.
    disk.lose_power(|| false);
    let how = OpenHow { recovery_point: 2, log_start: 1, ..OpenHow::default() };
    let (mut log, _) = open_with(&disk, small(), how).unwrap();
    assert_eq!(offsets(&log.read(1, 10_000, Offset::MAX, true).unwrap().records), [(1, 1)]);
}

#[test]
fn what_lies_below_the_start_of_a_log_that_begins_anew_is_not_listed() {
    let disk = MemDisk::default();
    let (mut log, _) = open(&disk, 0);
    fill(&mut log, 3);
    drop(log);
    let how = OpenHow { log_start: 9, list_tail: true, ..OpenHow::default() };
    let (log, recovery) = open_with(&disk, small(), how).unwrap();
    assert_eq!((log.log_start(), log.log_end(), recovery.tail), (9, 9, Vec::new()));
}
