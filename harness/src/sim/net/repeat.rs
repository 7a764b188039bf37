//! A request that is delivered twice: its bytes are copied as they leave, and sent again later on a connection of their
//! own, whose answer nobody reads. So does a middlebox that lost track, or a peer that gave up on an answer too early. What
//! is under way outlives the process that sent it, and arrives among its successor's requests.

use std::rc::Rc;
use std::time::Duration;

use broker::env::{Net, race};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::SimNet;
use crate::sim::env::Marked;
use crate::sim::state::State;

/// The port of every broker.
const PORT: u16 = 9092;
/// The second copy's connection is closed after this, answered or not.
const PATIENCE: Duration = Duration::from_secs(2);
/// A larger request is not copied.
const MOST: usize = 1 << 20;

/// A request as far as it has left.
pub(super) struct Echo {
    bytes: Vec<u8>,
    len: usize,
    after: u64,
}

impl Echo {
    /// The request that begins with this head, to be sent again after so many nanoseconds.
    pub(super) fn begin(head: [u8; 12], after: u64) -> Self {
        let body = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        Self { bytes: head.to_vec(), len: body.saturating_add(4), after }
    }

    /// Takes in what left next, as far as it is part of the request; true once that is whole.
    pub(super) fn more(&mut self, bytes: &[u8]) -> bool {
        let wanted = self.len.saturating_sub(self.bytes.len()).min(bytes.len());
        self.bytes.extend_from_slice(&bytes[..wanted]);
        self.bytes.len() >= self.len
    }

    /// Sends it again, from the connector's host to the acceptor.
    pub(super) fn deliver(self, state: &Rc<State>, [connector, acceptor]: [usize; 2]) {
        let host = state.host(connector);
        if self.len > MOST || !host.up() {
            return;
        }
        let late = Rc::new(Late { bytes: self.bytes, acceptor, at: state.time.now() + self.after });
        host.late.borrow_mut().push(late.clone());
        carry(state, connector, late);
    }
}

/// A request under way for the second time.
pub(crate) struct Late {
    bytes: Vec<u8>,
    acceptor: usize,
    /// When it is sent.
    at: u64,
}

/// A process of `host` begins: what its predecessors have sent is still under way. The simulator's network has no tasks of
/// its own, so those of the new process carry it.
pub(crate) fn go_on(state: &Rc<State>, host: usize) {
    let late = state.host(host).late.borrow().clone();
    late.into_iter().for_each(|late| carry(state, host, late));
}

#[expect(clippy::disallowed_methods, reason = "the second delivery is the network's, not a task of the process")]
fn carry(state: &Rc<State>, connector: usize, late: Rc<Late>) {
    let (host, world) = (state.host(connector), state.clone());
    let door = SimNet::new(state.clone(), connector, host.life.get());
    let again = async move {
        world.until(late.at).await;
        host.late.borrow_mut().retain(|other| !Rc::ptr_eq(other, &late));
        let peer = world.host(late.acceptor).name.clone();
        let Ok(mut stream) = door.connect(&format!("{peer}:{PORT}"), PATIENCE).await else { return };
        let both = async {
            let mut answer = [0; 4];
            if stream.write_all(&late.bytes).await.is_ok() {
                // Whatever it says, nobody waits for it.
                let _ = stream.read_exact(&mut answer).await;
            }
        };
        race(both, world.until(world.time.now() + u64::try_from(PATIENCE.as_nanos()).unwrap_or(0))).await;
    };
    tokio::task::spawn_local(Marked::new(state.clone(), connector, again));
}
