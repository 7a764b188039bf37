//! The way to one broker: connects when wanted, agrees on versions, and connects again with backoff when it broke.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use broker::env::{Env, Mono, Net};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::StrBytes;

use super::Settings;
use super::codec::Versions;
use super::connection::{self, Connection};
use super::outcome::Failure;
use super::signal::Signal;

/// The way to the broker at one address.
pub struct Link<E> {
    env: E,
    addr: String,
    settings: Rc<Settings>,
    /// Raised when any link of the pool becomes usable or fails.
    changed: Rc<Signal>,
    state: RefCell<State>,
    /// Connections that came to their end, or never came about.
    ended: Cell<u64>,
    /// Those since the last that worked.
    failures: Cell<u32>,
    not_before: Cell<Mono>,
}

enum State {
    Idle,
    Trying,
    Ready(Rc<Connection>),
    Closed,
}

impl<E: Env> Link<E> {
    /// A way to `addr` (`host:port`); it connects when wanted.
    pub fn new(env: E, addr: String, settings: Rc<Settings>, changed: Rc<Signal>) -> Rc<Self> {
        Rc::new(Self {
            env,
            addr,
            settings,
            changed,
            state: RefCell::new(State::Idle),
            ended: Cell::new(0),
            failures: Cell::new(0),
            not_before: Cell::new(Mono(0)),
        })
    }

    /// Where to, as `host:port`.
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// The connection, if one can be used right now.
    pub fn connection(&self) -> Option<Rc<Connection>> {
        match &*self.state.borrow() {
            State::Ready(connection) if !connection.is_ended() => Some(connection.clone()),
            _ => None,
        }
    }

    /// Connections lost, or never come about, since the last that worked.
    pub fn failures(&self) -> u32 {
        self.failures.get()
    }

    /// Sees to it that a connection comes about, unless one is there or under way.
    pub fn want(self: &Rc<Self>) {
        let mut state = self.state.borrow_mut();
        if matches!(*state, State::Idle) {
            *state = State::Trying;
            let link = self.clone();
            self.env.spawn("client connection", async move { link.run().await });
        }
    }

    /// The connection, once there is one. Fails with the first attempt that ends after this call, or at `deadline`.
    pub async fn ready(self: &Rc<Self>, deadline: Mono) -> Result<Rc<Connection>, Failure> {
        let ended = self.ended.get();
        loop {
            let seen = self.changed.count();
            if let Some(connection) = self.connection() {
                return Ok(connection);
            }
            let left = deadline.since(self.env.now());
            if self.ended.get() != ended || left.is_zero() || matches!(*self.state.borrow(), State::Closed) {
                return Err(Failure::NotSent);
            }
            self.want();
            self.env.timeout(left, self.changed.past(seen)).await;
        }
    }

    /// Closes for good. What is open fails.
    pub fn close(&self) {
        if let State::Ready(connection) = self.state.replace(State::Closed) {
            connection.end();
        }
        self.changed.raise();
    }

    /// One connection, from the wait before it to its end.
    async fn run(self: Rc<Self>) {
        let wait = self.not_before.get().since(self.env.now());
        if !wait.is_zero() {
            self.env.sleep(wait).await;
        }
        let timeout = self.settings.connect_timeout;
        if let Ok(stream) = self.env.net().connect(&self.addr, timeout).await {
            let client_id = StrBytes::from_string(self.settings.client_id.clone());
            let connection = Connection::new(client_id, self.settings.max_open_requests);
            self.shake_hands(&connection, 3);
            if matches!(*self.state.borrow(), State::Closed) {
                connection.end();
            }
            connection::drive(&self.env, &connection, stream, self.settings.max_answer_bytes).await;
        }
        self.failures.set(self.failures.get() + 1);
        self.ended.set(self.ended.get() + 1);
        let wait = self.settings.reconnect.wait(self.failures.get(), self.env.draw());
        self.not_before.set(self.env.now().after(wait));
        let mut state = self.state.borrow_mut();
        if !matches!(*state, State::Closed) {
            *state = State::Idle;
        }
        drop(state);
        self.changed.raise();
    }

    /// Asks for the broker's versions; a broker that does not know this request's version answers in version 0, and is
    /// asked again so (KIP-511).
    fn shake_hands(self: &Rc<Self>, connection: &Rc<Connection>, version: i16) {
        let name = StrBytes::from_static_str("logquake");
        let mut request = ApiVersionsRequest::default();
        if version >= 3 {
            let ours = StrBytes::from_static_str(env!("CARGO_PKG_VERSION"));
            request = request.with_client_software_name(name).with_client_software_version(ours);
        }
        let (link, shaking) = (self.clone(), connection.clone());
        let done = move |answer: Result<ApiVersionsResponse, Failure>| match answer {
            Ok(answer) if answer.error_code == 0 => link.agreed(shaking, &answer),
            Ok(_) | Err(Failure::Garbled) if version > 0 => link.shake_hands(&shaking, 0),
            _ => shaking.end(),
        };
        let deadline = self.env.now().after(self.settings.connect_timeout);
        if connection.submit_as(&request, version, deadline, done).is_err() {
            connection.end();
        }
    }

    fn agreed(&self, connection: Rc<Connection>, theirs: &ApiVersionsResponse) {
        let mut state = self.state.borrow_mut();
        if !matches!(*state, State::Trying) {
            return connection.end();
        }
        connection.speak(Versions::common(theirs));
        *state = State::Ready(connection);
        drop(state);
        self.failures.set(0);
        self.changed.raise();
    }
}
