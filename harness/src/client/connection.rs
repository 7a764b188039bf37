//! One live connection to a broker: requests pipelined, answers matched in order, every request with a deadline.
//!
//! A request is encoded straight into the connection's one output buffer, and how many bytes of that buffer the socket
//! has taken is counted. So when the connection ends it is known exactly of each open request whether its last byte
//! left this client: if not, no broker can have executed it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use broker::env::{Env, Mono};
use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::protocol::{Request, StrBytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::codec::{self, Versions};
use super::outcome::Failure;
use super::signal::Alarm;

/// Room kept for the next read, in bytes: most answers come in one read.
const READ_ROOM: usize = 16 << 10;

type Done = Box<dyn FnOnce(Result<Bytes, Failure>)>;

/// A request that was submitted and is not done.
struct Open {
    correlation: i32,
    deadline: Mono,
    /// It is sent once this many bytes of the connection are written.
    end: u64,
    done: Done,
}

/// The side of a connection that requests are given to. [`drive`] is the other.
pub struct Connection {
    client_id: StrBytes,
    most_open: usize,
    versions: RefCell<Versions>,
    output: RefCell<BytesMut>,
    /// Waiting for an answer, oldest first.
    open: RefCell<VecDeque<Open>>,
    /// Expecting none (Produce with acks=0): done when written.
    oneway: RefCell<VecDeque<Open>>,
    queued: Cell<u64>,
    written: Cell<u64>,
    next_correlation: Cell<i32>,
    /// No open request has an earlier deadline.
    earliest: Cell<Option<Mono>>,
    driver: RefCell<Option<Waker>>,
    ended: Cell<bool>,
}

impl Connection {
    /// A connection that is not driven yet. At most `most_open` requests wait for answers at once.
    pub fn new(client_id: StrBytes, most_open: usize) -> Rc<Self> {
        Rc::new(Self {
            client_id,
            most_open,
            versions: RefCell::default(),
            output: RefCell::default(),
            open: RefCell::default(),
            oneway: RefCell::default(),
            queued: Cell::new(0),
            written: Cell::new(0),
            next_correlation: Cell::new(0),
            earliest: Cell::new(None),
            driver: RefCell::default(),
            ended: Cell::new(false),
        })
    }

    /// Whether it has ended or is about to: nothing more can be submitted.
    pub fn is_ended(&self) -> bool {
        self.ended.get()
    }

    /// Fixes the versions to speak.
    pub fn speak(&self, versions: Versions) {
        *self.versions.borrow_mut() = versions;
    }

    /// Ends the connection; what is open fails.
    pub fn end(&self) {
        self.ended.set(true);
        self.wake();
    }

    /// Sends `request` in the agreed version; `done` is called once, with the answer or the failure, by `deadline`.
    /// An error returned here means that nothing was sent and `done` is not called.
    pub fn submit<R: Request + 'static>(
        &self,
        request: &R,
        deadline: Mono,
        done: impl FnOnce(Result<R::Response, Failure>) + 'static,
    ) -> Result<(), Failure> {
        let version = self.versions.borrow().of(R::KEY).ok_or(Failure::NoCommonVersion)?;
        self.submit_as(request, version, deadline, done)
    }

    /// As [`Connection::submit`], in a stated version.
    pub fn submit_as<R: Request + 'static>(
        &self,
        request: &R,
        version: i16,
        deadline: Mono,
        done: impl FnOnce(Result<R::Response, Failure>) + 'static,
    ) -> Result<(), Failure> {
        let decoded = move |answer: Result<Bytes, Failure>| {
            done(answer.and_then(|frame| codec::decode::<R>(frame, version)));
        };
        let open = self.enqueue(request, version, deadline, Box::new(decoded))?;
        self.open.borrow_mut().push_back(open);
        Ok(())
    }

    /// Sends a request to which the broker sends no answer (Produce with acks=0); `sent` is called once, with success
    /// when its last byte was written.
    pub fn submit_oneway<R: Request>(
        &self,
        request: &R,
        deadline: Mono,
        sent: impl FnOnce(Result<(), Failure>) + 'static,
    ) -> Result<(), Failure> {
        let version = self.versions.borrow().of(R::KEY).ok_or(Failure::NoCommonVersion)?;
        let open = self.enqueue(request, version, deadline, Box::new(move |end| sent(end.map(|_| ()))))?;
        self.oneway.borrow_mut().push_back(open);
        Ok(())
    }

    fn enqueue<R: Request>(&self, request: &R, version: i16, deadline: Mono, done: Done) -> Result<Open, Failure> {
        if self.ended.get() || self.open.borrow().len() + self.oneway.borrow().len() >= self.most_open {
            return Err(Failure::NotSent);
        }
        let correlation = self.next_correlation.get();
        let mut output = self.output.borrow_mut();
        let before = output.len();
        codec::encode(request, version, correlation, &self.client_id, &mut output)?;
        let end = self.queued.get() + (output.len() - before) as u64;
        self.queued.set(end);
        self.next_correlation.set(correlation.wrapping_add(1) & i32::MAX);
        self.earliest.set(Some(self.earliest.get().map_or(deadline, |e| e.min(deadline))));
        self.wake();
        Ok(Open { correlation, deadline, end, done })
    }

    fn wake(&self) {
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }

    /// Matches one answer. False if it answers nothing that is open: the connection is beyond repair.
    fn answered(&self, frame: Bytes) -> bool {
        let next = self.open.borrow_mut().pop_front();
        let Some(open) = next else { return false };
        let matches = codec::correlation(&frame) == Some(open.correlation);
        (open.done)(if matches { Ok(frame) } else { Err(Failure::Garbled) });
        matches
    }

    /// Counts written bytes and finishes the one-way requests among them.
    fn wrote(&self, bytes: usize) {
        self.written.set(self.written.get() + bytes as u64);
        loop {
            let sent = self.oneway.borrow().front().is_some_and(|open| open.end <= self.written.get());
            let Some(open) = sent.then(|| self.oneway.borrow_mut().pop_front()).flatten() else { return };
            (open.done)(Ok(Bytes::new()));
        }
    }

    /// Whether an open request's deadline has passed at `now`. If not, sharpens the earliest deadline known.
    fn overdue(&self, now: Mono) -> bool {
        if self.earliest.get().is_none_or(|earliest| earliest > now) {
            return false;
        }
        let (open, oneway) = (self.open.borrow(), self.oneway.borrow());
        self.earliest.set(open.iter().chain(oneway.iter()).map(|o| o.deadline).min());
        self.earliest.get().is_some_and(|earliest| earliest <= now)
    }

    /// Fails everything open, each by whether it was sent and whether its time was up.
    fn fail_all(&self, now: Mono) {
        self.ended.set(true);
        let mut open = self.open.take();
        open.append(&mut self.oneway.borrow_mut());
        for request in open {
            let sent = request.end <= self.written.get();
            (request.done)(Err(match sent {
                false => Failure::NotSent,
                true if request.deadline <= now => Failure::TimedOut,
                true => Failure::Reset,
            }));
        }
    }
}

