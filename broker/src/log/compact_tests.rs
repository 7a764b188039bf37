//! Compaction's promises one by one.

use super::compact::{Cleaned, Step};
use super::testing::MemDisk;
use super::tests::{DIR, flush, now, offsets, open_with, small, tp};
use super::*;
use crate::config::CleanupPolicy;
use crate::fact::Fact;
use crate::record::{BatchBuilder, Compression, Unpacked};

pub(super) const NONE: [(&str, Option<&str>); 0] = [];
/// Room for keys that is never too little here.
pub(super) const PLENTY: usize = 1 << 20;

pub(super) fn config() -> LogConfig {
    LogConfig {
        cleanup: CleanupPolicy::Compact,
        delete_retention_ms: 100,
        min_cleanable_dirty_millionths: 0,
        ..small()
    }
}

pub(super) fn open(disk: &MemDisk, recovery_point: Offset) -> Log<MemDisk> {
    let (mut log, recovery) = open_with(disk, config(), OpenHow { recovery_point, ..OpenHow::default() }).unwrap();
    if recovery.must_sync {
        flush(&mut log);
    }
    log
}

/// A batch of records (key, value); no value is a tombstone. Timestamps are 10 each.
pub(super) fn keyed(records: &[(&str, Option<&str>)], codec: Compression, producer: (i64, i16, i32)) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    builder.producer(producer.0, producer.1, producer.2);
    for (key, value) in records {
        builder.append(10, Some(key.as_bytes()), value.map(str::as_bytes), NONE);
    }
    builder.finish(codec).to_vec()
}

pub(super) fn put(log: &mut Log<MemDisk>, records: &[(&str, Option<&str>)]) -> Offset {
    let mut bytes = keyed(records, Compression::None, (-1, -1, -1));
    log.append_leader(&mut bytes, 0, 0).unwrap().base
}

/// One pass to its end; `None` if there was nothing to do.
pub(super) fn clean(log: &mut Log<MemDisk>, wall: i64, high: Offset, buffer: usize) -> Option<Cleaned> {
    let mut pass = log.begin_cleaning(wall, high, buffer)?;
    for _ in 0..10_000 {
        match log.clean(&mut pass, 200).unwrap() {
            Step::Again => {}
            Step::Sync(exchange) => now(exchange.sync()).unwrap(),
            Step::Done(done) => {
                log.end_cleaning(&done);
                return Some(done);
            }
            Step::Void => panic!("nobody cut the log"),
        }
    }
    panic!("a pass without an end")
}

/// A record as it is read back: offset, key, value.
pub(super) type Read = (Offset, String, Option<String>);

/// All records of the log.
pub(super) fn read_all(log: &mut Log<MemDisk>) -> Vec<Read> {
    let (mut next, mut out) = (log.log_start(), Vec::new());
    while next < log.log_end() {
        let mut slice = log.read(next, 300, Offset::MAX, true).unwrap();
        while !slice.records.is_empty() {
            let batch = Unpacked::take(&mut slice.records, 1 << 20).unwrap();
            for record in batch.records() {
                let record = record.unwrap();
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                out.push((record.offset, record.key.map(text).unwrap_or_default(), record.value.map(text)));
            }
        }
        next = slice.next;
    }
    out.retain(|(offset, ..)| *offset >= log.log_start());
    out
}

/// What the auditor complains of.
pub(super) fn complaints(disk: &MemDisk) -> Vec<String> {
    let Fact::Audited { bad_crc, torn_bytes, bad_lookups, .. } = audit(disk, DIR, tp(), 0, false).unwrap() else {
        panic!("not an audit")
    };
    assert_eq!((bad_crc, torn_bytes), (vec![], 0));
    bad_lookups
}

fn rolled(log: &mut Log<MemDisk>) {
    log.roll(0).unwrap();
    flush(log);
}

fn is(offset: Offset, key: &str, value: Option<&str>) -> Read {
    (offset, key.into(), value.map(Into::into))
}

#[test]
fn of_each_key_the_latest_stays_where_it_was() {
    let disk = MemDisk::default();
    let mut log = open(&disk, 0);
    put(&mut log, &[("a", Some("1")), ("b", Some("1"))]);
    put(&mut log, &[("a", Some("2"))]);
    rolled(&mut log);
    put(&mut log, &[("a", Some("3")), ("c", Some("1"))]);
    rolled(&mut log);
    put(&mut log, &[("b", Some("9"))]);
    let end = log.log_end();
    let done = clean(&mut log, 0, end, PLENTY).unwrap();
    assert_eq!((done.from, done.upto, done.segments.clone(), done.records), (0, 5, vec![0], 2));
    assert!(done.after < done.before);
    let left = [is(1, "b", Some("1")), is(3, "a", Some("3")), is(4, "c", Some("1")), is(5, "b", Some("9"))];
    assert_eq!(read_all(&mut log), left, "what is appended to is not touched");
    assert_eq!(complaints(&disk), [""; 0]);
    assert!(clean(&mut log, 0, end, PLENTY).is_none(), "all is clean");
    drop(log);
    assert_eq!(read_all(&mut open(&disk, 5)), left);
}

