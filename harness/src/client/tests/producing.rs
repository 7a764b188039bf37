//! The producer against a scripted broker.

use std::rc::Rc;

use broker::env::Env;
use proptest::prelude::*;

use super::fake::Act;
use super::world::{self, World};
use super::{config, ms, start};
use crate::client::outcome;
use crate::client::producer::{Producer, ProducerConfig, SendError, Sent};
use crate::client::record::Record;
use crate::history::event::Outcome::{self, Fail, Info};

fn record(value: impl AsRef<[u8]>) -> Record {
    Record { partition: Some(0), ..Record::new("t", value.as_ref().to_vec()) }
}

/// The end of one record sent alone while the broker does as told, and the milliseconds it took.
async fn one(world: &World, acts: &[Act]) -> (Result<Sent, SendError>, u64) {
    let (fake, client) = start(world, 1);
    fake.script(acts.iter().copied());
    let began = world.ms();
    let end = Producer::new(client, config()).send(record("x")).await;
    (end, world.ms() - began)
}

fn error(outcome: Outcome, code: i16) -> Result<Sent, SendError> {
    Err(SendError { outcome, code })
}

#[test]
fn a_record_is_stored_and_its_place_is_told() {
    world::run(|world| async move {
        let (fake, client) = start(&world, 2);
        let producer = Producer::new(client, config());
        for n in 0..3_i64 {
            let sent = producer.send(Record { timestamp: Some(55 + n), ..record(format!("v{n}")) }).await.unwrap();
            assert_eq!(sent, Sent { partition: 0, offset: n, timestamp: 55 + n });
        }
        assert_eq!(fake.values(0), [b"v0", b"v1", b"v2"]);
        assert_eq!(fake.connections.get(), 1, "the bootstrap connection serves the node it turned out to be");
    });
}

#[test]
fn records_enqueued_together_share_a_batch_and_a_request() {
    world::run(|world| async move {
        let (fake, client) = start(&world, 3);
        let producer = Producer::new(client, config());
        let mut tickets = Vec::new();
        for n in 0..30 {
            tickets.push(producer.enqueue(Record { partition: Some(n % 3), ..record([n as u8]) }).await.unwrap());
        }
        for ticket in tickets {
            ticket.await.unwrap();
        }
        assert_eq!(fake.produced.get(), 1);
        assert_eq!(fake.values(2).concat(), [2, 5, 8, 11, 14, 17, 20, 23, 26, 29]);
    });
}

#[test]
fn a_lost_answer_is_retried_and_the_copy_is_stored_too() {
    world::run(|world| async move {
        let (fake, client) = start(&world, 1);
        fake.script([Act::AppendAndDrop]);
        let sent = Producer::new(client, config()).send(record("x")).await.unwrap();
        assert_eq!((sent.offset, fake.values(0).len()), (1, 2));
    });
}

#[test]
fn an_error_that_may_pass_is_retried() {
    for code in [2, 3, 6, 7, 19, 20, 56] {
        world::run(|world| async move {
            let (end, _) = one(&world, &[Act::Refuse(code), Act::Refuse(code)]).await;
            assert_eq!(end.unwrap().offset, 0, "code {code}");
        });
    }
}

#[test]
fn a_refusal_is_definite_only_if_nothing_before_it_was_in_doubt() {
    world::run(|world| async move {
        assert_eq!(one(&world, &[Act::Refuse(10)]).await.0, error(Fail, 10));
        assert_eq!(one(&world, &[Act::Refuse(19), Act::Refuse(10)]).await.0, error(Fail, 10));
        assert_eq!(one(&world, &[Act::Drop, Act::Refuse(10)]).await.0, error(Info, 10));
        assert_eq!(one(&world, &[Act::AppendAndSay(6), Act::Refuse(10)]).await.0, error(Info, 10));
        assert_eq!(one(&world, &[Act::Refuse(-1)]).await.0, error(Info, -1));
    });
}

#[test]
fn every_call_returns_by_its_deadline() {
    world::run(|world| async move {
        assert_eq!(one(&world, &[Act::Stall; 99]).await, (error(Info, outcome::EXPIRED), 1000));
        assert_eq!(one(&world, &[Act::Drop; 99]).await, (error(Info, outcome::EXPIRED), 1000));
        let (end, took) = one(&world, &[Act::Refuse(19); 99]).await;
        assert_eq!((end, took), (error(Fail, outcome::EXPIRED), 1000));
    });
}

#[test]
fn without_a_broker_nothing_was_sent() {
    world::run(|world| async move {
        let producer = Producer::new(super::client(&world), config());
        assert_eq!(producer.send(record("x")).await, error(Fail, outcome::NOT_SENT));
        assert_eq!(world.ms(), 1000);
    });
}