/// Moves bytes both ways until the connection ends, then fails whatever is open. A request that is overdue ends the
/// connection, because answers come in order. Answers longer than `longest` bytes end it too.
pub async fn drive<E: Env>(
    env: &E,
    connection: &Connection,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    longest: usize,
) {
    let mut driver =
        Driver { env, connection, stream, longest, input: BytesMut::new(), alarm: Alarm::new(env.clone()) };
    poll_fn(|cx| driver.poll(cx)).await;
    connection.fail_all(env.now());
}

struct Driver<'a, E, S> {
    env: &'a E,
    connection: &'a Connection,
    stream: S,
    longest: usize,
    input: BytesMut,
    alarm: Alarm<E>,
}

impl<E, S> Drop for Driver<'_, E, S> {
    /// Dropped midway, its process is gone: nobody is told, but what open requests hold is let go, because that may be
    /// this very connection.
    fn drop(&mut self) {
        self.connection.ended.set(true);
        drop((self.connection.open.take(), self.connection.oneway.take()));
    }
}

impl<E: Env, S: AsyncRead + AsyncWrite + Unpin> Driver<'_, E, S> {
    /// Ready when the connection has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.connection.driver.take();
        loop {
            if self.connection.is_ended() {
                return Poll::Ready(());
            }
            let (Ok(blocked), Ok(())) = (self.write(cx), self.read(cx)) else { return Poll::Ready(()) };
            if self.connection.overdue(self.env.now()) {
                return Poll::Ready(());
            }
            // An answer's callback may have submitted more, or ended the connection.
            if self.connection.is_ended() || (!blocked && !self.connection.output.borrow().is_empty()) {
                continue;
            }
            if !self.alarm.poll_at(self.connection.earliest.get(), cx) {
                *self.connection.driver.borrow_mut() = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
    }

    /// Writes what is queued. True if the socket took less than all of it.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<bool, ()> {
        loop {
            let mut output = self.connection.output.borrow_mut();
            if output.is_empty() {
                return Ok(false);
            }
            let written = match Pin::new(&mut self.stream).poll_write(cx, &output) {
                Poll::Ready(Ok(0) | Err(_)) => return Err(()),
                Poll::Ready(Ok(written)) => written,
                Poll::Pending => return Ok(true),
            };
            output.advance(written);
            drop(output);
            self.connection.wrote(written);
        }
    }

    /// Reads what has come and hands out the answers in it.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<(), ()> {
        loop {
            if self.input.capacity() - self.input.len() < READ_ROOM / 4 {
                self.input.reserve(READ_ROOM);
            }
            match pin!(self.stream.read_buf(&mut self.input)).poll(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Err(()),
                Poll::Ready(Ok(_)) => self.answers()?,
                Poll::Pending => return Ok(()),
            }
        }
    }

    fn answers(&mut self) -> Result<(), ()> {
        while let Some(prefix) = self.input.first_chunk::<4>() {
            let length = usize::try_from(i32::from_be_bytes(*prefix)).map_err(|_| ())?;
            if length > self.longest {
                return Err(());
            }
            if self.input.len() < 4 + length {
                self.input.reserve(4 + length - self.input.len());
                return Ok(());
            }
            self.input.advance(4);
            let frame = self.input.split_to(length).freeze();
            if !self.connection.answered(frame) {
                return Err(());
            }
        }
        Ok(())
    }
}
