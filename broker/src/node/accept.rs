//! Accepting connections, and the list of those that are open.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;

use super::{Node, connection};
use crate::env::{Env, Listener, Mono};

/// How long to wait before accepting again after an error, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// What the node knows of one connection.
#[derive(Default)]
pub struct Handle {
    /// When it last received or sent anything.
    pub active: Cell<Mono>,
    /// It is to end.
    pub closed: Cell<bool>,
    /// Wakes its task.
    pub wake: Notify,
}

impl Handle {
    fn close(&self) {
        self.closed.set(true);
        self.wake.notify_one();
    }
}

/// The open connections.
#[derive(Default)]
pub struct Connections {
    open: RefCell<BTreeMap<u64, Rc<Handle>>>,
    next: Cell<u64>,
}

impl Connections {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.open.borrow().len()
    }

    fn add(&self, now: Mono) -> (u64, Rc<Handle>) {
        let id = self.next.get();
        self.next.set(id + 1);
        let handle = Rc::new(Handle::default());
        handle.active.set(now);
        self.open.borrow_mut().insert(id, handle.clone());
        (id, handle)
    }

    /// Ends all.
    pub fn close_all(&self) {
        self.open.borrow().values().for_each(|handle| handle.close());
    }

    /// Ends those that did nothing for `most` (`connections.max.idle.ms`).
    pub fn close_idle(&self, now: Mono, most: Duration) {
        let open = self.open.borrow();
        open.values().filter(|handle| now.since(handle.active.get()) > most).for_each(|handle| handle.close());
    }
}

/// Serves every connection that comes, until `stop`. `ready` is run beside it.
pub(super) async fn until<E: Env, L: Listener>(
    node: &Rc<Node<E>>,
    listener: L,
    ready: impl Future<Output = ()>,
    stop: impl Future<Output = ()>,
) where
    L::Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
{
    let (mut stop, mut accepting, mut ready) = (pin!(stop), pin!(accept(node, &listener)), pin!(ready));
    let mut told = false;
    poll_fn(|cx| {
        told = told || ready.as_mut().poll(cx).is_ready();
        match stop.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => accepting.as_mut().poll(cx),
        }
    })
    .await;
}

async fn accept<E: Env, L: Listener>(node: &Rc<Node<E>>, listener: &L)
where
    L::Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
{
    loop {
        match listener.accept().await {
            // One too many is closed at once (`max.connections`).
            Ok((stream, _)) if node.connections.count() >= node.config.max_connections => drop(stream),
            Ok((stream, _)) => begin(node, stream),
            Err(_) => node.env.sleep(PAUSE).await,
        }
    }
}

/// Serves one connection in a task of its own.
pub(super) fn begin<E: Env>(
    node: &Rc<Node<E>>,
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
) {
    let (id, handle) = node.connections.add(node.env.now());
    let node = node.clone();
    node.env.clone().spawn("connection", async move {
        connection::serve(&node, &handle, stream).await;
        let mut open = node.connections.open.borrow_mut();
        open.remove(&id);
        if open.is_empty() {
            node.drained.notify_one();
        }
    });
}
