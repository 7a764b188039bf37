//! What a crash, a failing device and a full disk do: one test for each rule.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use broker::env::{Disk, File, Open};

use super::SimDisk;
use crate::seed::Seed;
use crate::sim::timer::Time;
use crate::sim::{DiskOp, Failing, Unsynced};

const MS: u64 = 1_000_000;

fn disk(seed: u64) -> SimDisk {
    SimDisk::new(Seed::new(seed), Rc::default(), MS)
}

/// Ends at once: the handle is an auditor's.
pub(super) fn now<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("an auditor waits for nothing"),
    }
}

pub(super) fn content(disk: &SimDisk, path: &str) -> io::Result<Vec<u8>> {
    let file = disk.open(path, Open::Read)?;
    let mut bytes = vec![0; usize::try_from(file.size()?).expect("small")];
    let n = file.read_at(&mut bytes, 0)?;
    assert_eq!(n, bytes.len());
    Ok(bytes)
}

/// A file `f` whose name and first content are durable.
fn with_file(disk: &SimDisk, durable: &[u8]) -> Rc<super::SimFile> {
    let file = disk.open("f", Open::Create).expect("opens");
    file.write_at(durable, 0).expect("writes");
    now(file.sync()).expect("syncs");
    now(disk.sync_dir("")).expect("syncs the directory");
    file
}

#[test]
fn a_process_crash_keeps_the_page_cache() {
    let d = disk(1);
    d.open("f", Open::Create).unwrap().write_at(b"unsynced", 0).unwrap();
    d.lose_process();
    assert_eq!(content(&d, "f").unwrap(), b"unsynced");
    d.lose_power(Unsynced::Lost);
    assert_eq!(content(&d, "f").unwrap_err().kind(), ErrorKind::NotFound, "it was in the cache only");
}

#[test]
fn power_loss_takes_appends_overwrites_and_truncations_that_were_not_synced() {
    let d = disk(2);
    let f = with_file(&d, b"0123456789");
    f.write_at(b"xx", 3).unwrap();
    f.truncate(6).unwrap();
    f.write_at(b"more and more", 8).unwrap();
    f.write_at(b"yy", 4).unwrap();
    assert_eq!(content(&d, "f").unwrap(), b"012xyy\0\0more and more");
    d.lose_power(Unsynced::Lost);
    assert_eq!(content(&d, "f").unwrap(), b"0123456789");
}

#[test]
fn power_loss_may_keep_everything() {
    let d = disk(3);
    let f = with_file(&d, b"0123456789");
    f.write_at(b"xx", 3).unwrap();
    d.open("g", Open::Create).unwrap().write_at(b"g", 0).unwrap();
    d.lose_power(Unsynced::Kept);
    assert_eq!(content(&d, "f").unwrap(), b"012xx56789");
    assert_eq!(content(&d, "g").unwrap(), b"g");
}

#[test]
fn what_a_truncation_adds_or_takes_comes_whole_or_not_at_all() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let d = disk(seed);
        let f = with_file(&d, &[1; 1000]);
        f.truncate(5000).unwrap();
        f.truncate(9000).unwrap();
        f.write_at(&[2; 8000], 1000).unwrap();
        f.write_at(&[3; 3000], 9000).unwrap();
        d.lose_power(Unsynced::Torn);
        seen.insert(content(&d, "f").unwrap().len());
    }
    assert!(seen.iter().all(|len| *len == 1000 || (9000..=12_000).contains(len)), "{seen:?}");
    assert!(seen.len() > 4, "{seen:?}");
    for seed in 0..50 {
        let d = disk(seed);
        with_file(&d, &[1; 9000]).truncate(1000).unwrap();
        d.lose_power(Unsynced::Torn);
        assert!([1000, 9000].contains(&content(&d, "f").unwrap().len()));
    }
}

#[test]
fn torn_writes_are_torn_by_sector() {
    let mut mixed = 0;
    for seed in 0..50 {
        let d = disk(seed);
        let f = with_file(&d, &[1; 4096]);
        f.write_at(&[2; 4096], 0).unwrap();
        f.write_at(&[3; 2048], 4096).unwrap();
        d.lose_power(Unsynced::Torn);
        let left = content(&d, "f").unwrap();
        assert!((4096..=6144).contains(&left.len()));
        for (n, sector) in left.chunks(512).enumerate() {
            let old_or_new: [u8; 2] = if n < 8 { [1, 2] } else { [0, 3] };
            assert!(sector.iter().all(|b| *b == sector[0]) && old_or_new.contains(&sector[0]));
        }
        mixed += usize::from(left[..4096].contains(&1) && left[..4096].contains(&2));
    }
    assert!(mixed > 40);
}

