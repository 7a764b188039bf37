//! Listening and connecting.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use broker::env::{Listener, Net, race};
use turmoil::net::{TcpListener, TcpStream};

use super::conn::Conn;
use super::stream::SimStream;
use crate::sim::state::{HostState, State};

/// The simulator never gives a port back after a connection attempt that failed, and panics when none of 16384 is left:
/// an error before that.
const PORTS: u32 = 16_000;

/// The network of one process.
pub struct SimNet {
    state: Rc<State>,
    host: Rc<HostState>,
    number: usize,
    life: u32,
}

/// A listening socket of a simulated process.
pub struct SimListener {
    inner: TcpListener,
    net: SimNet,
    port: u16,
}

fn split(addr: &str) -> io::Result<(&str, u16)> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, format!("{addr:?} is not host:port"));
    let (host, port) = addr.rsplit_once(':').ok_or_else(wrong)?;
    Ok((host, port.parse().map_err(|_| wrong())?))
}

/// Counts an attempt as failed unless told otherwise.
struct Attempt<'a> {
    failed: &'a Cell<u32>,
    done: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.failed.set(self.failed.get() + 1);
        }
    }
}

impl SimNet {
    pub(crate) fn new(state: Rc<State>, number: usize, life: u32) -> Self {
        let host = state.host(number);
        Self { state, host, number, life }
    }

    fn again(&self) -> Self {
        Self::new(self.state.clone(), self.number, self.life)
    }

    fn alive(&self) -> io::Result<()> {
        let alive = self.host.life.get() == self.life;
        if alive { Ok(()) } else { Err(io::ErrorKind::ConnectionAborted.into()) }
    }

    /// Waits until a SYN would arrive and its answer come back.
    async fn passable(&self, peer: usize) {
        let ticket = Ticket { state: &self.state, number: self.state.links.number() };
        poll_fn(|cx| {
            let links = &self.state.links;
            let shut = links.blocked(self.number, peer) || links.blocked(peer, self.number);
            if !shut && !self.state.host(peer).dark.get() {
                return Poll::Ready(());
            }
            links.wait(ticket.number, cx);
            Poll::Pending
        })
        .await;
    }

    async fn reach(&self, peer: usize, port: u16) -> io::Result<SimStream> {
        let links = &self.state.links;
        self.passable(peer).await;
        let extra = links.extra(self.number, peer) + links.extra(peer, self.number);
        if extra > 0 {
            self.state.until(self.state.time.now() + extra).await;
            self.passable(peer).await;
        }
        let host = self.state.host(peer);
        if !host.listening.borrow().contains(&port) {
            // The peer's kernel answers with a reset, a round trip later.
            self.state.until(self.state.time.now() + 2 * self.state.latency.0).await;
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        if self.host.failed_connects.get() >= PORTS {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        let mut attempt = Attempt { failed: &self.host.failed_connects, done: false };
        let inner = TcpStream::connect((self.state.address(peer), port)).await?;
        attempt.done = true;
        let claimed = links.claim(peer, inner.local_addr()?);
        let shared = claimed.ok_or(io::ErrorKind::ConnectionReset)?;
        Ok(SimStream::new(inner, shared, 0, self.state.clone(), self.host.clone(), self.life))
    }
}

struct Ticket<'a> {
    state: &'a State,
    number: u64,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.state.links.forget(self.number);
    }
}

impl Net for SimNet {
    type Stream = SimStream;
    type Listener = SimListener;

    async fn listen(&self, addr: &str) -> io::Result<SimListener> {
        self.alive()?;
        let (_, port) = split(addr)?;
        let inner = TcpListener::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)).await?;
        let port = inner.local_addr()?.port();
        self.host.listening.borrow_mut().insert(port);
        Ok(SimListener { inner, net: self.again(), port })
    }

    async fn connect(&self, addr: &str, timeout: Duration) -> io::Result<SimStream> {
        self.alive()?;
        let (name, port) = split(addr)?;
        let unknown = || io::Error::new(io::ErrorKind::NotFound, format!("no host has the name {name:?}"));
        let peer = self.state.find(name).ok_or_else(unknown)?;
        if peer == self.number {
            // The simulator's loopback spawns tasks whose order at a crash is not determined.
            return Err(io::Error::new(io::ErrorKind::Unsupported, "a simulated host cannot connect to itself"));
        }
        let deadline = self.state.until(self.state.time.now() + self.host.clock.world_time(timeout));
        race(self.reach(peer, port), deadline).await.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Listener for SimListener {
    type Stream = SimStream;

    async fn accept(&self) -> io::Result<(SimStream, String)> {
        let net = &self.net;
        net.alive()?;
        let (inner, peer) = self.inner.accept().await?;
        let state = &net.state;
        let from = state.at_address(peer.ip()).ok_or(io::ErrorKind::ConnectionAborted)?;
        let shared = Rc::new(Conn::new(state.links.number(), [from, net.number]));
        state.links.begin(&shared);
        state.links.offer(state.time.now(), net.number, peer, shared.clone());
        let stream = SimStream::new(inner, shared, 1, state.clone(), net.host.clone(), net.life);
        Ok((stream, format!("{}:{}", state.host(from).name, peer.port())))
    }

    fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        if self.net.alive().is_ok() {
            self.net.host.listening.borrow_mut().remove(&self.port);
        }
    }
}
