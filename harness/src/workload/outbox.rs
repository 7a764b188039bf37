//! What an application sends: noted on the tape like everything that producers of the load send, and judged like it.

use std::cell::RefCell;

use broker::env::Env;
use bytes::Bytes;
use tokio::sync::Mutex;

use crate::client::producer::{Producer, SendError, Sent};
use crate::client::record::Record;
use crate::history::Reply;

use super::Role;
use super::producer::{config, identify};

/// A producer of records that say of themselves who sent them; what they are about is in their headers.
pub struct Outbox<E: Env> {
    role: Role<E>,
    producer: Producer<E>,
    /// The next sequence number of each partition.
    seqs: RefCell<Vec<u64>>,
    /// Records enter the client one after another, so that their sequence numbers are their order.
    turn: Mutex<()>,
}

impl<E: Env> Outbox<E> {
    /// Of this client of the run.
    pub fn new(role: Role<E>) -> Self {
        let producer = Producer::new(role.client(), config(&role.stage.setup));
        let seqs = RefCell::new(vec![0; role.stage.partitions.len()]);
        Self { role, producer, seqs, turn: Mutex::default() }
    }

    /// Whose it is.
    pub fn role(&self) -> &Role<E> {
        &self.role
    }

    /// Sends a record with these headers to partition number `at` of the run, and waits until it is known what became of it.
    pub async fn send(&self, at: usize, headers: &[(&'static str, Vec<u8>)]) -> Result<Sent, SendError> {
        let tp = self.role.stage.partitions[at].clone();
        let headers = headers.iter().map(|(name, value)| (Bytes::from(*name), Some(value.clone().into())));
        let (topic, partition, timestamp) = (tp.topic, Some(tp.partition), Some(self.role.env.wall()));
        let mut record = Record { topic, partition, headers: headers.collect(), timestamp, ..Record::default() };
        let turn = self.turn.lock().await;
        let op = identify(&self.role, &mut self.seqs.borrow_mut(), &mut record, at);
        let entered = self.producer.enqueue(record).await;
        drop(turn);
        let result = match entered {
            Ok(ticket) => ticket.await,
            Err(refused) => Err(refused),
        };
        self.role.returned(op, result, |sent| Reply::Sent { offset: sent.offset })
    }
}