#[test]
fn a_synced_file_without_a_synced_directory_loses_its_name() {
    let d = disk(4);
    let f = d.open("f", Open::Create).unwrap();
    f.write_at(b"data", 0).unwrap();
    now(f.sync()).unwrap();
    d.lose_power(Unsynced::Lost);
    assert!(!d.exists("f"));
}

#[test]
fn renames_and_removals_are_undone_unless_the_directory_was_synced() {
    let d = disk(5);
    with_file(&d, b"old");
    d.rename("f", "g").unwrap();
    d.lose_power(Unsynced::Lost);
    assert_eq!(content(&d, "f").unwrap(), b"old");
    assert!(!d.exists("g"));
    d.remove("f").unwrap();
    d.lose_power(Unsynced::Lost);
    assert_eq!(content(&d, "f").unwrap(), b"old");
    d.rename("f", "g").unwrap();
    now(d.sync_dir("")).unwrap();
    d.lose_power(Unsynced::Lost);
    assert_eq!(d.list("").unwrap(), ["g"]);
}

#[test]
fn a_rename_between_directories_is_in_both_or_in_neither() {
    for seed in 0..30 {
        let d = disk(seed);
        d.create_dir("a").unwrap();
        d.create_dir("b").unwrap();
        let f = d.open("a/f", Open::Create).unwrap();
        f.write_at(b"x", 0).unwrap();
        now(f.sync()).unwrap();
        now(d.sync_dir("")).unwrap();
        now(d.sync_dir("a")).unwrap();
        d.rename("a/f", "b/f").unwrap();
        d.open("b/other", Open::Create).unwrap();
        if seed % 3 == 0 {
            now(d.sync_dir("b")).unwrap();
        }
        d.lose_power(Unsynced::Torn);
        assert!(d.exists("a/f") != d.exists("b/f"), "seed {seed}");
        assert!(seed % 3 != 0 || d.exists("b/f"));
    }
}

#[test]
fn a_file_in_a_directory_that_was_never_synced_is_gone() {
    let d = disk(6);
    d.create_dir("a/b").unwrap();
    let f = d.open("a/b/f", Open::Create).unwrap();
    now(f.sync()).unwrap();
    now(d.sync_dir("a/b")).unwrap();
    now(d.sync_dir("a")).unwrap();
    d.lose_power(Unsynced::Lost);
    assert!(!d.exists("a"), "the root was not synced");
}

#[test]
fn an_open_handle_outlives_its_name_but_not_its_process() {
    let d = disk(7);
    d.set_life(0);
    let alive = d.in_life(0);
    let f = alive.open("f", Open::Create).unwrap();
    f.write_at(b"abc", 0).unwrap();
    alive.remove("f").unwrap();
    let again = alive.open("f", Open::Create).unwrap();
    assert_eq!((f.size().unwrap(), again.size().unwrap()), (3, 0));
    d.set_life(1);
    assert!(f.write_at(b"x", 0).is_err() && f.size().is_err() && alive.list("").is_err());
    assert!(f.read_at(&mut [0; 1], 0).is_err());
    assert!(d.in_life(1).open("f", Open::Read).is_ok());
}

#[test]
fn a_full_disk_takes_a_prefix_and_says_so() {
    let d = disk(8);
    let f = with_file(&d, b"0123");
    let full = d.room(3);
    f.write_at(b"in place", 0).unwrap_err();
    assert_eq!(content(&d, "f").unwrap(), b"in plac");
    assert_eq!(f.write_at(b"x", 7).unwrap_err().kind(), ErrorKind::StorageFull);
    f.write_at(b"y", 0).expect("an overwrite takes no room");
    assert_eq!(f.truncate(8).unwrap_err().kind(), ErrorKind::StorageFull);
    f.truncate(5).unwrap();
    f.write_at(b"zz", 5).expect("what was freed is there again");
    d.grow_again(full);
    f.write_at(&[0; 1000], 7).unwrap();
}

#[test]
fn operations_fail_once_or_until_healed() {
    let d = disk(9);
    let f = with_file(&d, b"0123");
    let mut byte = [0; 1];
    d.fail(DiskOp::Read, Failing::Once);
    assert_eq!(f.read_at(&mut byte, 0).unwrap_err().raw_os_error(), Some(5));
    f.read_at(&mut byte, 0).unwrap();
    let failing = d.fail(DiskOp::Write, Failing::Always);
    f.write_at(b"x", 0).unwrap_err();
    f.truncate(0).unwrap_err();
    d.mend(DiskOp::Write, failing);
    f.write_at(b"x", 0).unwrap();
    d.fail(DiskOp::Sync, Failing::Once);
    now(d.sync_dir("")).unwrap_err();
    now(d.sync_dir("")).unwrap();
}