#[test]
fn what_cannot_be_sent_is_refused_at_once() {
    world::run(|world| async move {
        let (fake, client) = start(&world, 1);
        let producer = Producer::new(client, config());
        assert_eq!(producer.send(Record { partition: Some(-1), ..record("x") }).await, error(Fail, 3));
        assert_eq!(producer.send(record(vec![0; 2 << 20])).await, error(Fail, 10));
        assert_eq!(fake.produced.get(), 0);
        assert!(world.ms() < 100, "{} ms", world.ms());
    });
}

#[test]
fn a_partition_that_is_not_known_is_waited_for_in_case_it_is_new() {
    world::run(|world| async move {
        let (fake, client) = start(&world, 1);
        let producer = Producer::new(client, config());
        producer.send(record("x")).await.unwrap();
        let (growing, clock) = (fake.clone(), world.clone());
        world.spawn("grow", async move {
            clock.sleep(ms(300)).await;
            growing.partitions.set(2);
        });
        let sent = producer.send(Record { partition: Some(1), ..record("y") }).await.unwrap();
        assert_eq!((sent.partition, fake.values(1)), (1, vec![b"y".to_vec()]));
        let began = world.ms();
        let never = producer.send(Record { partition: Some(2), ..record("z") }).await;
        assert_eq!((never, world.ms() - began), (error(Fail, 3), 1000));
        assert!(fake.asked_metadata.get() < 40, "asked {} times", fake.asked_metadata.get());
    });
}

#[test]
fn acks_0_ends_when_the_bytes_are_out() {
    world::run(|world| async move {
        let (fake, client) = start(&world, 1);
        let producer = Producer::new(client, ProducerConfig { acks: 0, ..config() });
        assert_eq!(producer.send(record("x")).await.unwrap().offset, -1);
        assert_eq!(producer.send(record("y")).await.unwrap().offset, -1);
        world.sleep(ms(10)).await;
        assert_eq!(fake.values(0), [b"x", b"y"]);
    });
}

#[test]
fn requests_are_pipelined_up_to_the_limit() {
    for limit in [1, 3, 5] {
        world::run(|world| async move {
            let (fake, client) = start(&world, 1);
            fake.script([Act::Append(10); 10]);
            let producer = Producer::new(client, ProducerConfig { max_in_flight: limit, batch_bytes: 1, ..config() });
            let mut tickets = Vec::new();
            for n in 0..10_u8 {
                tickets.push(producer.enqueue(record([n])).await.unwrap());
            }
            for ticket in tickets {
                ticket.await.unwrap();
            }
            assert_eq!(fake.most_open.get(), limit);
            assert_eq!(fake.values(0).concat(), (0..10).collect::<Vec<_>>());
        });
    }
}

#[test]
fn a_full_buffer_makes_callers_wait_and_never_overflows() {
    world::run(|world| async move {
        let (fake, client) = start(&world, 1);
        let producer = Producer::new(client, ProducerConfig { buffer_bytes: 500, linger: ms(300), ..config() });
        let mut tickets = Vec::new();
        for _ in 0..20 {
            tickets.push(producer.enqueue(record([7; 100])).await.unwrap());
        }
        for ticket in tickets {
            ticket.await.unwrap();
        }
        assert_eq!(fake.values(0).len(), 20);
        assert!(world.ms() < 300 + 50, "a caller that waits for memory ends the lingering: {} ms", world.ms());
        fake.script([Act::Stall; 99]);
        let mut refused = 0;
        for _ in 0..4 {
            refused +=
                u32::from(producer.enqueue(record([7; 100])).await.err() == error(Fail, outcome::BUFFER_FULL).err());
        }
        assert_eq!(refused, 1);
    });
}

#[test]
fn flush_waits_for_all_and_ends_lingering() {
    world::run(|world| async move {
        let (fake, client) = start(&world, 1);
        let producer = Producer::new(client, ProducerConfig { linger: ms(500), ..config() });
        let ticket = producer.enqueue(record("x")).await.unwrap();
        assert!(producer.flush(world.now().after(ms(100))).await);
        assert_eq!((fake.values(0).len(), ticket.await.unwrap().offset), (1, 0));
        fake.script([Act::Stall; 9]);
        let _open = producer.enqueue(record("y")).await.unwrap();
        assert!(!producer.flush(world.now().after(ms(100))).await);
    });
}

#[test]
fn closing_gives_up_what_is_open() {
    world::run(|world| async move {
        let (fake, client) = start(&world, 1);
        fake.script([Act::Stall; 9]);
        let producer = Producer::new(client, ProducerConfig { batch_bytes: 1, ..config() });
        let (out, waiting) =
            (producer.enqueue(record("x")).await.unwrap(), producer.enqueue(record("y")).await.unwrap());
        world.sleep(ms(20)).await;
        drop(producer);
        assert_eq!(out.await, error(Info, outcome::CLOSED));
        assert_eq!(waiting.await, error(Fail, outcome::CLOSED));
    });
}