#[test]
fn what_is_not_committed_durable_or_old_enough_is_not_touched() {
    let disk = MemDisk::default();
    let mut log = open(&disk, 0);
    for _ in 0..3 {
        put(&mut log, &[("a", Some("1"))]);
        log.roll(0).unwrap();
    }
    assert!(log.begin_cleaning(0, 3, PLENTY).is_none(), "nothing is durable");
    flush(&mut log);
    assert!(log.begin_cleaning(0, 0, PLENTY).is_none(), "nothing is committed");
    assert_eq!(clean(&mut log, 0, 2, PLENTY).unwrap().upto, 2);
    assert_eq!(read_all(&mut log), [is(1, "a", Some("1")), is(2, "a", Some("1"))]);
    log.configure(LogConfig { min_compaction_lag_ms: 5, ..config() });
    assert!(log.begin_cleaning(14, 3, PLENTY).is_none(), "its timestamp is 10");
    assert!(log.begin_cleaning(15, 3, PLENTY).is_some());
    log.configure(small());
    assert!(log.begin_cleaning(15, 3, PLENTY).is_none(), "it is not compacted");
}

#[test]
fn a_tombstone_stays_until_its_time_has_passed_since_it_was_cleaned() {
    let disk = MemDisk::default();
    let mut log = open(&disk, 0);
    put(&mut log, &[("a", Some("1")), ("b", Some("1"))]);
    put(&mut log, &[("a", None)]);
    rolled(&mut log);
    let again = |log: &mut Log<MemDisk>, wall| {
        put(log, &[("z", Some("1"))]);
        rolled(log);
        let end = log.log_end();
        clean(log, wall, end, PLENTY).unwrap();
        read_all(log).into_iter().filter(|(_, key, _)| key != "z").collect::<Vec<_>>()
    };
    let kept = [is(1, "b", Some("1")), is(2, "a", None)];
    assert_eq!(again(&mut log, 1000), kept);
    assert_eq!(again(&mut log, 1099), kept);
    drop(log);
    let mut log = open(&disk, 5);
    assert_eq!(again(&mut log, 1099), kept, "a restart does not make it forget when");
    assert_eq!(again(&mut log, 1100), [is(1, "b", Some("1"))]);
    assert_eq!(complaints(&disk), [""; 0]);
}

#[test]
fn keys_that_do_not_fit_are_left_for_the_next_pass() {
    let disk = MemDisk::default();
    let mut log = open(&disk, 0);
    for value in ["1", "2"] {
        put(&mut log, &[("a", Some(value)), ("b", Some(value)), ("c", Some(value)), ("d", Some(value))]);
    }
    put(&mut log, &[("a", None)]);
    rolled(&mut log);
    let end = log.log_end();
    let mut upto = vec![];
    // Room for two keys.
    while let Some(done) = clean(&mut log, 0, end, 130) {
        upto.push(done.upto);
    }
    assert_eq!(upto, [2, 4, 6, 8, 9]);
    let left: Vec<Offset> = read_all(&mut log).iter().map(|(offset, ..)| *offset).collect();
    // What a pass did not know of was superseded by records beyond it, as the later ones found.
    assert_eq!(left, [5, 6, 7, 8]);
    assert_eq!(log.dirt(0, end), None);
}

#[test]
fn emptied_batches_cover_their_offsets_and_become_one() {
    let disk = MemDisk::default();
    let mut log = open(&disk, 0);
    for at in 0..6 {
        let mut bytes = keyed(&[("a", Some("x"))], Compression::None, (-1, -1, -1));
        log.append_leader(&mut bytes, i32::from(at >= 3), 0).unwrap();
    }
    rolled(&mut log);
    clean(&mut log, 0, 6, PLENTY).unwrap();
    let slice = log.read(1, 10_000, Offset::MAX, true).unwrap();
    assert_eq!(offsets(&slice.records), [(0, 2), (3, 4), (5, 5)], "each epoch begins with its own batch");
    assert_eq!((slice.next, log.size()), (6, 61 * 3 + 9));
    assert_eq!(complaints(&disk), [""; 0]);
    disk.remove(&format!("{DIR}/leader-epoch-checkpoint")).unwrap();
    drop(log);
    let mut log = open(&disk, 0);
    assert_eq!(log.epochs().entries(), [(0, 0), (1, 3)]);
    assert_eq!(log.offset_for_timestamp(5, 6).unwrap(), Some(Found { offset: 5, timestamp: 10 }));
    assert_eq!(log.max_timestamp_offset(6).unwrap(), Some(Found { offset: 5, timestamp: 10 }));
    // A cut inside of what became one batch takes all of it.
    assert_eq!(log.truncate_to(2).unwrap(), 0);
}

