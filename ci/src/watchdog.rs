//! A run that does not end: a thread cannot be stopped from outside, so the process says which run it was, and exits.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use harness::run::RunSpec;

use crate::exit::Exit;
use crate::screen;
use crate::wall::Wall;

/// Watches runs while it lives.
pub struct Watchdog {
    runs: Arc<Mutex<BTreeMap<usize, (String, Wall)>>>,
    _alive: Sender<()>,
}

impl Watchdog {
    /// Lets each run take `limit` of real time. Past that, the process reports a hang and exits with the code of broken
    /// liveness.
    #[expect(clippy::disallowed_methods, reason = "watches workers from outside; no run sees it")]
    pub fn new(limit: Duration) -> Self {
        let runs: Arc<Mutex<BTreeMap<usize, (String, Wall)>>> = Arc::default();
        let (alive, gone) = channel::<()>();
        let watched = Arc::clone(&runs);
        std::thread::spawn(move || {
            while gone.recv_timeout((limit / 10).min(Duration::from_secs(1))) == Err(RecvTimeoutError::Timeout) {
                let table = watched.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((replay, _)) = table.values().find(|(_, began)| began.elapsed() > limit) {
                    report(replay, limit);
                }
            }
        });
        Self { runs, _alive: alive }
    }

    /// `worker` begins `spec`.
    pub fn begins(&self, worker: usize, spec: &RunSpec) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.insert(worker, (spec.replay(), Wall::start()));
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

fn report(replay: &str, limit: Duration) -> ! {
    screen::error(&format!("hang: a run has not ended within {} s of real time\nReplay  {replay}", limit.as_secs()));
    std::process::exit(i32::from(Exit::Liveness.code()));
}
