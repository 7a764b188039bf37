//! Sends records in open loop, each of which says who sent it; then, in the drain, proves that producing works again.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use broker::env::Env;

use crate::client::partitioner;
use crate::client::producer::{Producer, ProducerConfig};
use crate::client::record::Record;
use crate::client::throttle::Throttle;
use crate::history::value::{HEADER, checksum, encode, key_of};
use crate::history::{Call, Phase, RecordId, Reply};
use crate::scenario::Setup;
use crate::seed::Draw;

use super::keys::Keys;
use super::{Role, throttle};

/// Records handed to the client and not yet answered, at most: beyond, the open loop skips its turn.
const MOST_OPEN: usize = 2000;

/// Where a record is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// To this one of the run's partitions.
    At(usize),
    /// To the partition of this topic that the client chooses.
    In(usize),
}

/// One producer at work.
struct Sender<E: Env> {
    role: Rc<Role<E>>,
    producer: Producer<E>,
    draw: Draw,
    /// Whether it names each record's partition itself.
    names: bool,
    /// The next sequence number of each partition.
    seqs: Vec<u64>,
    keys: Keys,
    sent: Rc<()>,
    /// Its leave to send, if it waits for a group.
    throttle: Option<Rc<RefCell<Throttle>>>,
}

pub(super) async fn play<E: Env>(role: Role<E>) {
    role.ready().await;
    let load = role.stage.setup.load.clone();
    let mut sender = Sender::new(Rc::new(role));
    let gap = Duration::from_nanos(1_000_000_000 * u64::from(load.producers) / load.rate.max(1));
    let env = sender.role.env.clone();
    let spike = [load.spike_ms.0, load.spike_ms.1].map(|ms| env.now().after(Duration::from_millis(ms)));
    let mut due = env.now().after(gap.mul_f64(sender.draw.below(1000) as f64 / 1000.0));
    while sender.role.loading() {
        env.sleep(due.since(env.now())).await;
        let spikes = spike[0] <= due && due < spike[1];
        due = due.after(if spikes { gap / load.spike_factor.max(1) } else { gap });
        if sender.open() < MOST_OPEN && sender.has_leave() {
            let (place, key) = sender.some_place();
            sender.send(place, key).await;
        }
    }
    sender.drain().await;
}