#[test]
fn sequence_numbers_survive_their_records() {
    let disk = MemDisk::default();
    let mut log = open(&disk, 0);
    for at in 0..8 {
        let mut bytes = keyed(&[("a", Some("x")), ("a", Some("y"))], Compression::Gzip, (7, 0, 2 * at));
        log.append_leader(&mut bytes, 0, 0).unwrap();
    }
    put(&mut log, &[("a", Some("z"))]);
    rolled(&mut log);
    let before = log.producers().clone();
    clean(&mut log, 0, 17, PLENTY).unwrap();
    assert_eq!(read_all(&mut log), [is(16, "a", Some("z"))]);
    drop(log);
    for name in disk.list(DIR).unwrap().iter().filter(|name| name.ends_with(".snapshot")) {
        disk.remove(&format!("{DIR}/{name}")).unwrap();
    }
    assert_eq!(open(&disk, 17).producers().iter().collect::<Vec<_>>(), before.iter().collect::<Vec<_>>());
}

#[test]
fn a_record_without_a_key_is_refused_or_else_compacted_away() {
    let disk = MemDisk::default();
    let mut log = open(&disk, 0);
    let mut builder = BatchBuilder::new();
    builder.append(10, None, Some(b"v"), NONE);
    let mut keyless = builder.finish(Compression::None).to_vec();
    let refused = log.append_leader(&mut keyless, 0, 0).unwrap_err();
    assert_eq!((refused.response().code(), log.log_end()), (87, 0));
    log.configure(small());
    log.append_leader(&mut keyless, 0, 0).unwrap();
    log.configure(config());
    put(&mut log, &[("a", Some("1"))]);
    rolled(&mut log);
    clean(&mut log, 0, 2, PLENTY).unwrap();
    assert_eq!(read_all(&mut log), [is(1, "a", Some("1"))]);
}

#[test]
fn what_nobody_can_read_stays_and_damage_is_left_alone() {
    let disk = MemDisk::default();
    let mut log = open(&disk, 0);
    log.configure(small());
    let mut odd = keyed(&[("a", Some("1"))], Compression::None, (-1, -1, -1));
    odd[61] = 0x7e;
    crate::record::batch::renew_crc(&mut odd);
    log.append_leader(&mut odd, 0, 0).unwrap();
    log.configure(config());
    put(&mut log, &[("b", Some("1"))]);
    put(&mut log, &[("b", Some("2"))]);
    rolled(&mut log);
    clean(&mut log, 0, 3, PLENTY).unwrap();
    let slice = log.read(0, 10_000, Offset::MAX, true).unwrap();
    assert_eq!(slice.records[..odd.len()], odd[..]);
    assert_eq!(offsets(&slice.records), [(0, 0), (1, 1), (2, 2)]);

    put(&mut log, &[("b", Some("3"))]);
    rolled(&mut log);
    disk.flip(&format!("{DIR}/{}", Kind::Log.name(3)), 66);
    let mut pass = log.begin_cleaning(0, 4, PLENTY).unwrap();
    assert!(matches!(log.clean(&mut pass, 10_000), Err(LogError::Corrupt { .. })));
}

#[test]
fn a_cut_ends_a_pass_and_retention_does_not() {
    let disk = MemDisk::default();
    let mut log = open(&disk, 0);
    for _ in 0..4 {
        put(&mut log, &[("a", Some("1"))]);
        rolled(&mut log);
    }
    let mut pass = log.begin_cleaning(0, 4, PLENTY).unwrap();
    let mut copied = false;
    while !copied {
        let Step::Sync(exchange) = log.clean(&mut pass, 100).unwrap() else { continue };
        now(exchange.sync()).unwrap();
        copied = true;
    }
    // The segment that was copied is gone; what is not goes on.
    log.trim_to(1).unwrap();
    log.sweep(1).unwrap();
    let done = loop {
        match log.clean(&mut pass, 100).unwrap() {
            Step::Again => {}
            Step::Sync(exchange) => now(exchange.sync()).unwrap(),
            Step::Done(done) => break done,
            Step::Void => panic!("nobody cut the log"),
        }
    };
    assert_eq!(done.segments, [1, 2]);
    let mut pass = log.begin_cleaning(0, 4, PLENTY).unwrap();
    log.truncate_to(3).unwrap();
    assert!(matches!(log.clean(&mut pass, 100).unwrap(), Step::Void));
    assert!(!disk.list(DIR).unwrap().iter().any(|name| name.ends_with(".tmp") || name.ends_with(".exchange")));
}

