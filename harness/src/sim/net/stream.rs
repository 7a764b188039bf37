//! One end of a simulated connection.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::TcpStream;

use super::conn::{Conn, NEVER, WINDOW};
use super::frames::{self, Requests, Responses};
use super::repeat::Echo;
use super::rules::What;
use crate::sim::state::{HostState, State};
use crate::sim::timer::Until;

/// One write hands at most this much to the network: a segment of it is copied once.
const MOST: usize = 64 * 1024;
const READ: usize = 0;
const WRITE: usize = 1;

/// One end of a connection.
pub struct SimStream {
    inner: TcpStream,
    shared: Rc<Conn>,
    /// 0 connected, 1 accepted.
    side: usize,
    state: Rc<State>,
    host: Rc<HostState>,
    life: u32,
    /// A small generator of its own for the splitter (xorshift64*), seeded once: a draw for each piece must cost nothing.
    chance: u64,
    shut: bool,
    /// Of the reader and of the writer: they may be two tasks.
    naps: [Option<Pin<Box<Until>>>; 2],
    /// On a broker's side: the requests it has read and the responses it writes.
    watch: Option<Box<Watch>>,
    /// On a connector's side: the requests it writes.
    asks: Requests,
    /// Of a request that is to be delivered once more: what of it has left so far.
    echo: Option<Echo>,
}

#[derive(Default)]
struct Watch {
    requests: Requests,
    responses: Responses,
    /// The correlation id whose response must not leave.
    doomed: Option<i32>,
}

impl SimStream {
    pub(super) fn new(
        inner: TcpStream,
        shared: Rc<Conn>,
        side: usize,
        state: Rc<State>,
        host: Rc<HostState>,
        life: u32,
    ) -> Self {
        let chance = match state.split {
            true => state.seed.split("split", shared.number * 2 + side as u64).number() | 1,
            false => 0,
        };
        let watch = (side == 1 && host.serves()).then(Box::default);
        Self {
            inner,
            shared,
            side,
            state,
            host,
            life,
            chance,
            shut: false,
            naps: [None, None],
            watch,
            asks: Requests::default(),
            echo: None,
        }
    }

    /// How much of `most` passes in one piece: usually all of it.
    fn piece(&mut self, most: usize) -> usize {
        if self.chance == 0 || most < 2 {
            return most;
        }
        self.chance ^= self.chance >> 12;
        self.chance ^= self.chance << 25;
        self.chance ^= self.chance >> 27;
        let drawn = self.chance.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        match drawn & 15 {
            // Within a frame's head, where a parser is most easily wrong.
            0 => 1 + usize::try_from(drawn >> 4).unwrap_or(0) % most.min(16),
            1 => 1 + usize::try_from(drawn >> 4).unwrap_or(0) % most,
            _ => most,
        }
    }

    /// The error this end finds, if the connection is over for it.
    fn over(&mut self, whose: usize, cx: &mut Context<'_>) -> Option<io::Error> {
        self.state.count_call(&self.host);
        if self.host.life.get() != self.life {
            return Some(io::ErrorKind::ConnectionAborted.into());
        }
        let (at, kind) = self.shared.ends[self.side].broken.get()?;
        if self.state.time.now() >= at {
            return Some(kind.into());
        }
        self.nap(whose, at, cx);
        None
    }

    /// Looks again at world time `at`.
    fn nap(&mut self, whose: usize, at: u64, cx: &mut Context<'_>) {
        let mut nap = Box::pin(self.state.until(at));
        if nap.as_mut().poll(cx).is_pending() {
            self.naps[whose] = Some(nap);
        }
    }

    /// Follows what a broker reads; a doomed request is remembered.
    fn see_requests(&mut self, mut bytes: &[u8]) {
        let Some(watch) = &mut self.watch else { return };
        while !bytes.is_empty() {
            let (n, head) = watch.requests.take(bytes);
            bytes = &bytes[n..];
            if let Some(head) = head.map(frames::request)
                && self.state.links.dooms(self.shared.hosts[1], head.api_key)
            {
                watch.doomed = Some(head.correlation);
            }
        }
    }

    /// How much of what a broker writes may leave: up to the doomed response, if it is in there.
    fn may_leave(&self, bytes: &[u8]) -> Option<usize> {
        let watch = self.watch.as_ref()?;
        let doomed = watch.doomed?;
        let mut probe = watch.responses.clone();
        let mut at = 0;
        while at < bytes.len() {
            let held = probe.begun();
            let (n, head) = probe.take(&bytes[at..]);
            if head.map(frames::correlation) == Some(doomed) {
                // The head's bytes in this write begin here; those of an earlier write are gone.
                return Some((at + n).saturating_sub(8 - held));
            }
            at += n;
        }
        None
    }

    /// Follows what leaves this end from position `from` on, and does what rules say of it.
    fn see_leaving(&mut self, from: u64, bytes: &[u8]) {
        match &mut self.watch {
            _ if self.side == 0 => self.see_asking(from, bytes),
            Some(watch) => {
                let mut at = 0;
                while at < bytes.len() {
                    let (n, head) = watch.responses.take(&bytes[at..]);
                    at += n;
                    let api_key = head.and_then(|head| self.shared.answers(frames::correlation(head)));
                    let [connector, acceptor] = self.shared.hosts;
                    let rules = &self.state.links.rules;
                    let met = api_key.and_then(|api_key| rules.meet(acceptor, connector, true, api_key));
                    if let Some((ticket, What::Hold)) = met {
                        rules.hold(ticket, &self.shared, 1, from + at as u64);
                    }
                }
            }
            None => {}
        }
    }

