//! One connection: frames in, answers out in the order of their requests.
//!
//! Produce requests overlap: each is appended when it comes, and its answer waits for the disk while the next is
//! appended. Everything else waits its turn, as in Kafka, so that a client sees its own writes. A client that does not
//! read its answers is not read from.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::Node;
use super::accept::Handle;
use crate::api::{self, Answer, Started, Work};
use crate::env::{Env, Mono};
use crate::wire::frame::FrameBuffer;

/// Bytes of answers that may wait for the socket before no further request is begun.
const MOST_UNSENT: usize = 1 << 20;
/// Bytes read ahead while requests must wait: enough to notice that the client is gone.
const READ_AHEAD: usize = 64 << 10;
/// Parts of answers up to this size are copied together; larger ones go to the socket from where they lie.
const COPIED: usize = 4096;
/// Parts handed to the socket at once.
const SLICES: usize = 16;

/// A request under way, and whether others may begin before it is done.
struct Open {
    work: Work,
    overlaps: bool,
    asked: Asked,
}

/// Which API was asked, and when.
#[derive(Clone, Copy)]
struct Asked {
    key: i16,
    at: Mono,
}

/// Serves `stream` until either side ends it.
pub(super) async fn serve<E: Env>(node: &Rc<Node<E>>, handle: &Handle, stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut connection = Connection {
        node,
        handle,
        stream,
        input: FrameBuffer::new(node.config.socket_request_max_bytes),
        open: VecDeque::new(),
        output: Output::default(),
        ended: false,
        last: false,
    };
    let mut woken = pin!(handle.wake.notified());
    poll_fn(|cx| {
        // Nothing is sent to a connection that is closed from outside.
        let closed = woken.as_mut().poll(cx).is_ready() || handle.closed.get();
        if closed { Poll::Ready(()) } else { connection.poll(cx) }
    })
    .await;
}

struct Connection<'a, E: Env, S> {
    node: &'a Rc<Node<E>>,
    handle: &'a Handle,
    stream: S,
    input: FrameBuffer,
    open: VecDeque<Open>,
    output: Output,
    /// The client sends no more.
    ended: bool,
    /// No further request is begun: what is open is answered, then the connection ends.
    last: bool,
}

impl<E: Env, S: AsyncRead + AsyncWrite + Unpin> Connection<'_, E, S> {
    /// Ready when the connection is to end.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.output.write(&mut self.stream, cx).is_err() {
                return Poll::Ready(());
            }
            let mut moved = self.finish(cx);
            moved |= self.begin(cx);
            match self.read(cx) {
                Ok(read) => moved |= read,
                Err(_) => return Poll::Ready(()),
            }
            if moved {
                self.handle.active.set(self.node.env.now());
            } else {
                return if self.is_over() { Poll::Ready(()) } else { Poll::Pending };
            }
        }
    }

    /// Whether nothing is left to do. A client that is gone is not waited for with a long poll.
    fn is_over(&self) -> bool {
        if self.last {
            return self.open.is_empty() && self.output.is_empty();
        }
        let idle = self.open.is_empty() && self.output.is_empty();
        self.ended && (idle || self.open.back().is_some_and(|open| !open.overlaps))
    }

    /// Moves the answers that are ready to the output, oldest first.
    fn finish(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while self.output.len() < MOST_UNSENT
            && let Some(oldest) = self.open.front_mut()
        {
            let Poll::Ready(answer) = oldest.work.as_mut().poll(cx) else { break };
            let asked = oldest.asked;
            self.open.pop_front();
            self.answer(asked, answer);
            moved = true;
        }
        moved
    }

    fn answer(&mut self, asked: Asked, answer: Answer) {
        self.node.meter.served::<E>(asked.key, self.node.env.now().since(asked.at));
        match answer {
            Answer::Parts(parts) => parts.into_iter().for_each(|part| self.output.push(part)),
            Answer::Nothing => {}
            // What is disowned has been sent on to another long before.
            Answer::Close | Answer::Disowned => {
                self.last = true;
                self.open.clear();
            }
        }
    }

    /// Begins the requests that are there, as far as they may overlap.
    fn begin(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while self.may_begin() {
            let Ok(frame) = self.input.take() else {
                self.last = true;
                break;
            };
            let Some(frame) = frame else { break };
            moved = true;
            let asked = Asked { key: api::key_of(&frame), at: self.node.env.now() };
            let (answer, overlaps) = match api::start(self.node, frame) {
                Started::Now(answer) => (answer, true),
                Started::Later { mut work, overlaps } => match work.as_mut().poll(cx) {
                    // It has done its synchronous part in the order of arrival.
                    Poll::Ready(answer) => (answer, overlaps),
                    Poll::Pending => {
                        self.open.push_back(Open { work, overlaps, asked });
                        continue;
                    }
                },
            };
            if self.open.is_empty() {
                self.answer(asked, answer);
            } else {
                self.open.push_back(Open { work: Box::pin(std::future::ready(answer)), overlaps, asked });
            }
        }
        moved
    }

    /// Whether the next request may begin: nothing is open, or both it and what is open overlap.
    fn may_begin(&self) -> bool {
        let alone = self.open.is_empty();
        !self.last
            && self.output.len() < MOST_UNSENT
            && (alone || self.open.len() < self.node.config.max_pipelined)
            && (alone || (self.open.back().is_some_and(|open| open.overlaps) && api::overlaps(self.input.peek())))
    }

    /// Reads what has come. True if that was anything.
    fn read(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let waiting = self.input.has_frame() && !self.may_begin();
        if self.ended || self.last || (waiting && self.input.len() >= READ_AHEAD) {
            return Ok(false);
        }
        match pin!(self.stream.read_buf(self.input.room())).poll(cx) {
            Poll::Ready(Ok(0)) => {
                self.ended = true;
                Ok(true)
            }
            Poll::Ready(Ok(_)) => Ok(true),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(false),
        }
    }
}

/// Answers on their way to the socket.
#[derive(Default)]
struct Output {
    parts: VecDeque<Bytes>,
    /// Small parts, after all of `parts`.
    tail: BytesMut,
    bytes: usize,
}

impl Output {
    fn len(&self) -> usize {
        self.bytes
    }

    fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    fn push(&mut self, part: Bytes) {
        self.bytes += part.len();
        if part.len() <= COPIED {
            self.tail.extend_from_slice(&part);
        } else {
            self.settle();
            self.parts.push_back(part);
        }
    }

    fn settle(&mut self) {
        if !self.tail.is_empty() {
            self.parts.push_back(self.tail.split().freeze());
        }
    }

    /// Writes until the socket takes no more.
    fn write(&mut self, stream: &mut (impl AsyncWrite + Unpin), cx: &mut Context<'_>) -> io::Result<()> {
        self.settle();
        while !self.parts.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.parts.len().min(SLICES);
            for (slice, part) in slices.iter_mut().zip(&self.parts) {
                *slice = IoSlice::new(part);
            }
            match Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..count]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => self.wrote(written),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
        }
        match Pin::new(stream).poll_flush(cx) {
            Poll::Ready(Err(error)) => Err(error),
            _ => Ok(()),
        }
    }

    fn wrote(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(first) = self.parts.front_mut() {
            if written < first.len() {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.parts.pop_front();
        }
    }
}
