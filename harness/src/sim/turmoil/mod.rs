//! [`SimWorld`]: hosts on turmoil, driven step by step from outside. Turmoil gives each host its runtime, carries the
//! bytes with latency and in order, and takes hosts down; everything that a fault does lies in the doors above it.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use broker::ids::NodeId;
use turmoil::Sim;

use super::clock::EPOCH_MS;
use super::disk::SimDisk;
use super::env::{Marked, SimEnv};
use super::net::{Doom, Rule, What, go_on};
use super::state::{Role, State};
use super::{Crash, DiskOp, Failing, Frames, Host, Ticket, Traffic, Unsynced, World, panics};
use crate::history::Tape;
use crate::order::{Order, Orders};
use crate::seed::Seed;

/// Segments that a connection may have under way, and connections that may wait to be accepted: more than any run has,
/// because turmoil panics beyond it. The doors bound both by bytes and by time.
const TCP_CAPACITY: usize = 16_384;
/// Dead connections are looked for this often, in nanoseconds of world time.
const REAP_EVERY: u64 = 1_000_000_000;

/// What a host runs, called each time it starts.
pub type Main = Rc<dyn Fn(SimEnv) -> Pin<Box<dyn Future<Output = ()>>>>;

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct WorldSpec {
    /// Everything that is drawn comes from here.
    pub seed: Seed,
    /// The grain of world time.
    pub tick: Duration,
    /// The least and the greatest latency of a message.
    pub latency: (Duration, Duration),
    /// Whether connections split reads and writes at random.
    pub split: bool,
}

/// A host to be.
#[derive(Clone)]
pub struct HostSpec {
    name: String,
    role: Role,
    restart_after: Option<Duration>,
    main: Main,
}

impl HostSpec {
    /// A broker. When it halts or ends by itself it is started again after `restart_after`, if that is given.
    pub fn broker(name: String, id: NodeId, restart_after: Option<Duration>, main: Main) -> Self {
        Self { name, role: Role::Broker(id), restart_after, main }
    }

    /// A node that is a controller alone; started again as a broker is.
    pub fn controller(name: String, id: NodeId, restart_after: Option<Duration>, main: Main) -> Self {
        Self { name, role: Role::Controller(id), restart_after, main }
    }

    /// A host on which a second process of the broker `id` may run. It is down until it is started.
    pub fn twin(name: String, id: NodeId, main: Main) -> Self {
        Self { name, role: Role::Twin(id), restart_after: None, main }
    }

    /// A host of clients.
    pub fn client(name: String, main: Main) -> Self {
        Self { name, role: Role::Client, restart_after: None, main }
    }
}

/// A run cannot go on: a panic or a hang inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// On which host, if that is known; else `world`.
    pub host: String,
    /// What happened and where.
    pub message: String,
}

/// A simulated world on turmoil.
pub struct SimWorld {
    /// Dropped first: its tasks hold the state.
    sim: Option<Sim<'static>>,
    state: Rc<State>,
    orders: Orders,
    broken: Option<Broken>,
    next_reap: u64,
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX / 4)
}

impl SimWorld {
    /// A world without hosts.
    pub fn new(spec: WorldSpec) -> Self {
        let epoch = UNIX_EPOCH + Duration::from_millis(EPOCH_MS.unsigned_abs());
        let (low, high) = (spec.latency.0, spec.latency.1.max(spec.latency.0));
        let sim = turmoil::Builder::new()
            .rng_seed(spec.seed.split("turmoil", 0).number())
            .epoch(epoch)
            .simulation_duration(Duration::from_secs(u64::from(u32::MAX)))
            .tick_duration(spec.tick)
            .min_message_latency(low)
            .max_message_latency(high)
            .tcp_capacity(TCP_CAPACITY)
            .enable_random_order()
            .build();
        let state = State::new(spec.seed, nanos(spec.tick), (nanos(low), nanos(high)), spec.split);
        Self { sim: Some(sim), state, orders: Orders::default(), broken: None, next_reap: REAP_EVERY }
    }

