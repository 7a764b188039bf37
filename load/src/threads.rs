//! The generator's threads: each connects, says so, and begins when all have.

#![expect(clippy::disallowed_methods, reason = "the generator is live: a reactor on each of its threads")]

use std::future::Future;
use std::io;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use broker::env::real::block_on;
use tokio::sync::watch;

/// How long threads may take to connect.
const CONNECT: Duration = Duration::from_secs(120);
/// How often it is looked whether one has failed.
const LOOK: Duration = Duration::from_millis(50);

/// Where a thread waits for the others.
pub struct Gate {
    ready: mpsc::Sender<i32>,
    go: watch::Receiver<bool>,
}

impl Gate {
    /// Returns when all are here and may begin; an error if they never will be.
    pub async fn pass(mut self) -> io::Result<()> {
        // Nobody listens any more when another has failed: the next line says so.
        let _ = self.ready.send(rustix::thread::gettid().as_raw_nonzero().get());
        self.go.wait_for(|go| *go).await.map(drop).map_err(|_| io::ErrorKind::NotConnected.into())
    }
}

/// Threads that are connected and wait.
pub struct Ready<T> {
    threads: Vec<JoinHandle<io::Result<T>>>,
    /// The kernel's ids of them.
    pub ids: Vec<i32>,
    go: watch::Sender<bool>,
}

impl<T: Send + 'static> Ready<T> {
    /// A thread for each of `works`. Returns when every one waits at its gate.
    pub fn all<F: Future<Output = io::Result<T>>>(
        works: impl Iterator<Item = impl FnOnce(Gate) -> F + Send + 'static>,
    ) -> io::Result<Self> {
        let ((ready, is_ready), (go, may_go)) = (mpsc::channel(), watch::channel(false));
        let threads = works.map(|work| {
            let gate = Gate { ready: ready.clone(), go: may_go.clone() };
            thread::spawn(move || block_on(work(gate)).and_then(|done| done))
        });
        let threads: Vec<_> = threads.collect();
        drop((ready, may_go));
        let mut this = Self { threads, ids: Vec::new(), go };
        let until = Instant::now() + CONNECT;
        while this.ids.len() < this.threads.len() {
            match is_ready.recv_timeout(LOOK) {
                Ok(id) => this.ids.push(id),
                Err(_) if !this.has_ended() && Instant::now() < until => {}
                Err(_) => {
                    let failed = this.join().err();
                    return Err(failed.unwrap_or_else(|| io::ErrorKind::TimedOut.into()));
                }
            }
        }
        Ok(this)
    }

    /// They may begin.
    pub fn go(&self) {
        self.go.send_replace(true);
    }

    /// Whether one has ended before its time.
    pub fn has_ended(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// What each has done.
    pub fn join(self) -> io::Result<Vec<T>> {
        drop(self.go);
        let ends = self.threads.into_iter().map(|t| t.join().unwrap_or_else(|why| std::panic::resume_unwind(why)));
        let (done, failed): (Vec<_>, Vec<_>) = ends.collect::<Vec<_>>().into_iter().partition(Result::is_ok);
        // Those that were kept waiting because of it say nothing of why.
        let mut why: Vec<io::Error> = failed.into_iter().filter_map(Result::err).collect();
        why.sort_by_key(|error| error.kind() == io::ErrorKind::NotConnected);
        why.into_iter().next().map_or_else(|| Ok(done.into_iter().filter_map(Result::ok).collect()), Err)
    }
}

/// How many threads a side of the generator has: one on a small machine, so that the broker and its flushes find a core.
pub fn a_side() -> usize {
    (cpus() / 4).max(1)
}

/// Processors that this process may use.
pub fn cpus() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_begin_when_all_are_there() {
        let works = (0..3).map(|n| {
            move |gate: Gate| async move {
                gate.pass().await?;
                Ok(n)
            }
        });
        let ready = Ready::all(works).unwrap();
        assert_eq!((ready.ids.len(), ready.has_ended()), (3, false));
        ready.go();
        assert_eq!(ready.join().unwrap(), [0, 1, 2]);
    }

    #[test]
    fn one_that_does_not_connect_ends_the_others() {
        let works = (0..3).map(|n| {
            move |gate: Gate| async move {
                if n == 1 {
                    return Err(io::Error::other("no such broker"));
                }
                gate.pass().await
            }
        });
        let failed = Ready::all(works).err().unwrap();
        assert!(failed.to_string().contains("no such broker"), "{failed}");
    }
}
