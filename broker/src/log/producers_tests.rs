//! The window's rules one by one, then random producers beside a model that keeps every batch ever.

use proptest::prelude::*;

use super::*;
use crate::record::{BatchBuilder, Compression};

/// The header of a batch of `count` records at `base`.
pub(in crate::log) fn header(id: i64, epoch: i16, first: i32, count: i32, base: Offset) -> Header {
    let mut builder = BatchBuilder::new();
    builder.producer(id, epoch, first);
    for _ in 0..count {
        builder.append(0, None, Some(b"v"), std::iter::empty::<(&str, Option<&str>)>());
    }
    let header = Header::parse(&builder.finish(Compression::None)).unwrap();
    Header { base_offset: base, ..header }
}

fn check(producers: &Producers, id: i64, epoch: i16, first: i32, count: i32) -> Verdict {
    producers.check(&header(id, epoch, first, count, 0), 0)
}

/// Producer 7 in epoch 1 after `batches` of two records each.
fn after(batches: i32) -> Producers {
    let mut producers = Producers::at(0);
    for at in 0..batches {
        producers.note(&header(7, 1, at * 2, 2, Offset::from(at * 2)), 100);
    }
    producers
}

#[test]
fn each_of_the_last_five_is_answered_with_its_own_offsets_and_no_older_one() {
    let producers = after(7);
    for at in 2..7 {
        let offset = Offset::from(at * 2);
        let stored = Stored { first: at * 2, last: at * 2 + 1, base: offset, end: offset + 1, stamped: -1 };
        assert_eq!(check(&producers, 7, 1, at * 2, 2), Verdict::Duplicate(stored));
    }
    assert_eq!(check(&producers, 7, 1, 2, 2), Verdict::OutOfOrder, "it has left the window");
    assert_eq!(check(&producers, 7, 1, 14, 2), Verdict::New);
    assert_eq!(check(&producers, 7, 1, 16, 2), Verdict::OutOfOrder, "one is missing");
    assert_eq!(check(&producers, 7, 1, 12, 1), Verdict::OutOfOrder, "half of a batch is none");
}

#[test]
fn who_is_not_known_begins_where_it_likes_and_a_new_epoch_at_zero() {
    let producers = after(2);
    assert_eq!(check(&producers, 8, 0, 1234, 1), Verdict::New, "KIP-360");
    assert_eq!(check(&producers, 7, 2, 4, 1), Verdict::OutOfOrder);
    assert_eq!(check(&producers, 7, 2, 0, 1), Verdict::New);
    assert_eq!(check(&producers, 7, 0, 4, 1), Verdict::OldEpoch);
    assert_eq!(check(&producers, 7, -1, 0, 1), Verdict::OldEpoch);
    assert_eq!(check(&producers, -1, -1, -1, 1), Verdict::New);
}

#[test]
fn sequence_numbers_wrap() {
    let mut producers = Producers::at(0);
    producers.note(&header(7, 0, i32::MAX - 1, 3, 0), 0);
    let stored = Stored { first: i32::MAX - 1, last: 0, base: 0, end: 2, stamped: -1 };
    assert_eq!(check(&producers, 7, 0, i32::MAX - 1, 3), Verdict::Duplicate(stored));
    assert_eq!(check(&producers, 7, 0, 1, 1), Verdict::New);
    assert_eq!(sequence_after(i32::MAX, 1), 0);
}

#[test]
fn idle_producers_are_forgotten_and_so_are_too_many() {
    let mut producers = after(1);
    assert_eq!(producers.expire(1099, Duration::from_millis(1000)), 0);
    assert_eq!(producers.expire(1100, Duration::from_millis(1000)), 1);
    assert!(producers.is_empty());
    let one = header(0, 0, 0, 1, 0);
    for id in 0..=MOST {
        let id = i64::try_from(id).unwrap();
        producers.note(&Header { producer_id: id, ..one }, id);
    }
    assert_eq!(producers.len(), MOST - MOST / 8 + 1);
    assert_eq!(check(&producers, 0, 0, 0, 1), Verdict::New, "the longest idle went first");
    assert_ne!(check(&producers, i64::try_from(MOST).unwrap(), 0, 0, 1), Verdict::New);
}

/// Every batch ever: (epoch, first, last, base, end).
type Ever = BTreeMap<i64, Vec<(i16, i32, i32, Offset, Offset)>>;

fn naive(ever: &Ever, h: &Header) -> Verdict {
    let (epoch, first) = (h.producer_epoch, i64::from(h.base_sequence));
    let last = (first + i64::from(h.last_offset_delta)) % (1 << 31);
    let Some(&(newest, _, highest, ..)) = ever.get(&h.producer_id).and_then(|all| all.last()) else {
        return Verdict::New;
    };
    if epoch != newest {
        return if epoch < newest {
            Verdict::OldEpoch
        } else if first == 0 {
            Verdict::New
        } else {
            Verdict::OutOfOrder
        };
    }
    let recent = ever[&h.producer_id].iter().rev().take_while(|batch| batch.0 == newest).take(5);
    for &(_, from, to, base, end) in recent {
        if (i64::from(from), i64::from(to)) == (first, last) {
            return Verdict::Duplicate(Stored { first: from, last: to, base, end, stamped: -1 });
        }
    }
    if first == (i64::from(highest) + 1) % (1 << 31) { Verdict::New } else { Verdict::OutOfOrder }
}

proptest! {
    #[test]
    fn decides_as_one_who_remembers_every_batch(
        steps in prop::collection::vec((0..3i64, 0..3i16, -12..3i32, 1..4i32, any::<bool>()), 1..120), start in 0..2usize,
    ) {
        let (mut producers, mut ever, mut end) = (Producers::at(0), Ever::new(), 0);
        for (id, up, back, count, again) in steps {
            let known = ever.get(&id).and_then(|all: &Vec<_>| all.last());
            let (epoch, last) = known.map_or((0, [-1, i32::MAX - 9][start]), |batch| (batch.0, batch.2));
            let epoch = epoch + (up - 1) * i16::from(back == 2);
            let first = if back == 2 { 0 } else { sequence_after(last, 1 + if again { back.min(0) } else { 0 }) };
            let batch = header(id, epoch, first, count, end);
            let verdict = producers.check(&batch, 0);
            let expected = if epoch < 0 { Verdict::OldEpoch } else { naive(&ever, &batch) };
            prop_assert_eq!(verdict, expected);
            if verdict == Verdict::New {
                producers.note(&batch, 0);
                let last = sequence_after(first, count - 1);
                ever.entry(id).or_default().push((epoch, first, last, end, end + Offset::from(count) - 1));
                end += Offset::from(count);
            }
            prop_assert_eq!(producers.end(), end);
        }
    }
}
