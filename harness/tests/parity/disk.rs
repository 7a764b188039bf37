//! Disk cases.

use std::io::ErrorKind;
use std::time::Duration;

use broker::env::{Disk, Env, File, Open};

use crate::worlds::{alone, alone_in_sim};

/// Each case as a test on either world.
macro_rules! on_both {
    ($($case:ident),* $(,)?) => {
        mod real { $(#[test] fn $case() { super::alone(super::$case); })* }
        mod sim { $(#[test] fn $case() { super::alone_in_sim(super::$case); })* }
    };
}

on_both!(
    open_modes,
    reads_end_at_the_end,
    sparse_writes_read_as_zeros,
    truncate_cuts_and_extends,
    rename_replaces,
    a_removed_file_stays_open,
    directories,
    directories_in_the_way,
    syncs,
    a_reader_cannot_write,
    clocks_and_chance,
);

fn kind<T>(done: std::io::Result<T>) -> Option<ErrorKind> {
    done.err().map(|e| e.kind())
}

fn put<D: Disk>(disk: &D, path: &str, bytes: &[u8]) {
    disk.open(path, Open::Create).unwrap().write_at(bytes, 0).unwrap();
}

fn get<D: Disk>(disk: &D, path: &str) -> Vec<u8> {
    let file = disk.open(path, Open::Read).unwrap();
    let mut bytes = vec![0; usize::try_from(file.size().unwrap()).unwrap()];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    bytes
}

async fn open_modes<E: Env>(env: E) {
    let disk = env.disk();
    assert_eq!(kind(disk.open("f", Open::Read)), Some(ErrorKind::NotFound));
    assert_eq!(kind(disk.open("f", Open::Write)), Some(ErrorKind::NotFound));
    assert_eq!(kind(disk.open("no/f", Open::Create)), Some(ErrorKind::NotFound));
    assert!(!disk.exists("f"));
    put(disk, "f", b"abc");
    assert!(disk.exists("f"));
    assert_eq!(disk.open("f", Open::Create).unwrap().size().unwrap(), 3, "creating does not truncate");
    assert_eq!(disk.open("f", Open::Write).unwrap().size().unwrap(), 3);
}

async fn reads_end_at_the_end<E: Env>(env: E) {
    put(env.disk(), "f", b"abcdef");
    let file = env.disk().open("f", Open::Read).unwrap();
    let mut buf = [9; 4];
    assert_eq!(file.read_at(&mut buf, 0).unwrap(), 4);
    assert_eq!(file.read_at(&mut buf, 4).unwrap(), 2);
    assert_eq!(&buf, b"efcd");
    assert_eq!(file.read_at(&mut buf, 6).unwrap(), 0);
    assert_eq!(file.read_at(&mut buf, 600).unwrap(), 0);
    assert_eq!(file.read_at(&mut [], 0).unwrap(), 0);
}

async fn sparse_writes_read_as_zeros<E: Env>(env: E) {
    let file = env.disk().open("f", Open::Create).unwrap();
    file.write_at(b"z", 5).unwrap();
    file.write_at(b"a", 0).unwrap();
    file.write_at(b"", 100).unwrap();
    assert_eq!(get(env.disk(), "f"), b"a\0\0\0\0z");
}

async fn truncate_cuts_and_extends<E: Env>(env: E) {
    put(env.disk(), "f", b"abcdef");
    let file = env.disk().open("f", Open::Write).unwrap();
    file.truncate(2).unwrap();
    assert_eq!(get(env.disk(), "f"), b"ab");
    file.truncate(4).unwrap();
    assert_eq!(get(env.disk(), "f"), b"ab\0\0", "what was cut does not come back");
}

async fn rename_replaces<E: Env>(env: E) {
    let disk = env.disk();
    put(disk, "a", b"a");
    put(disk, "b", b"bb");
    disk.rename("a", "b").unwrap();
    assert_eq!(get(disk, "b"), b"a");
    assert_eq!(disk.list("").unwrap(), ["b"]);
    assert_eq!(kind(disk.rename("a", "b")), Some(ErrorKind::NotFound));
    assert_eq!(kind(disk.rename("b", "no/b")), Some(ErrorKind::NotFound));
    disk.create_dir("d").unwrap();
    disk.rename("b", "d/c").unwrap();
    disk.rename("d", "e").unwrap();
    assert_eq!(get(disk, "e/c"), b"a");
}

async fn a_removed_file_stays_open<E: Env>(env: E) {
    let disk = env.disk();
    put(disk, "f", b"old");
    let file = disk.open("f", Open::Write).unwrap();
    disk.remove("f").unwrap();
    assert_eq!(kind(disk.remove("f")), Some(ErrorKind::NotFound));
    file.write_at(b"er", 3).unwrap();
    assert_eq!(file.size().unwrap(), 5);
    put(disk, "f", b"new");
    let mut buf = [0; 8];
    assert_eq!(file.read_at(&mut buf, 0).unwrap(), 5);
    assert_eq!(&buf[..5], b"older");
}

async fn directories<E: Env>(env: E) {
    let disk = env.disk();
    assert_eq!(disk.list("").unwrap(), Vec::<String>::new());
    assert_eq!(kind(disk.list("no")), Some(ErrorKind::NotFound));
    disk.create_dir("b/x").unwrap();
    disk.create_dir("b").unwrap();
    put(disk, "c", b"");
    put(disk, "a", b"");
    put(disk, "B", b"");
    assert_eq!(disk.list("").unwrap(), ["B", "a", "b", "c"]);
    assert_eq!(disk.list("b").unwrap(), ["x"]);
    assert!(disk.exists("b") && disk.exists("b/x") && !disk.exists("b/y"));
    assert_eq!(kind(disk.remove_dir("b")), Some(ErrorKind::DirectoryNotEmpty));
    assert_eq!(kind(disk.remove_dir("no")), Some(ErrorKind::NotFound));
    disk.remove_dir("b/x").unwrap();
    disk.remove_dir("b").unwrap();
    assert!(!disk.exists("b"));
}

async fn directories_in_the_way<E: Env>(env: E) {
    let disk = env.disk();
    disk.create_dir("d").unwrap();
    put(disk, "d/in", b"");
    put(disk, "f", b"");
    assert_eq!(kind(disk.list("f")), Some(ErrorKind::NotADirectory));
    assert_eq!(kind(disk.open("f/x", Open::Read)), Some(ErrorKind::NotADirectory));
    assert_eq!(kind(disk.remove("d")), Some(ErrorKind::IsADirectory));
    assert_eq!(kind(disk.remove_dir("f")), Some(ErrorKind::NotADirectory));
    assert_eq!(kind(disk.rename("f", "d")), Some(ErrorKind::IsADirectory));
    assert_eq!(kind(disk.rename("d", "f")), Some(ErrorKind::NotADirectory));
    assert_eq!(kind(disk.open("d", Open::Write)), Some(ErrorKind::IsADirectory));
    assert_eq!(kind(disk.rename("d", "d/inside")), Some(ErrorKind::InvalidInput));
    disk.create_dir("e").unwrap();
    put(disk, "e/f", b"");
    assert_eq!(kind(disk.rename("e", "d")), Some(ErrorKind::DirectoryNotEmpty));
}

async fn syncs<E: Env>(env: E) {
    let disk = env.disk();
    let file = disk.open("f", Open::Create).unwrap();
    file.write_at(b"abc", 0).unwrap();
    file.sync().await.unwrap();
    disk.sync_dir("").await.unwrap();
    disk.settled().await;
    assert_eq!(kind(disk.sync_dir("no").await), Some(ErrorKind::NotFound));
    let read_only = disk.open("f", Open::Read).unwrap();
    read_only.sync().await.unwrap();
    assert_eq!(get(disk, "f"), b"abc");
}

async fn a_reader_cannot_write<E: Env>(env: E) {
    put(env.disk(), "f", b"abc");
    let file = env.disk().open("f", Open::Read).unwrap();
    assert!(file.write_at(b"x", 0).is_err());
    assert!(file.truncate(0).is_err());
    assert_eq!(get(env.disk(), "f"), b"abc");
}

async fn clocks_and_chance<E: Env>(env: E) {
    let (mono, wall) = (env.now(), env.wall());
    env.sleep(Duration::from_millis(20)).await;
    assert!(env.now().since(mono) >= Duration::from_millis(20));
    assert!(env.wall() - wall >= 19);
    assert!(env.draw() != env.draw());
    let nothing = env.timeout(Duration::from_millis(5), std::future::pending::<()>()).await;
    assert_eq!(nothing, None);
    assert_eq!(env.timeout(Duration::from_secs(5), async { 7 }).await, Some(7));
}