    /// Adds a host and starts it.
    pub fn add(&mut self, spec: HostSpec) -> Host {
        let HostSpec { name, role, restart_after, main } = spec;
        let number = self.state.add(name.clone(), role, restart_after.map(nanos));
        let Some(sim) = &mut self.sim else { return Host(number) };
        self.state.set_address(number, sim.lookup(name.as_str()));
        let waits = matches!(role, Role::Twin(_));
        if !waits {
            self.state.begin_life(&self.state.host(number));
        }
        let state = self.state.clone();
        let started = panics::guard(|| {
            sim.host(name.as_str(), move || live(state.clone(), number, main(SimEnv::new(state.clone(), number))));
        });
        self.note_panic(started);
        if waits {
            self.drop_process(number);
        }
        Host(number)
    }

    /// Where the world's events are noted.
    pub fn tape(&self) -> Tape {
        self.state.tape.clone()
    }

    /// Where the world's administrator finds what it is asked.
    pub fn orders(&self) -> Orders {
        self.orders.clone()
    }

    /// Moves the world by one tick. A world that broke stays broken.
    pub fn step(&mut self) -> Result<(), Broken> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        let state = self.state.clone();
        state.begin_tick();
        state.time.advance(state.time.now() + state.tick);
        self.restart_due();
        if state.time.now() >= self.next_reap {
            self.next_reap += REAP_EVERY;
            state.links.reap(state.time.now());
        }
        if let Some(sim) = &mut self.sim {
            let stepped = panics::guard(|| sim.step().map(|_| ()).map_err(|e| e.to_string()));
            self.note_panic(stepped.and_then(|done| done));
        }
        self.bury_fallen();
        self.broken.clone().map_or(Ok(()), Err)
    }

    /// A host's disk, for an auditor: it takes no time and outlives every process.
    pub fn disk(&self, host: Host) -> SimDisk {
        self.state.host(host.0).disk.clone()
    }

    /// How often the host has been started, less one.
    pub fn incarnation(&self, host: Host) -> u32 {
        self.state.host(host.0).incarnation.get()
    }

    fn note_panic<T>(&mut self, done: Result<T, String>) {
        if let (Err(message), None) = (done, &self.broken) {
            let host = self.state.running.take().map_or("world".into(), |n| self.state.host(n).name.clone());
            self.broken = Some(Broken { host, message });
        }
    }

    /// Hosts whose process ended by itself in this tick: what it leaves is cleared away.
    fn bury_fallen(&mut self) {
        for number in 0..self.state.count() {
            let host = self.state.host(number);
            if host.falling.take() {
                self.drop_process(number);
                host.disk.lose_process();
                let again = host.restart_after.filter(|_| !host.stopping.get());
                host.restart_at.set(again.map(|d| self.state.time.now() + d));
            }
        }
    }

    fn restart_due(&mut self) {
        for number in 0..self.state.count() {
            let due = self.state.host(number).restart_at.get();
            if due.is_some_and(|at| at <= self.state.time.now()) {
                self.start(Host(number));
            }
        }
    }

    /// Drops every task of the host's process. Their destructors run; their handles are stale by now.
    fn drop_process(&mut self, number: usize) {
        let name = self.state.host(number).name.clone();
        if let Some(sim) = &mut self.sim {
            let dropped = panics::guard(|| sim.crash(name.as_str()));
            self.note_panic(dropped);
        }
    }

    fn of_role(&self, is: impl Fn(Role) -> bool) -> Vec<Host> {
        (0..self.state.count()).filter(|n| is(self.state.host(*n).role)).map(Host).collect()
    }
}

/// A host's software: its main, and then nothing until the step loop has cleared it away.
async fn live(
    state: Rc<State>,
    number: usize,
    main: Pin<Box<dyn Future<Output = ()>>>,
) -> Result<(), Box<dyn std::error::Error>> {
    let host = state.host(number);
    let life = host.life.get();
    go_on(&state, number);
    Marked::new(state.clone(), number, main).await;
    if host.life.get() == life {
        host.falling.set(true);
        state.end_life(&host, false, "ended");
    }
    std::future::pending().await
}

