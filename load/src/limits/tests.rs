//! Every probe measures something, and the limit that binds is the one that theory names.

use broker::config::FlushPolicy;
use broker::record::Compression;

use super::*;
use crate::arrivals::Arrivals;
use crate::spec::{Codec, Drive, Reading, Spec};

/// A machine with round figures: a page takes 2 us, so that new ones come at 2,048 MB/s.
fn limits() -> Limits {
    let commits = |bytes, reused| Commits { bytes, reused, rate: 1000.0, p50_us: 900.0, p99_us: 2000.0 };
    Limits {
        page_us: 2.0,
        write: 2000.0,
        overwrite: 5000.0,
        read: 8000.0,
        cold_read: 500.0,
        commits: vec![commits(1024, false), commits(1024, true)],
        groups: vec![(1, 1000.0)],
        loopback: vec![("bbr (default)".into(), 1000.0), ("cubic".into(), 4000.0)],
        round_trip_us: (25.0, 50.0),
        crc: 20_000.0,
        foreign: 0.0,
    }
}

const CODING: Coding = Coding { encode: 4e6, decode: 8e6, bytes: 100.0 };

fn bound(spec: &Spec, page_us: Option<f64>) -> (String, f64) {
    let dir = tempfile::tempdir().unwrap();
    let Bound { by, rate } = limits().binding(spec, dir.path(), page_us, Some(&CODING)).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "it leaves nothing");
    (by, rate)
}

#[test]
fn every_probe_measures_something_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits::probe(dir.path()).unwrap();
    let all = [limits.write, limits.overwrite, limits.read, limits.cold_read, limits.round_trip_us.0, limits.crc];
    let groups = limits.groups.iter().map(|(_, rate)| *rate);
    let commits = limits.commits.iter().flat_map(|c| [c.rate, c.p50_us]);
    let loopback = limits.loopback.iter().map(|(_, rate)| *rate);
    for figure in all.into_iter().chain([limits.page_us]).chain(commits).chain(groups).chain(loopback) {
        assert!(figure > 0.0 && figure.is_finite(), "{limits}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn the_slowest_way_binds_each_run() {
    let spec = Spec::default();
    let mb = |rate: f64| rate * 1e6 / 1024.0;
    assert_eq!(bound(&spec, None), ("write() into the page cache".into(), mb(2000.0)));
    // 4,096 bytes in 4,096 us are 1 MB a second, whatever was warm beforehand.
    assert_eq!(bound(&spec, Some(4096.0)), ("write() into new pages".into(), mb(1.0)));
    let kept_short = Spec { retain_megabytes: Some(64), ..Spec::default() };
    assert_eq!(bound(&kept_short, Some(4096.0)).0, "a loopback connection");
    let thrice = Spec { replication: 3, ..Spec::default() };
    assert_eq!(bound(&thrice, Some(4.096)), ("write() into new pages, 3 times over".into(), mb(1000.0) / 3.0));
    let small = Spec { record_bytes: 100, ..Spec::default() };
    assert_eq!(bound(&small, None), ("encoding on one thread".into(), 4e6));
    let catch_up = |cold| Spec { reading: Reading::CatchUp { megabytes: 1, cold }, ..Spec::default() };
    assert_eq!(bound(&catch_up(true), Some(4096.0)), ("read() from the device".into(), mb(500.0)));
    assert_eq!(bound(&catch_up(false), Some(4096.0)).0, "a loopback connection");
}

#[test]
fn codecs_make_less_of_it_and_take_their_time() {
    let zstd = Spec { compression: Codec(Compression::Zstd), ..Spec::default() };
    // Bytes are no limit at a tenth of them; the codec is.
    assert_eq!(bound(&zstd, Some(2.0)), ("encoding with zstd on one thread".into(), 4e6));
    let fan = Spec { reading: Reading::Tail { groups: 16 }, ..zstd };
    assert!(bound(&fan, Some(2.0)).0.starts_with("decoding with zstd on "));
}

#[test]
fn who_waits_for_each_record_is_held_by_what_it_waits_for() {
    let alone = Spec { drive: Drive::Closed { in_flight: 1 }, ..Spec::default() };
    assert_eq!(bound(&alone, None), ("a round trip of 100 bytes".into(), 40_000.0));
    let replicated = Spec { replication: 3, ..alone.clone() };
    assert_eq!(bound(&replicated, None), ("two round trips of 100 bytes".into(), 20_000.0));
    let durable = Spec { flush: FlushPolicy::Always, drive: Drive::Closed { in_flight: 4 }, ..Spec::default() };
    let many = Spec { drive: Drive::Closed { in_flight: 8192 }, ..durable.clone() };
    for (spec, by) in [(&durable, "4 waiting for one syncer"), (&many, "write() and fdatasync() of 1280 KiB")] {
        let dir = tempfile::tempdir().unwrap();
        let by_sync = super::binding::synced(spec, dir.path(), 1024.0).unwrap().unwrap();
        assert!(by_sync.rate > 0.0 && by_sync.by == by, "{by_sync:?}");
        let short = Spec { retain_megabytes: Some(64), ..spec.clone() };
        let over = super::binding::synced(&short, dir.path(), 1024.0).unwrap().unwrap();
        assert_eq!(over.by, format!("{by} over what was written"));
    }
}

#[test]
fn an_open_loop_has_a_floor_under_its_latency() {
    let open = Spec { drive: Drive::Open { rate: 1e3, arrivals: Arrivals::Poisson }, ..Spec::default() };
    let us = |spec: &Spec| limits().floor(spec).unwrap().us;
    assert_eq!(us(&open), 25.0);
    let durable = Spec { flush: FlushPolicy::Always, ..open.clone() };
    assert_eq!(us(&durable), 925.0);
    assert_eq!(us(&Spec { replication: 3, ..durable }), 950.0);
    assert_eq!(us(&Spec { replication: 3, acks: 1, ..open }), 25.0);
    assert_eq!(limits().floor(&Spec::default()), None, "in a closed loop records wait for each other");
}
