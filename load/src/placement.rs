//! Where the kernel had both sides run: a hand-over between two processors takes several times as long as on one (here a round
//! trip of 100 bytes 40 us for 4), two busy threads on one take turns, and the kernel moves them as it likes. So runs of one
//! build fall into two kinds, and each says of which it is.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::machine::{Machine, running, text};

/// How often it was looked where the busiest thread of either side had run last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Placement {
    /// So often.
    pub looks: u32,
    /// So often it was one processor.
    pub together: u32,
}

/// Who looks, and what it has seen: the busiest is who has run longest since the last time.
#[derive(Debug, Default)]
pub struct Placer {
    ran: BTreeMap<PathBuf, u64>,
    placement: Placement,
}

impl Placer {
    /// Looks once, and counts that if it is to; nothing where the broker is not on this machine.
    pub fn look(&mut self, machine: &Machine, counts: bool) {
        let processes = machine.pids.iter().map(|pid| format!("/proc/{pid}/task"));
        let brokers = processes.filter_map(|tasks| self.busiest(Path::new(&tasks)).ok().flatten()).max();
        let ours = self.busiest(Path::new("/proc/self/task")).ok().flatten();
        let Some((ours, theirs)) = ours.zip(brokers).filter(|_| counts) else { return };
        self.placement.looks += 1;
        self.placement.together += u32::from(ours.1 == theirs.1);
    }

    /// What was counted, if anything.
    pub fn seen(&self) -> Option<Placement> {
        Some(self.placement).filter(|placement| placement.looks > 0)
    }

    /// Of the busiest thread of a process: for how many nanoseconds it has run since the last time, and on which processor last.
    fn busiest(&mut self, tasks: &Path) -> io::Result<Option<(u64, u32)>> {
        let mut all = None;
        for task in std::fs::read_dir(tasks)? {
            let task = task?.path();
            // One that ends meanwhile has no files any more.
            let of = |file: &str| text(&task.join(file).to_string_lossy()).ok();
            let (ran, stat) = (of("schedstat").and_then(|stat| running(&stat)), of("stat"));
            let Some((ran, at)) = ran.zip(stat.and_then(|stat| processor(&stat))) else { continue };
            let before = self.ran.insert(task, ran).unwrap_or(0);
            all = all.max(Some((ran.saturating_sub(before), at)));
        }
        Ok(all)
    }
}

/// Field 39 of proc_pid_stat(5). The second is the thread's name, in which there may be anything.
fn processor(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(36)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_found_behind_any_name() {
        let rest = (3..53).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(processor(&format!("7 (a) b (c) {rest}\n")), Some(39));
        assert_eq!((processor("7 (short) S 1"), processor("")), (None, None));
    }

    #[test]
    fn one_process_is_where_it_is_itself() {
        let (mut placer, machine) =
            (Placer::default(), Machine { pids: vec![std::process::id()], ..Machine::default() });
        placer.look(&Machine::default(), true);
        placer.look(&machine, false);
        assert_eq!(placer.seen(), None);
        (0..3).for_each(|_| placer.look(&machine, true));
        assert!(placer.seen().is_some_and(|seen| seen.looks == 3 && seen.together <= 3));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "real files, as the kernel's are")]
    fn the_busiest_is_so_since_the_last_time() {
        let dir = tempfile::tempdir().unwrap();
        let is = |task: &str, ran: u64, at: u32| {
            std::fs::create_dir_all(dir.path().join(task)).unwrap();
            std::fs::write(dir.path().join(task).join("schedstat"), format!("{ran} 0 0\n")).unwrap();
            let between = "0 ".repeat(35);
            std::fs::write(dir.path().join(task).join("stat"), format!("1 (x) S {between}{at} 0\n")).unwrap();
        };
        let mut placer = Placer::default();
        is("1", 9000, 0);
        is("2", 100, 1);
        assert_eq!(placer.busiest(dir.path()).unwrap(), Some((9000, 0)));
        is("1", 9001, 0);
        is("2", 700, 1);
        assert_eq!(placer.busiest(dir.path()).unwrap(), Some((600, 1)), "what warmed up is not who works");
    }
}