#[test]
fn after_a_failed_sync_the_next_one_proves_nothing() {
    let d = disk(10);
    let f = with_file(&d, b"durable");
    f.write_at(b"LOST", 0).unwrap();
    f.write_at(b" tail", 7).unwrap();
    d.fail(DiskOp::Sync, Failing::Once);
    assert_eq!(now(f.sync()).unwrap_err().raw_os_error(), Some(5));
    assert_eq!(content(&d, "f").unwrap(), b"LOSTble tail", "reads still show it");
    f.write_at(b"new", 12).unwrap();
    now(f.sync()).expect("the lie");
    assert_eq!(content(&d, "f").unwrap(), b"LOSTble tailnew");
    d.lose_power(Unsynced::Kept);
    assert_eq!(content(&d, "f").unwrap(), b"durable\0\0\0\0\0new", "what was clean was never written");
}

#[test]
fn a_sync_covers_what_was_written_before_it_was_called() {
    let time = Rc::new(Time::default());
    let d = SimDisk::new(Seed::new(11), time.clone(), MS);
    d.set_life(0);
    let f = d.in_life(0).open("f", Open::Create).unwrap();
    now(d.sync_dir("")).unwrap();
    f.write_at(b"before", 0).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let mut sync = pin!(f.sync());
    assert!(sync.as_mut().poll(&mut cx).is_pending(), "it takes time");
    f.write_at(b"XX", 1).unwrap();
    f.write_at(b" after", 6).unwrap();
    time.advance(10 * MS);
    assert!(sync.as_mut().poll(&mut cx).is_ready());
    d.lose_power(Unsynced::Lost);
    assert_eq!(content(&d, "f").unwrap(), b"before");
}

#[test]
fn a_stalled_disk_waits_and_a_slow_one_takes_longer() {
    let time = Rc::new(Time::default());
    let d = SimDisk::new(Seed::new(12), time.clone(), MS);
    d.set_life(0);
    let alive = d.in_life(0);
    let f = alive.open("f", Open::Create).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    d.stall(true);
    let mut sync = Box::pin(f.sync());
    let mut settled = Box::pin(alive.settled());
    for ms in 1..100 {
        time.advance(ms * MS);
        assert!(sync.as_mut().poll(&mut cx).is_pending() && settled.as_mut().poll(&mut cx).is_pending());
    }
    d.stall(false);
    assert!(sync.as_mut().poll(&mut cx).is_ready() && settled.as_mut().poll(&mut cx).is_ready());
    let slow = d.slow(Duration::from_millis(160));
    let mut sync = Box::pin(f.sync());
    f.write_at(b"x", 0).unwrap();
    let mut settled = Box::pin(alive.settled());
    assert!(sync.as_mut().poll(&mut cx).is_pending() && settled.as_mut().poll(&mut cx).is_pending());
    time.advance(115 * MS);
    assert!(sync.as_mut().poll(&mut cx).is_pending() && settled.as_mut().poll(&mut cx).is_ready());
    time.advance(270 * MS);
    assert!(sync.as_mut().poll(&mut cx).is_ready());
    for _ in 0..1000 {
        f.write_at(b"x", 0).unwrap();
    }
    let mut settled = Box::pin(alive.settled());
    time.advance(300 * MS);
    assert!(settled.as_mut().poll(&mut cx).is_pending(), "its queue takes 10 s");
    d.hasten(slow);
    assert!(settled.as_mut().poll(&mut cx).is_ready() && Box::pin(alive.settled()).as_mut().poll(&mut cx).is_ready());
}

#[test]
fn a_flip_is_one_durable_bit_and_reads_show_it() {
    let d = disk(13);
    assert_eq!(d.flip(".log", 1), None);
    let f = with_file(&d, &[0; 100]);
    f.write_at(&[0; 100], 100).unwrap();
    d.rename("f", "f.log").unwrap();
    d.open("g.idx", Open::Create).unwrap();
    for salt in 0..20 {
        let before = content(&d, "f.log").unwrap();
        let said = d.flip(".log", salt).expect("there is something");
        assert!(said.starts_with("f.log: byte "), "{said}");
        let after = content(&d, "f.log").unwrap();
        let bits: u32 = before.iter().zip(&after).map(|(a, b)| (a ^ b).count_ones()).sum();
        assert_eq!(bits, 1);
        assert_eq!(before[100..], after[100..], "what is not durable is not at rest");
    }
}

#[test]
fn a_wild_position_is_an_error() {
    let d = disk(14);
    let f = with_file(&d, b"x");
    assert!(f.write_at(b"x", u64::MAX).is_err() && f.write_at(b"x", 1 << 40).is_err() && f.truncate(1 << 40).is_err());
    assert_eq!(f.read_at(&mut [0; 4], u64::MAX).unwrap(), 0);
}