/// Every way in which a power loss may leave the three renames of an exchange, with the marker there.
#[test]
fn whichever_renames_survive_the_log_is_whole() {
    for kept in 0..8u32 {
        let disk = MemDisk::default();
        let mut log = open(&disk, 0);
        for at in 0..40 {
            put(&mut log, &[("a", Some("1")), (["b", "c", "d"][at % 3], Some("2"))]);
        }
        rolled(&mut log);
        let (end, segments) = (log.log_end(), log.segment_count());
        let mut pass = log.begin_cleaning(0, end, PLENTY).unwrap();
        let mut syncs = 0;
        while syncs < 2 {
            let Step::Sync(exchange) = log.clean(&mut pass, 1000).unwrap() else { continue };
            syncs += 1;
            if syncs == 1 {
                now(exchange.sync()).unwrap();
            }
        }
        drop(log);
        let mut draws = 0;
        disk.lose_names(|name| {
            let kind = Kind::ALL.iter().position(|kind| name.ends_with(kind.suffix()));
            draws += 1;
            kind.is_none_or(|kind| kept & (1 << kind) != 0)
        });
        assert!(draws > 0);
        let mut log = open(&disk, end);
        assert_eq!((log.log_end(), log.segment_count()), (end, segments - 1));
        assert_eq!(complaints(&disk), [""; 0], "{kept}");
        assert!(!disk.list(DIR).unwrap().iter().any(|name| name.ends_with(".tmp") || name.ends_with(".exchange")));
        let mut left = read_all(&mut log);
        left.dedup_by(|b, a| {
            a.1 == b.1 && {
                std::mem::swap(a, b);
                true
            }
        });
        assert_eq!(read_all(&mut log).last(), Some(&is(79, "b", Some("2"))), "{left:?}");
    }
}

#[test]
fn a_follower_takes_the_rest_of_what_became_one_batch() {
    let (ours, theirs) = (MemDisk::default(), MemDisk::default());
    let (mut leader, mut follower) = (open(&ours, 0), open(&theirs, 0));
    for _ in 0..4 {
        put(&mut leader, &[("a", Some("1"))]);
    }
    let early = leader.read(0, 150, Offset::MAX, true).unwrap();
    follower.append_follower(&early.records, 0).unwrap();
    assert_eq!(follower.log_end(), 2);
    rolled(&mut leader);
    clean(&mut leader, 0, 4, PLENTY).unwrap();
    let late = leader.read(2, 10_000, Offset::MAX, true).unwrap();
    assert_eq!(offsets(&late.records), [(0, 2), (3, 3)]);
    let missing = follower.missing(&late.records).unwrap();
    follower.append_follower(&missing, 0).unwrap();
    let slice = follower.read(0, 10_000, Offset::MAX, true).unwrap();
    assert_eq!(offsets(&slice.records), [(0, 0), (1, 1), (2, 2), (3, 3)]);
    assert_eq!(complaints(&theirs), [""; 0]);
    let none = follower.missing(&late.records).unwrap();
    assert!(follower.append_follower(&none, 0).is_err(), "it has all of that");
}

#[test]
fn what_there_is_to_do_is_weighed() {
    let disk = MemDisk::default();
    let mut log = open(&disk, 0);
    let half = LogConfig { min_cleanable_dirty_millionths: 500_000, max_compaction_lag_ms: 50, ..config() };
    log.configure(half);
    for key in ["a", "b", "c"] {
        put(&mut log, &[(key, Some("1"))]);
    }
    rolled(&mut log);
    assert_eq!(log.dirt(0, 3).map(|dirt| (dirt.millionths, dirt.overdue)), Some((1_000_000, false)));
    clean(&mut log, 0, 3, PLENTY).unwrap();
    put(&mut log, &[("a", Some("2"))]);
    rolled(&mut log);
    assert_eq!(log.dirt(60, 4), None, "a quarter");
    assert!(log.dirt(61, 4).unwrap().overdue);
    assert_eq!(log.dirt(61, 3), None);
}
