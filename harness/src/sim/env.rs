//! [`SimEnv`]: the doors of one process in a simulated world.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use broker::env::{Env, Mono};
use broker::fact::Fact;

use super::disk::SimDisk;
use super::net::SimNet;
use super::state::{HostState, State};
use crate::history::Kind;
use crate::seed::Draw;

/// The world as one process sees it. A handle that outlives its process is stale: its disk and network refuse it, and
/// what it tells is not heard.
#[derive(Clone)]
pub struct SimEnv(Rc<Inner>);

struct Inner {
    state: Rc<State>,
    host: Rc<HostState>,
    number: usize,
    life: u32,
    disk: SimDisk,
    net: SimNet,
    draws: RefCell<Draw>,
}

impl SimEnv {
    pub(crate) fn new(state: Rc<State>, number: usize) -> Self {
        let host = state.host(number);
        let life = host.incarnation.get();
        let draws = state.seed.split("node", number as u64).split("life", u64::from(life)).draw();
        Self(Rc::new(Inner {
            disk: host.disk.in_life(life),
            net: SimNet::new(state.clone(), number, life),
            draws: RefCell::new(draws),
            state,
            host,
            number,
            life,
        }))
    }

    /// How often this host had been started before this process.
    pub fn incarnation(&self) -> u32 {
        self.0.life
    }

    /// The host's name, by which others connect to it.
    pub fn host_name(&self) -> &str {
        &self.0.host.name
    }

    /// Returns when this process is asked to stop in its own time.
    pub async fn asked_to_stop(&self) {
        let told = self.0.host.stop.notified();
        if !self.0.host.stopping.get() {
            told.await;
        }
    }

    fn alive(&self) -> bool {
        self.0.host.life.get() == self.0.life
    }

    fn count(&self) {
        self.0.state.count_call(&self.0.host);
    }
}

impl Env for SimEnv {
    type Net = SimNet;
    type Disk = SimDisk;

    fn net(&self) -> &SimNet {
        self.count();
        &self.0.net
    }

    fn disk(&self) -> &SimDisk {
        self.count();
        &self.0.disk
    }

    fn now(&self) -> Mono {
        self.count();
        Mono(self.0.host.clock.mono(self.0.state.time.now()))
    }

    fn wall(&self) -> i64 {
        self.count();
        self.0.host.clock.wall(self.0.state.time.now())
    }

    fn sleep(&self, d: Duration) -> impl Future<Output = ()> {
        self.count();
        let at = self.0.state.time.now() + self.0.host.clock.world_time(d);
        self.0.state.until(at)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door that the rule points to")]
    fn spawn(&self, _name: &'static str, task: impl Future<Output = ()> + 'static) {
        self.count();
        if self.alive() {
            tokio::task::spawn_local(Marked::new(self.0.state.clone(), self.0.number, task));
        }
    }

    fn draw(&self) -> u64 {
        self.count();
        self.0.draws.borrow_mut().number()
    }

    fn hears(&self) -> bool {
        self.0.host.node().is_some()
    }

    fn tell(&self, fact: Fact) {
        self.count();
        let Some(node) = self.0.host.node() else { return };
        if self.alive() {
            let tape = &self.0.state.tape;
            let tp = fact.tp().map(|tp| tape.tp(tp));
            tape.note(Kind::Fact { node, incarnation: self.0.life, tp, fact });
        }
    }

    fn halt(&self, why: &str) {
        if self.alive() {
            self.0.host.falling.set(true);
            self.0.state.end_life(&self.0.host, false, why);
        }
    }
}

/// A task that says whose it is while it is polled, so that a panic can be laid at its host's door.
pub(crate) struct Marked<F> {
    state: Rc<State>,
    host: usize,
    task: Pin<Box<F>>,
}

impl<F: Future<Output = ()>> Marked<F> {
    pub(crate) fn new(state: Rc<State>, host: usize, task: F) -> Self {
        Self { state, host, task: Box::pin(task) }
    }
}

impl<F: Future<Output = ()>> Future for Marked<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Not restored on a panic: that is the point.
        self.state.running.set(Some(self.host));
        let done = self.task.as_mut().poll(cx);
        self.state.running.set(None);
        done
    }
}