    fn see_asking(&mut self, from: u64, bytes: &[u8]) {
        let [connector, acceptor] = self.shared.hosts;
        let mut at = 0;
        while at < bytes.len() {
            let (n, head) = self.asks.take(&bytes[at..]);
            if let Some(done) = self.echo.take_if(|echo| echo.more(&bytes[at..at + n])) {
                done.deliver(&self.state, self.shared.hosts);
            }
            at += n;
            let Some(bare) = head else { continue };
            let head = frames::request(bare);
            self.shared.asks(head.correlation, head.api_key);
            match self.state.links.rules.meet(connector, acceptor, false, head.api_key) {
                Some((ticket, What::Hold)) => self.state.links.rules.hold(ticket, &self.shared, 0, from + at as u64),
                Some((_, What::Repeat { after })) => self.echo = Some(Echo::begin(bare, after)),
                None => {}
            }
        }
    }

    /// Breaks the connection at this instant; the peer finds out a latency later.
    fn reset_now(&mut self) -> io::Error {
        let now = self.state.time.now();
        self.shared.reset(now + self.state.latency.0, now, io::ErrorKind::ConnectionReset);
        io::ErrorKind::ConnectionReset.into()
    }

    /// What a write meets before it reaches the network, if it does not.
    fn held_up(&mut self, len: usize, cx: &mut Context<'_>) -> Option<Poll<io::Result<usize>>> {
        let now = self.state.time.now();
        let (me, peer) = (&self.shared.ends[self.side], &self.shared.ends[1 - self.side]);
        let way = &self.shared.ways[self.side];
        if peer.forgot.get() && me.broken.get().is_none() {
            let at = now + 2 * self.state.latency.0;
            self.shared.reset(at, at, io::ErrorKind::ConnectionReset);
        }
        if way.open() >= WINDOW {
            if peer.closed.get().is_some() && !peer.silent.get() {
                return Some(Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())));
            }
            way.wait_to_write(cx);
            return Some(Poll::Pending);
        }
        if peer.silent.get() {
            // Into the send buffer, and nowhere else.
            way.sent.set(way.sent.get() + len as u64);
            return Some(Poll::Ready(Ok(len)));
        }
        match peer.closed.get() {
            Some(at) if now >= at + 2 * self.state.latency.0 => {
                Some(Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())))
            }
            _ => None,
        }
    }

    /// Reads into at most `limit` bytes of `buf`.
    fn read_some(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>, limit: usize) -> Poll<io::Result<usize>> {
        if limit >= buf.remaining() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
            return Poll::Ready(Ok(buf.filled().len() - before));
        }
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(limit));
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut part))?;
        let n = part.filled().len();
        buf.advance(n);
        Poll::Ready(Ok(n))
    }
}

impl AsyncRead for SimStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(e) = this.over(READ, cx) {
            return Poll::Ready(Err(e));
        }
        let shared = this.shared.clone();
        let (way, peer) = (&shared.ways[1 - this.side], &shared.ends[1 - this.side]);
        let blocked = this.state.links.blocked(shared.hosts[1 - this.side], shared.hosts[this.side]);
        if blocked || peer.silent.get() {
            way.wait_to_read(cx);
            return Poll::Pending;
        }
        let allowed = match way.readable(this.state.time.now()) {
            Ok(n) => usize::try_from(n).unwrap_or(usize::MAX),
            Err(at) => {
                way.wait_to_read(cx);
                if at != NEVER {
                    this.nap(READ, at, cx);
                }
                return Poll::Pending;
            }
        };
        let limit = this.piece(buf.remaining()).min(allowed);
        let before = buf.filled().len();
        let n = match this.read_some(cx, buf, limit) {
            Poll::Pending => {
                way.wait_to_read(cx);
                return Poll::Pending;
            }
            Poll::Ready(done) => done?,
        };
        if n > 0 {
            this.see_requests(&buf.filled()[before..]);
            let full = way.open() >= WINDOW;
            way.read.set(way.read.get() + n as u64);
            if full {
                way.wake_writer();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if let Some(e) = this.over(WRITE, cx) {
            return Poll::Ready(Err(e));
        }
        let most = this.piece(bytes.len().min(MOST));
        if let Some(met) = this.held_up(most, cx) {
            return met;
        }
        let most = match this.may_leave(&bytes[..most]) {
            Some(0) => return Poll::Ready(Err(this.reset_now())),
            Some(n) => n,
            None => most,
        };
        let shared = this.shared.clone();
        let way = &shared.ways[this.side];
        let n = match Pin::new(&mut this.inner).poll_write(cx, &bytes[..most]) {
            Poll::Pending => {
                way.wait_to_write(cx);
                return Poll::Pending;
            }
            Poll::Ready(n) => n?,
        };
        let from = way.sent.get();
        way.sent.set(from + n as u64);
        this.state.sent.set(this.state.sent.get() + n as u64);
        this.see_leaving(from, &bytes[..n]);
        let extra = this.state.links.extra(shared.hosts[this.side], shared.hosts[1 - this.side]);
        if extra > 0 {
            way.delay(from, this.state.time.now() + this.state.latency.0 + extra);
        }
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(e) = self.over(WRITE, cx) {
            return Poll::Ready(Err(e));
        }
        if self.shut {
            return Poll::Ready(Ok(()));
        }
        self.shut = true;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        let (me, peer) = (&self.shared.ends[self.side], &self.shared.ends[1 - self.side]);
        me.closed.set(Some(self.state.time.now()));
        self.shared.ways[1 - self.side].wake_writer();
        if peer.closed.get().is_some() {
            self.state.links.end(&self.shared);
        }
    }
}
