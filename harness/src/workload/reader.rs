//! Consumers: one follows the log from its start, the other reads it again and again; both note every record.

use broker::env::Env;
use broker::ids::Offset;

use crate::client::CallError;
use crate::client::consumer::{Consumer, Settings};
use crate::history::{Call, Outcome, Phase, Reply, TpId};
use std::time::Duration;

use super::Role;

/// Follows every partition from its start until the final read begins.
pub(super) async fn tail<E: Env>(role: Role<E>) {
    role.ready().await;
    let mut reader = Reader::new(&role);
    reader.rewind();
    while role.stage.phase() < Phase::FinalRead {
        reader.poll().await;
    }
}

/// Reads everything from offset 0, again and again, until the final read begins.
pub(super) async fn replay<E: Env>(role: Role<E>) {
    role.ready().await;
    let mut draw = role.draws();
    while role.stage.phase() < Phase::FinalRead {
        let mut reader = Reader::new(&role);
        reader.rewind();
        let polls = draw.between(5, 60);
        for _ in 0..polls {
            reader.poll().await;
        }
        role.pause(draw.between(1, 200)).await;
    }
}

/// One consumer with its notes.
pub(super) struct Reader<'a, E: Env> {
    role: &'a Role<E>,
    consumer: Consumer<E>,
    last: bool,
}

/// The API key of Fetch.
const FETCH: i16 = 1;

impl<'a, E: Env> Reader<'a, E> {
    pub(super) fn new(role: &'a Role<E>) -> Self {
        let load = &role.stage.setup.load;
        let settings = Settings {
            max_wait: Duration::from_millis(load.fetch_wait_ms),
            partition_bytes: load.fetch_bytes,
            ..Settings::default()
        };
        Self { role, consumer: Consumer::new(role.client(), settings), last: role.stage.phase() == Phase::FinalRead }
    }

    /// Reads every partition from offset 0.
    fn rewind(&mut self) {
        for at in 0..self.role.stage.partitions.len() {
            self.assign(at, 0);
        }
    }

    /// Reads partition number `at` from `position` on.
    pub(super) fn assign(&mut self, at: usize, position: Offset) {
        let call = Call::Assign { tp: TpId(u32::try_from(at).unwrap_or(u32::MAX)), position };
        let tape = &self.role.stage.tape;
        let op = tape.call(self.role.number, self.role.incarnation, call);
        self.consumer.assign(&self.role.stage.partitions[at], position);
        tape.note(crate::history::Kind::Return { op, outcome: Outcome::Ok, code: 0, reply: Reply::None });
    }
}
