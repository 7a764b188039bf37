//! Where the kernel had both sides run: a hand-over between two processors takes several times as long as on one (here a round
//! trip of 100 bytes 40 us for 4), two busy threads on one take turns, and the kernel moves them as it likes. So runs of one
//! build fall into two kinds, and each says of which it is.

use std::io;
use std::path::Path;

use crate::machine::{Machine, running, text};

/// How often it was looked where the busiest thread of either side had run last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Placement {
    /// So often.
    pub looks: u32,
    /// So often it was one processor.
    pub together: u32,
}

impl Placement {
    /// Looks once; nothing where the broker is not on this machine.
    pub fn look(&mut self, machine: &Machine) {
        let processes = machine.pids.iter().map(|pid| format!("/proc/{pid}/task"));
        let brokers = processes.filter_map(|tasks| busiest(Path::new(&tasks)).ok().flatten());
        let ours = busiest(Path::new("/proc/self/task")).ok().flatten();
        let Some((ours, theirs)) = ours.zip(brokers.max()) else { return };
        self.looks += 1;
        self.together += u32::from(ours.1 == theirs.1);
    }
}

/// Of the thread of a process that has run longest: for how many nanoseconds, and on which processor last.
fn busiest(tasks: &Path) -> io::Result<Option<(u64, u32)>> {
    let mut all = None;
    for task in std::fs::read_dir(tasks)? {
        let task = task?.path();
        // One that ends meanwhile has no files any more.
        let of = |file: &str| text(&task.join(file).to_string_lossy()).ok();
        let ran = of("schedstat").and_then(|stat| running(&stat));
        all = all.max(ran.zip(of("stat").and_then(|stat| processor(&stat))));
    }
    Ok(all)
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
        let (mut placement, machine) =
            (Placement::default(), Machine { pids: vec![std::process::id()], ..Machine::default() });
        placement.look(&Machine::default());
        assert_eq!(placement, Placement::default());
        (0..3).for_each(|_| placement.look(&machine));
        assert_eq!(placement.looks, 3);
        assert!(placement.together <= 3);
    }
}