#[test]
fn faults_that_overlap_end_one_by_one() {
    let time = Rc::new(Time::default());
    let d = SimDisk::new(Seed::new(15), time.clone(), MS);
    let f = with_file(&d, b"0123");
    let (tight, wide) = (d.room(3), d.room(10));
    f.write_at(b"xxx", 4).unwrap();
    assert_eq!(f.write_at(b"x", 7).unwrap_err().kind(), ErrorKind::StorageFull);
    d.grow_again(tight);
    assert_eq!(f.write_at(&[b'y'; 9], 7).unwrap_err().kind(), ErrorKind::StorageFull, "the other shortage goes on");
    assert_eq!(f.size().unwrap(), 14);
    d.grow_again(wide);
    f.write_at(&[b'y'; 9], 14).unwrap();
    let (once, always) = (d.fail(DiskOp::Read, Failing::Once), d.fail(DiskOp::Read, Failing::Always));
    d.mend(DiskOp::Read, once);
    let mut byte = [0; 1];
    f.read_at(&mut byte, 0).unwrap_err();
    f.read_at(&mut byte, 0).unwrap_err();
    d.mend(DiskOp::Read, always);
    f.read_at(&mut byte, 0).unwrap();
    d.set_life(0);
    let slower = d.slow(Duration::from_millis(500));
    let slow = d.slow(Duration::from_millis(100));
    d.hasten(slow);
    let inside = d.in_life(0).open("f", Open::Write).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let mut sync = Box::pin(inside.sync());
    assert!(sync.as_mut().poll(&mut cx).is_pending());
    time.advance(400 * MS);
    assert!(sync.as_mut().poll(&mut cx).is_pending(), "the other slowness goes on");
    time.advance(600 * MS);
    assert!(sync.as_mut().poll(&mut cx).is_ready());
    d.hasten(slower);
}

#[test]
fn names_need_room_and_a_device_that_works() {
    let d = disk(16);
    with_file(&d, b"0123");
    let full = d.room(0);
    let no_room = |e: io::Error| assert_eq!(e.kind(), ErrorKind::StorageFull);
    no_room(d.open("g", Open::Create).err().expect("no room for a name"));
    no_room(d.create_dir("dir").unwrap_err());
    no_room(d.rename("f", "g").unwrap_err());
    d.open("f", Open::Create).expect("it is there");
    d.create_dir("").expect("it is there");
    d.remove("f").expect("takes no room");
    d.open("g", Open::Create).expect("there is room again");
    d.grow_again(full);
    let failing = d.fail(DiskOp::Write, Failing::Always);
    let eio = |e: io::Error| assert_eq!(e.raw_os_error(), Some(5));
    eio(d.open("h", Open::Create).err().expect("fails"));
    eio(d.create_dir("dir").unwrap_err());
    eio(d.rename("g", "h").unwrap_err());
    eio(d.remove("g").unwrap_err());
    d.mend(DiskOp::Write, failing);
    let failing = d.fail(DiskOp::Read, Failing::Always);
    eio(d.list("").unwrap_err());
    eio(d.open("g", Open::Write).err().expect("fails"));
    d.mend(DiskOp::Read, failing);
    assert_eq!(d.list("").unwrap(), ["g"]);
}

#[test]
fn room_is_free_when_neither_name_nor_handle_is_left() {
    let d = disk(17);
    let f = with_file(&d, b"0123");
    let g = d.open("g", Open::Create).unwrap();
    g.write_at(b"abc", 0).unwrap();
    d.room(0);
    d.rename("f", "g").expect("the name is there");
    f.write_at(b"x", 4).expect_err("the other file is still open");
    drop(g);
    f.write_at(b"xyz", 4).expect("now it is gone");
    d.remove("g").unwrap();
    f.write_at(b"x", 7).expect_err("it is open without a name");
    drop(f);
    let new = d.open("new", Open::Create).unwrap();
    new.write_at(b"1234567", 0).expect("all that the old one had");
    new.write_at(b"8", 7).unwrap_err();
    d.remove("new").unwrap();
    d.lose_process();
    d.open("newer", Open::Create)
        .unwrap()
        .write_at(b"1234567", 0)
        .expect("its process is gone, and its handle with it");
    drop(new);
    d.open("newer", Open::Write).unwrap().write_at(b"8", 7).expect_err("it was free already");
}

#[test]
fn a_failed_write_may_leave_its_beginning() {
    let mut lengths = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let d = disk(seed);
        let f = with_file(&d, b"0123");
        d.fail(DiskOp::Write, Failing::Once);
        assert_eq!(f.write_at(b"abcdefgh", 4).unwrap_err().raw_os_error(), Some(5));
        let left = content(&d, "f").unwrap();
        assert!(b"0123abcdefgh".starts_with(&left) && (4..12).contains(&left.len()), "{left:?}");
        lengths.insert(left.len());
    }
    assert!(lengths.len() > 5 && lengths.contains(&4));
}