/// The producers' settings, as the run's setup has them.
pub(super) fn config(setup: &Setup) -> ProducerConfig {
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

/// The header that says where a record was sent; room is left for it where the partition is chosen last.
const PLACE: &str = "tp";

/// Makes `record` the producer's next one of partition number `at`, and notes that it is sent. Returns the operation.
pub(super) fn identify<E: Env>(role: &Role<E>, seqs: &mut [u64], record: &mut Record, at: usize) -> u64 {
    let tp = role.tp(at);
    let id = RecordId { producer: role.number, incarnation: role.incarnation, seq: seqs[at] };
    seqs[at] += 1;
    if role.stage.setup.contract.compaction {
        record.key = Some(key_of(id.seq).to_string().into_bytes().into());
    }
    let value = encode(id, tp, record.value.as_ref().map_or(0, |room| room.len()));
    let timestamp = record.timestamp.unwrap_or(-1);
    record.headers.retain(|(name, _)| name != PLACE);
    record.headers.insert(0, (PLACE.into(), Some(at.to_string().into_bytes().into())));
    let noted = record.headers.iter().map(|(k, v)| (str::from_utf8(k).unwrap_or_default(), v.as_deref()));
    let checksum = checksum(record.key.as_deref(), Some(&value), noted, role.kept_time(tp, timestamp));
    record.value = Some(value);
    role.call(Call::Send { tp, id, checksum, timestamp, acks: role.stage.setup.contract.acks })
}

impl<E: Env> Sender<E> {
    fn new(role: Rc<Role<E>>) -> Self {
        let producer = Producer::new(role.client(), config(&role.stage.setup));
        let draw = role.draws();
        let chance = draw.aside("names").chance(role.stage.setup.load.naming_per_mille);
        // Of a compacted topic the key is known only once the partition is.
        let names = chance || role.stage.setup.contract.compaction;
        let seqs = vec![0; role.stage.partitions.len()];
        let keys = Keys::of(&role.stage.setup.load);
        let throttle = throttle::watch(&role);
        Self { producer, draw, names, seqs, keys, sent: Rc::new(()), throttle, role }
    }

    /// Whether it may send one more now, and has that counted. Where it waits for a group the open loop skips its turn.
    fn has_leave(&self) -> bool {
        self.throttle.as_ref().is_none_or(|throttle| throttle.borrow_mut().take())
    }

    /// Records without an answer yet: each open send holds one more count of `sent`.
    fn open(&self) -> usize {
        Rc::strong_count(&self.sent) - 1
    }

    /// Where the next record goes, and its key: where the key belongs, or anywhere without one.
    fn some_place(&mut self) -> (Place, Option<String>) {
        let stage = &self.role.stage;
        let keyless = self.draw.chance(stage.setup.load.keyless_per_mille);
        if keyless && self.names {
            return (Place::At(*self.draw.pick(&stage.fed())), None);
        }
        let key = (!keyless).then(|| self.keys.draw(&mut self.draw));
        let topic = usize::try_from(self.draw.below(stage.setup.inputs() as u64)).unwrap_or(0);
        // A client may know of a new partition before the run does, and too late for it to be read.
        if !self.names && stage.setup.topics[topic].grows == 0 {
            return (Place::In(topic), key);
        }
        let of_topic = stage.live_of(topic);
        let count = u32::try_from(of_topic.len()).unwrap_or(1);
        let at = match &key {
            Some(key) => usize::try_from(partitioner::for_key(key.as_bytes(), count)).unwrap_or(0),
            None => usize::try_from(self.draw.below(u64::from(count))).unwrap_or(0),
        };
        (Place::At(of_topic.start + at), key)
    }

    /// Hands one record to the client, waiting for room in its buffer; the answer is noted when it comes. Records enter
    /// the client one after another, so that their sequence numbers are their order.
    async fn send(&mut self, place: Place, key: Option<String>) -> tokio::sync::oneshot::Receiver<bool> {
        let stage = &self.role.stage;
        let (least, most) = stage.setup.load.value_bytes;
        let size = usize::try_from(self.draw.between(least, most)).unwrap_or(0).max(HEADER);
        let (first, partition) = match place {
            Place::At(at) => (at, Some(stage.partitions[at].partition)),
            Place::In(topic) => (stage.live_of(topic).start, None),
        };
        let mut record = Record {
            topic: stage.partitions[first].topic.clone(),
            partition,
            key: key.map(|k| k.into_bytes().into()),
            value: Some(vec![0; size].into()),
            headers: vec![(PLACE.into(), Some(vec![0; 4].into()))],
            timestamp: Some(self.role.env.wall()),
        };
        let (role, seqs, mut op) = (&self.role, &mut self.seqs, None);
        let entered = match place {
            Place::At(at) => {
                op = Some(identify(role, seqs, &mut record, at));
                self.producer.enqueue(record).await
            }
            // The call begins when its partition is known: refused before, it was never made.
            Place::In(_) => {
                let chosen = |record: &mut Record, partition| {
                    op = Some(identify(role, seqs, record, first + usize::try_from(partition).unwrap_or(0)));
                };
                self.producer.enqueue_with(record, chosen).await
            }
        };
        let (done, answer) = tokio::sync::oneshot::channel();
        let throttle = self.throttle.clone();
        let answered = move || throttle.into_iter().for_each(|throttle| throttle.borrow_mut().answered());
        let Some(op) = op else {
            answered();
            return answer;
        };
        let (role, open) = (self.role.clone(), self.sent.clone());
        self.role.env.spawn("send", async move {
            let result = match entered {
                Ok(ticket) => ticket.await,
                Err(refused) => Err(refused),
            };
            let result = role.returned(op, result, |sent| Reply::Sent { offset: sent.offset });
            drop(open);
            answered();
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
        for at in self.role.stage.fed() {
            while self.role.stage.phase() <= Phase::Drain {
                match self.send(Place::At(at), None).await.await {
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