#[test]
fn keys_choose_partitions_and_keyless_records_stick_to_one_per_batch() {
    world::run(|world| async move {
        let (fake, client) = start(&world, 4);
        let producer = Producer::new(client, ProducerConfig { linger: ms(5), ..config() });
        let keyed = Record { key: Some("foobar".into()), ..Record::new("t", "x") };
        let expected = (-790_332_482_i32 & 0x7fff_ffff) % 4;
        assert_eq!(producer.send(keyed).await.unwrap().partition, expected);
        let mut tickets = Vec::new();
        for _ in 0..50 {
            tickets.push(producer.enqueue(Record::new("t", "y")).await.unwrap());
        }
        let mut used = Vec::new();
        for ticket in tickets {
            used.push(ticket.await.unwrap().partition);
        }
        used.dedup();
        assert_eq!(used.len(), 1);
        assert_eq!(fake.produced.get(), 2);
    });
}

fn act() -> impl Strategy<Value = Act> {
    let code = prop::sample::select(vec![-1_i16, 2, 3, 6, 7, 10, 17, 19, 20, 56, 87, 999]);
    let definite = prop::sample::select(vec![6_i16, 7, 20, 56, -1]);
    prop_oneof![
        4 => (0..30_u64).prop_map(Act::Append),
        1 => Just(Act::AppendAndDrop),
        1 => Just(Act::Drop),
        1 => Just(Act::AppendAndStall),
        1 => Just(Act::Stall),
        1 => code.prop_map(Act::Refuse),
        1 => definite.prop_map(Act::AppendAndSay),
    ]
}

/// Whatever the broker does: every call ends in time, `ok` is stored where it says, `fail` is nowhere, and with one
/// request in flight first copies are stored in the order sent.
async fn keeps_its_word(world: World, acts: Vec<Act>, in_flight: usize) {
    let (fake, client) = start(&world, 1);
    fake.script(acts);
    let cfg = ProducerConfig { max_in_flight: in_flight, batch_bytes: 120, ..config() };
    let producer = Producer::new(client, cfg);
    let ends = Rc::new(std::cell::RefCell::new(Vec::new()));
    for n in 0..12_u8 {
        let began = world.ms();
        let ticket = producer.enqueue(record([n; 20])).await.unwrap();
        let (ends, clock) = (ends.clone(), world.clone());
        world.spawn("waiter", async move {
            let end = ticket.await;
            assert!(clock.ms() - began <= 1000, "returned after {} ms", clock.ms() - began);
            ends.borrow_mut().push((n, end));
        });
        world.sleep(ms(u64::from(n) % 4)).await;
    }
    world.sleep(ms(3000)).await;
    let stored: Vec<u8> = fake.values(0).iter().map(|value| value[0]).collect();
    let ends = ends.borrow();
    assert_eq!(ends.len(), 12, "every call ended");
    for (n, end) in ends.iter() {
        match end {
            Ok(sent) => assert_eq!(stored[usize::try_from(sent.offset).unwrap()], *n),
            Err(error) if error.outcome == Fail => assert!(!stored.contains(n), "{n} failed and is stored"),
            Err(error) => assert_eq!(error.outcome, Info),
        }
    }
    if in_flight == 1 {
        let mut seen = Vec::new();
        stored.iter().for_each(|n| {
            if !seen.contains(n) {
                seen.push(*n)
            }
        });
        assert!(seen.is_sorted(), "stored {stored:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_the_broker_does_the_producer_keeps_its_word(
        acts in prop::collection::vec(act(), 0..12),
        in_flight in prop::sample::select(vec![1_usize, 5]),
    ) {
        world::run(|world| keeps_its_word(world, acts, in_flight));
    }
}

/// The planted defects break exactly what the property above promises.
#[cfg(feature = "planted")]
#[test]
fn the_planted_defects_are_caught() {
    use broker::planted::{Defect, activate};
    let breaks = |defect, acts: Vec<Act>| {
        let caught = std::panic::catch_unwind(move || {
            activate(defect);
            world::run(|world| keeps_its_word(world, acts, 1));
        });
        activate(None);
        caught.is_err()
    };
    let refusals = vec![Act::Append(30), Act::Refuse(19)];
    assert!(!breaks(None, refusals.clone()));
    assert!(breaks(Some(Defect::PrReorderRetry), refusals));
    let doubts = vec![Act::AppendAndSay(7); 60];
    assert!(!breaks(None, doubts.clone()));
    assert!(breaks(Some(Defect::PrNotleaderTreatedFail), doubts));
}
