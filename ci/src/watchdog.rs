//! A run that does not end: a thread cannot be stopped from outside, so the process says which run it was, and exits.
//!
//! A run's time is counted in looks of the watchdog, not read from a clock: while the whole process stands still (a stopped
//! job, a laptop that sleeps, a container that is paused) the watchdog does, too, and no run is called hung for it.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use harness::run::RunSpec;

use crate::exit::Exit;
use crate::screen;
/// How often a run is looked at within its limit.
const LOOKS: u32 = 60;

/// Watches runs while it lives.
pub struct Watchdog {
    runs: Arc<Mutex<Runs>>,
    _alive: Sender<()>,
}

/// By worker: how its run is repeated, and how often it was looked at.
type Runs = BTreeMap<usize, (String, u32)>;

impl Watchdog {
    /// Lets each run take `limit` of real time. Past that, the process reports a hang and exits with the code of broken
    /// liveness.
    #[expect(clippy::disallowed_methods, reason = "watches workers from outside; no run sees it")]
    pub fn new(limit: Duration) -> Self {
        let runs: Arc<Mutex<Runs>> = Arc::default();
        let (alive, gone) = channel::<()>();
        let watched = Arc::clone(&runs);
        std::thread::spawn(move || {
            while gone.recv_timeout(limit / LOOKS) == Err(RecvTimeoutError::Timeout) {
                if let Some(replay) = look(&mut watched.lock().unwrap_or_else(PoisonError::into_inner)) {
                    report(replay, limit);
                }
            }
        });
        Self { runs, _alive: alive }
    }

    /// `worker` begins `spec`.
    pub fn begins(&self, worker: usize, spec: &RunSpec) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.insert(worker, (spec.replay(), 0));
    }

    /// What `worker` ran has ended.
    pub fn ends(&self, worker: usize) {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).remove(&worker);
    }

    /// Runs `work` as `spec`, watched.
    pub fn over<T>(&self, spec: &RunSpec, work: impl FnOnce() -> T) -> T {
        let worker = rayon::current_thread_index().unwrap_or(usize::MAX);
        self.begins(worker, spec);
        let done = work();
        self.ends(worker);
        done
    }
}

/// Looks at each run once: which of them has had its time?
fn look(runs: &mut Runs) -> Option<&str> {
    runs.values_mut().for_each(|(_, looks)| *looks += 1);
    runs.values().find(|(_, looks)| *looks > LOOKS).map(|(replay, _)| replay.as_str())
}

fn report(replay: &str, limit: Duration) -> ! {
    screen::error(&format!("hang: a run has not ended within {} s of real time\nReplay  {replay}", limit.as_secs()));
    std::process::exit(i32::from(Exit::Liveness.code()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_hung_when_it_has_had_all_its_looks() {
        let mut runs = Runs::from([(0, ("the first".into(), 0)), (1, ("the second".into(), 30))]);
        assert!((30..LOOKS).all(|_| look(&mut runs).is_none()));
        assert_eq!(look(&mut runs), Some("the second"));
        runs.remove(&1);
        assert_eq!((30 + 1..LOOKS).find_map(|_| look(&mut runs).map(str::to_owned)), None);
        assert_eq!(look(&mut runs), Some("the first"));
    }
}