impl World for SimWorld {
    fn now(&self) -> u64 {
        self.state.time.now()
    }

    fn brokers(&self) -> Vec<Host> {
        self.of_role(|role| matches!(role, Role::Broker(_)))
    }

    fn controllers(&self) -> Vec<Host> {
        self.of_role(|role| matches!(role, Role::Controller(_)))
    }

    fn clients(&self) -> Vec<Host> {
        self.of_role(|role| role == Role::Client)
    }

    fn name(&self, host: Host) -> String {
        self.state.host(host.0).name.clone()
    }

    fn up(&self, host: Host) -> bool {
        self.state.host(host.0).up()
    }

    fn crash(&mut self, host: Host, how: Crash) {
        let it = self.state.host(host.0);
        // A host on its way up again after a halt is taken down for longer by this.
        it.restart_at.set(None);
        if !it.up() {
            return;
        }
        match how {
            Crash::Process => {
                self.state.end_life(&it, false, "process crash");
                self.drop_process(host.0);
                it.disk.lose_process();
            }
            Crash::Power(unsynced) => {
                it.dark.set(true);
                for conn in self.state.links.conns() {
                    conn.silence(host.0);
                }
                self.state.end_life(&it, true, "power loss");
                self.drop_process(host.0);
                it.disk.lose_power(unsynced);
            }
        }
    }

    fn start(&mut self, host: Host) {
        let it = self.state.host(host.0);
        if it.up() || self.broken.is_some() {
            return;
        }
        it.incarnation.set(it.incarnation.get() + 1);
        let was_dark = it.dark.get();
        self.state.begin_life(&it);
        if was_dark {
            let at = self.state.time.now() + 2 * self.state.latency.0;
            for conn in self.state.links.conns() {
                conn.forget(host.0, at);
            }
            self.state.links.changed();
        }
        let name = it.name.clone();
        if let Some(sim) = &mut self.sim {
            let started = panics::guard(|| sim.bounce(name.as_str()));
            self.note_panic(started);
        }
    }

    fn stop(&mut self, host: Host) {
        let it = self.state.host(host.0);
        it.restart_at.set(None);
        it.stopping.set(true);
        it.stop.notify_waiters();
    }

    fn stopping(&self, host: Host) -> bool {
        let it = self.state.host(host.0);
        it.up() && it.stopping.get()
    }

    fn wipe(&mut self, host: Host) {
        self.crash(host, Crash::Power(Unsynced::Lost));
        self.state.wipe(&self.state.host(host.0));
    }

    fn twin(&self, host: Host) -> Option<Host> {
        let id = self.state.host(host.0).node()?;
        self.of_role(|role| role == Role::Twin(id)).first().copied()
    }

    fn copy_disk(&mut self, from: Host, to: Host) {
        let copied = self.state.host(to.0).disk.copy_from(&self.state.host(from.0).disk);
        self.note_panic(copied.map_err(|error| error.to_string()));
    }

    fn cut(&mut self, from: Host, to: Host) {
        self.state.links.cut(from.0, to.0, true);
    }

    fn mend(&mut self, from: Host, to: Host) {
        self.state.links.cut(from.0, to.0, false);
        self.state.links.changed();
    }

    fn slow(&mut self, from: Host, to: Host, extra: Duration) -> Ticket {
        Ticket(self.state.links.slow(from.0, to.0, nanos(extra)))
    }

    fn hasten(&mut self, from: Host, to: Host, ticket: Ticket) {
        self.state.links.hasten(from.0, to.0, ticket.0);
    }

    fn reset_after(&mut self, broker: Host, api_key: i16, nth: u32) -> Ticket {
        Ticket(self.state.links.doom(broker.0, Doom { api_key, left: nth.max(1) }))
    }

    fn forget_reset(&mut self, broker: Host, ticket: Ticket) {
        self.state.links.spare(broker.0, ticket.0);
    }

