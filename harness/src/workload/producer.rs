//! Sends records in open loop, each of which says who sent it; then, in the drain, proves that producing works again.

use std::rc::Rc;
use std::time::Duration;

use broker::env::Env;

use crate::client::partitioner;
use crate::client::producer::{Producer, ProducerConfig};
use crate::client::record::Record;
use crate::history::value::{checksum, encode};
use crate::history::{Call, Phase, RecordId, Reply, TpId};
use crate::scenario::Setup;
use crate::seed::Draw;

use super::Role;

/// Keys drawn from; few, so that each has many records.
const KEYS: u64 = 64;
/// Records handed to the client and not yet answered, at most: beyond, the open loop skips its turn.
const MOST_OPEN: usize = 2000;

/// One producer at work.
struct Sender<E: Env> {
    role: Rc<Role<E>>,
    producer: Producer<E>,
    draw: Draw,
    /// The next sequence number of each partition.
    seqs: Vec<u64>,
    sent: Rc<()>,
}

pub(super) async fn play<E: Env>(role: Role<E>) {
    role.ready().await;
    let load = role.stage.setup.load.clone();
    let mut sender = Sender::new(Rc::new(role));
    let gap = Duration::from_nanos(1_000_000_000 * u64::from(load.producers) / load.rate.max(1));
    let env = sender.role.env.clone();
    let mut due = env.now().after(gap.mul_f64(sender.draw.below(1000) as f64 / 1000.0));
    while sender.role.loading() {
        env.sleep(due.since(env.now())).await;
        due = due.after(gap);
        if sender.open() < MOST_OPEN {
            let (at, key) = sender.some_place();
            sender.send(at, key).await;
        }
    }
    sender.drain().await;
}

/// The producers' settings, as the run's setup has them.
fn config(setup: &Setup) -> ProducerConfig {
    let (contract, load) = (&setup.contract, &setup.load);
    ProducerConfig {
        acks: contract.acks,
        compression: load.compression,
        linger: Duration::from_millis(load.linger_ms),
        batch_bytes: load.batch_bytes,
        idempotent: contract.idempotent,
        max_in_flight: contract.max_in_flight as usize,
        delivery_timeout: Duration::from_millis(load.delivery_timeout_ms),
        ..ProducerConfig::default()
    }
}

impl<E: Env> Sender<E> {
    fn new(role: Rc<Role<E>>) -> Self {
        let producer = Producer::new(role.client(), config(&role.stage.setup));
        Self { producer, draw: role.draws(), seqs: vec![0; role.stage.partitions.len()], sent: Rc::new(()), role }
    }

    /// Records without an answer yet: each open send holds one more count of `sent`.
    fn open(&self) -> usize {
        Rc::strong_count(&self.sent) - 1
    }

    /// Where the next record goes, and its key: where the key belongs, or anywhere without one.
    fn some_place(&mut self) -> (usize, Option<String>) {
        let stage = &self.role.stage;
        if self.draw.chance(stage.setup.load.keyless_per_mille) {
            return (*self.draw.pick(&stage.live()), None);
        }
        let key = format!("key-{}", self.draw.below(KEYS));
        let topic = usize::try_from(self.draw.below(stage.setup.topics.len() as u64)).unwrap_or(0);
        let of_topic = stage.live_of(topic);
        let count = u32::try_from(of_topic.len()).unwrap_or(1);
        let at = usize::try_from(partitioner::for_key(key.as_bytes(), count)).unwrap_or(0);
        (of_topic.start + at, Some(key))
    }

    /// Hands one record to the client, waiting for room in its buffer; the answer is noted when it comes. Records enter
    /// the client one after another, so that their sequence numbers are their order.
    async fn send(&mut self, at: usize, key: Option<String>) -> tokio::sync::oneshot::Receiver<bool> {
        let stage = &self.role.stage;
        let tp = TpId(u32::try_from(at).unwrap_or(u32::MAX));
        let id = RecordId { producer: self.role.number, incarnation: self.role.incarnation, seq: self.seqs[at] };
        self.seqs[at] += 1;
        let (least, most) = stage.setup.load.value_bytes;
        let size = usize::try_from(self.draw.between(least, most)).unwrap_or(0);
        let value = encode(id, tp, size);
        let timestamp = self.role.env.wall();
        let headers = [("tp", Some(at.to_string()))];
        let noted = headers.iter().map(|(k, v)| (*k, v.as_deref().map(str::as_bytes)));
        let sum = checksum(key.as_deref().map(str::as_bytes), Some(&value), noted, self.role.kept_time(tp, timestamp));
        let call = Call::Send { tp, id, checksum: sum, timestamp, acks: stage.setup.contract.acks };
        let record = Record {
            topic: stage.partitions[at].topic.clone(),
            partition: Some(stage.partitions[at].partition),
            key: key.map(|k| k.into_bytes().into()),
            value: Some(value),
            headers: headers.map(|(k, v)| (k.into(), v.map(|v| v.into_bytes().into()))).into(),
            timestamp: Some(timestamp),
        };
        let op = self.role.call(call);
        let entered = self.producer.enqueue(record).await;
        let (done, answer) = tokio::sync::oneshot::channel();
        let (role, open) = (self.role.clone(), self.sent.clone());
        self.role.env.spawn("send", async move {
            let result = match entered {
                Ok(ticket) => ticket.await,
                Err(refused) => Err(refused),
            };
            let result = role.returned(op, result, |sent| Reply::Sent { offset: sent.offset });
            drop(open);
            // In the load phases nobody waits for one record's answer.
            let _ = done.send(result.is_ok());
        });
        answer
    }

    /// Waits for every open send, then sends one record to each partition until it is acknowledged.
    async fn drain(&mut self) {
        while self.open() > 0 {
            self.role.pause(5).await;
        }
        for at in self.role.stage.live() {
            while self.role.stage.phase() <= Phase::Drain {
                match self.send(at, None).await.await {
                    Ok(true) => break,
                    _ => self.role.pause(20).await,
                }
            }
        }
        self.role.stage.probed(self.role.number);
    }
}

#[cfg(test)]
mod tests {
    use broker::record::Compression;

    use super::config;
    use crate::scenario::Setup;

    #[test]
    fn what_the_setup_says_reaches_the_producer() {
        for compression in Compression::ALL {
            let mut setup = Setup::one_topic("t", 1);
            (setup.load.compression, setup.contract.acks, setup.load.linger_ms) = (*compression, 1, 7);
            let config = config(&setup);
            assert_eq!((config.compression, config.acks, config.linger.as_millis()), (*compression, 1, 7));
        }
    }
}
