//! The producer's sending task: at every change it gives up what is too old and sends what is ready.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use broker::env::{Env, Mono};
use broker::ids::NodeId;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{InitProducerIdRequest, ProduceRequest, ProduceResponse};

use super::accumulator::After;
use super::connection::Connection;
use super::outcome::{self, Failure, Judged, Kind, Retry};
use super::producer::Inner;
use super::signal::Alarm;
use crate::history::event::Outcome;

/// A batch in a request: its id and its queue.
type Part = (u64, usize);

/// Sends until the producer is closed.
pub(super) async fn run<E: Env>(inner: Rc<Inner<E>>) {
    let mut alarm = Alarm::new(inner.client.env().clone());
    let mut sender = Sender { inner: inner.clone(), ready: Vec::new(), turn: 0 };
    while !inner.closed.get() {
        let (woken, changed) = (inner.woken.count(), inner.client.changed().count());
        let next = sender.turn();
        poll_fn(|cx| {
            let called = inner.woken.poll_past(woken, cx) | inner.client.changed().poll_past(changed, cx);
            if called || alarm.poll_at(next, cx) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
    let given_up = inner.batches.borrow_mut().abandon();
    for (filling, outcome) in given_up {
        inner.settle(filling.fail(outcome, outcome::CLOSED));
    }
}

/// Asks for a producer id until one is given.
async fn identify<E: Env>(inner: Rc<Inner<E>>) {
    let mut failures = 0;
    while !inner.closed.get() {
        let deadline = inner.client.env().now().after(inner.client.settings().request_timeout);
        let request =
            InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(i32::MAX);
        match inner.client.call_controller(&request, deadline).await {
            Ok(given) if given.error_code == 0 => {
                inner.batches.borrow_mut().identify((given.producer_id.0, given.producer_epoch));
                break;
            }
            _ => {
                failures += 1;
                let patience = inner.client.env().now().after(inner.client.settings().request_timeout);
                inner.client.pause(failures, patience).await;
            }
        }
    }
    inner.asking.set(false);
    inner.woken.raise();
}

struct Sender<E: Env> {
    inner: Rc<Inner<E>>,
    /// The queues ready in this turn, by the node to send to.
    ready: Vec<(NodeId, usize)>,
    /// Which of them goes first, so that none starves.
    turn: usize,
}

impl<E: Env> Sender<E> {
    /// Gives up what is too old, sends what is ready, and returns when to look again.
    fn turn(&mut self) -> Option<Mono> {
        let inner = self.inner.clone();
        let now = inner.client.env().now();
        let mut batches = inner.batches.borrow_mut();
        let given_up = batches.expire(now);
        batches.hurry(inner.hurried.get() > 0);
        let queues = inner.queues.borrow();
        let leader = |queue: usize| {
            let tp = &queues.all[queue].tp;
            Some((inner.client.leader(&tp.topic, tp.partition)?.0, queue))
        };
        if batches.wants_identity() && !batches.is_empty() && !inner.asking.replace(true) {
            inner.client.env().spawn("producer id", identify(inner.clone()));
        }
        self.ready.clear();
        self.ready.extend(batches.ready(now).filter_map(leader));
        drop((batches, queues));
        for (filling, outcome) in given_up {
            inner.settle(filling.fail(outcome, outcome::EXPIRED));
        }
        if !self.ready.is_empty() {
            let first = self.turn % self.ready.len();
            self.ready.rotate_left(first);
            self.turn = self.turn.wrapping_add(1);
        }
        self.ready.sort_by_key(|(node, _)| *node);
        for of_node in self.ready.chunk_by(|a, b| a.0 == b.0) {
            let node = of_node[0].0;
            let Some(connection) = inner.client.connection(node) else { continue };
            while inner.out.borrow().get(&node).copied().unwrap_or(0) < inner.config.max_in_flight.max(1) {
                let (request, parts) = self.assemble(of_node, now);
                if parts.is_empty() {
                    break;
                }
                inner.send(node, &connection, request, parts);
            }
        }
        inner.batches.borrow().next_time(now)
    }

    /// One request of the first batch of each of `queues` that is ready, up to the size of a request.
    fn assemble(&self, queues: &[(NodeId, usize)], now: Mono) -> (ProduceRequest, Vec<Part>) {
        let inner = &self.inner;
        let (mut batches, names) = (inner.batches.borrow_mut(), inner.queues.borrow());
        let (mut topics, mut parts, mut bytes) = (Vec::<TopicProduceData>::new(), Vec::new(), 0);
        for &(_, queue) in queues {
            let size = batches.first_bytes(queue);
            let fits = parts.is_empty() || bytes + size <= inner.config.max_request_bytes;
            if !fits || !batches.is_ready(queue, now) {
                continue;
            }
            let Some((id, stamp, filling)) = batches.take(queue) else { continue };
            let of = &names.all[queue];
            let records = filling.seal(stamp);
            let data = PartitionProduceData::default().with_index(of.tp.partition).with_records(Some(records));
            match topics.iter_mut().find(|topic| topic.name == of.name) {
                Some(topic) => topic.partition_data.push(data),
                None => {
                    let topic = TopicProduceData::default().with_name(of.name.clone());
                    topics.push(topic.with_partition_data(vec![data]));
                }
            }
            bytes += size;
            parts.push((id, queue));
        }
        let timeout = i32::try_from(inner.client.settings().request_timeout.as_millis()).unwrap_or(i32::MAX);
        let request = ProduceRequest::default().with_acks(inner.config.acks).with_timeout_ms(timeout);
        (request.with_topic_data(topics), parts)
    }
}

impl<E: Env> Inner<E> {
    fn send(self: &Rc<Self>, node: NodeId, connection: &Connection, request: ProduceRequest, parts: Vec<Part>) {
        *self.out.borrow_mut().entry(node).or_default() += 1;
        let deadline = self.client.env().now().after(self.client.settings().request_timeout);
        let parts = Rc::new(parts);
        let (inner, sent) = (self.clone(), parts.clone());
        let submitted = if request.acks == 0 {
            connection.submit_oneway(&request, deadline, move |end| inner.ended(node, &sent, end.map(|()| None)))
        } else {
            connection.submit(&request, deadline, move |end| inner.ended(node, &sent, end.map(Some)))
        };
        if let Err(failure) = submitted {
            self.ended(node, &parts, Err(failure));
        }
    }

    /// A request ended: with an answer, without need of one (acks=0), or in failure.
    fn ended(&self, node: NodeId, parts: &[Part], end: Result<Option<ProduceResponse>, Failure>) {
        if let Some(out) = self.out.borrow_mut().get_mut(&node) {
            *out -= 1;
        }
        let env = self.client.env();
        let now = env.now();
        let mut refresh = false;
        for &(id, queue) in parts {
            let (judged, base, appended) = self.verdict(queue, &end);
            let after = self.batches.borrow_mut().attempted(id, judged, now, env.draw());
            match after {
                After::Done(filling, Outcome::Ok, _) => self.settle(filling.done(base, appended)),
                After::Done(filling, outcome, code) => self.settle(filling.fail(outcome, code)),
                After::Again(_) | After::Late => {}
            }
            refresh |= judged.retry == Retry::Refresh;
        }
        if refresh {
            self.client.refresh();
        }
        self.woken.raise();
    }

    /// What the end of a request says of one queue's batch: the judgement, its base offset and append time.
    fn verdict(&self, queue: usize, end: &Result<Option<ProduceResponse>, Failure>) -> (Judged, i64, i64) {
        match end {
            Ok(None) => (outcome::judge(Kind::Write, 0), -1, -1),
            Err(failure) => (outcome::judge_failure(Kind::Write, *failure), -1, -1),
            Ok(Some(answer)) => match self.part_of(answer, queue) {
                Some(part) => (outcome::judge(Kind::Write, part.error_code), part.base_offset, part.log_append_time_ms),
                None => (outcome::judge_failure(Kind::Write, Failure::Garbled), -1, -1),
            },
        }
    }

    fn part_of<'a>(&self, answer: &'a ProduceResponse, queue: usize) -> Option<&'a PartitionProduceResponse> {
        let queues = self.queues.borrow();
        let of = &queues.all[queue];
        let topic = answer.responses.iter().find(|topic| topic.name == of.name)?;
        topic.partition_responses.iter().find(|part| part.index == of.tp.partition)
    }

    /// A batch is done: its bytes are free again.
    fn settle(&self, bytes: usize) {
        self.memory.add_permits(bytes);
        self.settled.raise();
    }
}