    fn hold(&mut self, frames: Frames) -> Ticket {
        Ticket(self.state.links.rules.add(rule(frames, What::Hold)))
    }

    fn repeat(&mut self, frames: Frames, after: Duration) -> Ticket {
        Ticket(self.state.links.rules.add(rule(frames, What::Repeat { after: nanos(after) })))
    }

    fn asked(&self, api_key: i16) -> u64 {
        self.state.links.rules.asked(api_key)
    }

    fn traffic(&self) -> Traffic {
        let (requests, network_bytes) = (self.state.links.rules.asked_in_all(), self.state.sent.get());
        let disks = (0..self.state.count()).map(|host| self.state.host(host).disk.asked());
        let (disk_writes, disk_bytes, disk_syncs) =
            disks.fold((0, 0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1, sum.2 + of.2));
        Traffic { requests, network_bytes, disk_writes, disk_bytes, disk_syncs }
    }

    fn release(&mut self, ticket: Ticket, lost: bool) {
        self.state.links.rules.end(ticket.0, lost, self.state.time.now());
    }

    fn order(&mut self, order: Order) {
        self.orders.put(order);
    }

    fn freeze(&mut self, host: Host) {
        self.state.links.freeze(host.0, true);
        self.state.host(host.0).disk.stall(true);
    }

    fn thaw(&mut self, host: Host) {
        self.state.links.freeze(host.0, false);
        self.state.host(host.0).disk.stall(false);
        self.state.links.changed();
    }

    fn clock_jump(&mut self, host: Host, ms: i64) {
        self.state.host(host.0).clock.jump(ms);
    }

    fn clock_drift(&mut self, host: Host, ppm: i64) -> Ticket {
        Ticket(self.state.host(host.0).clock.drift(self.state.time.now(), ppm))
    }

    fn clock_steady(&mut self, host: Host, ticket: Ticket) {
        self.state.host(host.0).clock.steady(self.state.time.now(), ticket.0);
    }

    fn disk_stall(&mut self, host: Host) {
        self.state.host(host.0).disk.stall(true);
    }

    fn disk_resume(&mut self, host: Host) {
        self.state.host(host.0).disk.stall(false);
    }

    fn disk_slow(&mut self, host: Host, extra: Duration) -> Ticket {
        Ticket(self.state.host(host.0).disk.slow(extra))
    }

    fn disk_hasten(&mut self, host: Host, ticket: Ticket) {
        self.state.host(host.0).disk.hasten(ticket.0);
    }

    fn disk_fail(&mut self, host: Host, op: DiskOp, failing: Failing) -> Ticket {
        Ticket(self.state.host(host.0).disk.fail(op, failing))
    }

    fn disk_mend(&mut self, host: Host, op: DiskOp, ticket: Ticket) {
        self.state.host(host.0).disk.mend(op, ticket.0);
    }

    fn disk_room(&mut self, host: Host, free: u64) -> Ticket {
        Ticket(self.state.host(host.0).disk.room(free))
    }

    fn disk_grow(&mut self, host: Host, ticket: Ticket) {
        self.state.host(host.0).disk.grow_again(ticket.0);
    }

    fn disk_flip(&mut self, host: Host, suffix: &str, salt: u64) -> Option<String> {
        self.state.host(host.0).disk.flip(suffix, salt)
    }
}

fn rule(frames: Frames, what: What) -> Rule {
    let Frames { from, to, api_key, answers, skip, most } = frames;
    Rule { from: from.map(|h| h.0), to: to.map(|h| h.0), api_key, answers, skip, most, what }
}

impl Drop for SimWorld {
    fn drop(&mut self) {
        // Tasks end here; what they do while they end reaches nobody, and their panics are nobody's finding.
        for number in 0..self.state.count() {
            let host = self.state.host(number);
            host.life.set(super::state::DEAD);
            host.disk.set_life(super::state::DEAD);
        }
        let sim = self.sim.take();
        _ = panics::guard(|| drop(sim));
    }
}
