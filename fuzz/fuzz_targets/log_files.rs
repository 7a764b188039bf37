//! A log over hostile files: segment, indexes, producers, leader epochs and checkpoints of any content. It opens,
//! or says why not; what it opened is read, searched and audited.
#![no_main]
#![expect(clippy::disallowed_methods, reason = "the files are made behind the broker's back")]

use std::path::PathBuf;
use std::sync::OnceLock;

use broker::config::LogConfig;
use broker::env::real::RealDisk;
use broker::ids::TopicPartition;
use broker::log::checkpoint::{self, RECOVERY_POINTS};
use broker::log::{FilePool, Log, OpenHow, audit};
use libfuzzer_sys::fuzz_target;

static ROOT: OnceLock<PathBuf> = OnceLock::new();

thread_local! {
    static DISK: RealDisk = RealDisk::new(root().clone()).expect("a directory in memory");
}

fn root() -> &'static PathBuf {
    ROOT.get_or_init(|| PathBuf::from(format!("/dev/shm/fuzz-log-{}", std::process::id())))
}

fuzz_target!(|data: &[u8]| {
    let [flags, a, b, c, rest @ ..] = data else { return };
    let cut = |at: u8, bytes: &[u8]| usize::from(at).min(bytes.len());
    let (index, rest) = rest.split_at(cut(*a, rest));
    let (times, rest) = rest.split_at(cut(*b, rest));
    let (small, segment) = rest.split_at(cut(*c, rest));
    DISK.with(|disk| {
        let dir = root().join("t-0");
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("room in memory");
        let write = |name: &str, bytes: &[u8]| std::fs::write(dir.join(name), bytes).expect("room in memory");
        let name = |suffix: &str| format!("{:020}.{suffix}", 0);
        write(&name("log"), segment);
        write(&name("index"), index);
        write(&name("timeindex"), times);
        write("leader-epoch-checkpoint", small);
        // What is known of producers; with a sound checksum, so that what it guards is read too.
        let state = [&100i16.to_be_bytes()[..], &crc32c::crc32c(index).to_be_bytes(), index].concat();
        write(&name("snapshot"), if flags & 2 == 2 { &state } else { index });
        std::fs::write(root().join(RECOVERY_POINTS), small).expect("room in memory");
        let _ = checkpoint::read(disk, RECOVERY_POINTS);

        let tp = TopicPartition::new("t", 0);
        let how = OpenHow { clean: flags & 1 == 1, list_tail: true, ..OpenHow::default() };
        let pool = FilePool::new(disk.clone(), 16);
        if let Ok((mut log, _)) = Log::open(&pool, "t-0", tp.clone(), LogConfig::default(), how) {
            let end = log.log_end();
            for offset in [0, end / 2, end - 1, end] {
                let _ = log.read(offset, 1 << 16, end, true);
            }
            let _ = (log.offset_for_timestamp(i64::from(*flags), end), log.max_timestamp_offset(end));
            let _ = log.truncate_to(end / 2);
        }
        let _ = audit(disk, "t-0", tp, 0, flags & 1 == 1);
    });
});
