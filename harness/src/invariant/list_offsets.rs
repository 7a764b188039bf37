//! B20: ListOffsets agrees with the log as it was at some instant between the question and the answer: earliest, latest,
//! by timestamp, and the largest timestamp.
//!
//! What was surely visible when the question was asked bounds the answer from below; what had been sent when it was
//! answered bounds it from above. Look-ups by timestamp wait for the end, when the whole log is known: a tree of maxima
//! over its pages answers each in O(log n).

mod maxima;

use broker::ids::{Offset, Timestamp};

use super::{Findings, Invariant, Kinds, Row, Tell, View, always, no_run};
use crate::history::{Call, Event, Kind, Outcome, Reply, TpId};
use crate::invariant::ledger::{Lows, Open, Part, time};
use maxima::Maxima;

pub(super) const ROW: Row = Row {
    id: "B20",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "ListOffsets agrees with the log at some instant while it was asked",
    white_box: false,
    wants: Kinds::RETURN,
    // Compaction takes records that were asked for by time.
    applies: |contract| if contract.compaction { super::Applies::No } else { always(contract) },
    must: no_run,
    make: || Box::new(ListOffsets::default()),
};

/// Answers kept for judgement at the end, at most; later ones are judged by their bounds only.
const KEPT: usize = 1 << 20;

/// ListOffsets' special timestamps.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;

/// One answer.
#[derive(Clone, Copy)]
struct Answer {
    tp: TpId,
    query: i64,
    offset: Offset,
    timestamp: Timestamp,
    client: u32,
    called: u64,
    at: u64,
    /// What was visible when it was asked.
    visible: Offset,
    /// The log's start when it was answered.
    start: Offset,
}

#[derive(Default)]
struct ListOffsets {
    judged: u64,
    /// Those of them that asked for a time.
    by_time: u64,
    answers: Vec<Answer>,
}

/// The answer is wrong: what should have come, and which offset shows it.
type Wrong = Option<(String, Option<Offset>)>;

impl ListOffsets {
    fn answered(&mut self, open: &Open, answer: Answer, part: &Part, view: &View<'_>, out: &mut Findings) {
        let now = part.now();
        // A crash in between may have taken what was visible; nothing is known then of the instant of the answer.
        if now.cuts != open.bounds.cuts || part.deleted.is_some_and(|at| at >= open.called) {
            return;
        }
        self.judged += 1;
        self.by_time += u64::from(answer.query >= 0);
        // Of several brokers a deposed one may answer, from the past: Kafka's leaders have no lease.
        let alone = !view.rules.contract.clustered();
        let bounds = (open.bounds.start.min(now.start), open.bounds.start.max(now.start));
        let end = part.logs.iter().map(|log| log.end).max().unwrap_or(Offset::MAX);
        let wrong = match answer.query {
            LATEST if answer.offset > end => Some((format!("the log ends at {end}"), None)),
            LATEST => (alone && answer.offset < answer.visible).then(|| {
                (format!("offset {} had been acknowledged or read before", answer.visible.saturating_sub(1)), None)
            }),
            EARLIEST if alone && !part.logs.is_empty() => (answer.offset < bounds.0 || answer.offset > bounds.1)
                .then(|| (format!("the log starts at {} meanwhile", bounds.1), None)),
            _ => None,
        };
        match wrong {
            Some(wrong) => report(view, &answer, wrong, out),
            None if self.answers.len() < KEPT => self.answers.push(answer),
            None => {}
        }
    }
}

/// Whether the record at `offset` had been acknowledged there before `at`: surely visible.
fn surely_there(view: &View<'_>, part: &Part, offset: Offset, at: u64) -> bool {
    let send = part.table.get(offset).record().and_then(|r| view.ledger.record(r));
    send.is_some_and(|s| s.acked() && s.offset == offset && s.returned < at)
}

/// Whether the record at `offset` was sent only after `at`: it cannot have been there.
fn not_yet_there(view: &View<'_>, part: &Part, offset: Offset, at: u64) -> bool {
    let send = part.table.get(offset).record().and_then(|r| view.ledger.record(r));
    send.is_some_and(|s| s.called > at)
}

/// Judges an answer by the whole log.
fn judge(view: &View<'_>, part: &Part, maxima: &Maxima<'_>, a: &Answer) -> Wrong {
    let slot = part.table.get(a.offset);
    let found = a.offset >= 0 && slot.is_some();
    let steady = !view.rules.contract.unclean;
    match a.query {
        LATEST if a.offset > 0 && not_yet_there(view, part, a.offset - 1, a.at) => {
            Some((format!("offset {} was sent after the answer", a.offset - 1), Some(a.offset - 1)))
        }
        LATEST if part.last.done() && part.cuts().count() == 0 && steady && a.offset > part.last.high => {
            Some((format!("the log ended at {} later", part.last.high), None))
        }
        // A log's start does not move back, unless a crash makes it forget that it had moved.
        EARLIEST if part.cuts().count() == 0 || part.trimmed.max(part.deleted_below) == 0 => {
            let first = part.table.iter().find(|(_, slot)| slot.last).map(|(offset, _)| offset);
            first.filter(|o| *o < a.offset).map(|o| (format!("offset {o} was read later"), Some(o)))
        }
        LATEST | EARLIEST => None,
        _ if found && slot.timestamp != a.timestamp => {
            Some((format!("the record there has timestamp {}", slot.timestamp), Some(a.offset)))
        }
        _ if found && not_yet_there(view, part, a.offset, a.at) => {
            Some(("the record there was sent after the answer".into(), Some(a.offset)))
        }
        MAX_TIMESTAMP => {
            let least = if found { slot.timestamp.saturating_add(1) } else { Timestamp::MIN };
            let larger = maxima.first(a.start, a.visible, least).filter(|o| surely_there(view, part, *o, a.called));
            larger.filter(|_| found || a.offset < 0).map(|o| {
                let timestamp = part.table.get(o).timestamp;
                (format!("offset {o}, visible before, has timestamp {timestamp}"), Some(o))
            })
        }
        wanted if a.offset < 0 => {
            let first = maxima.first(a.start, a.visible, wanted)?;
            let timestamp = part.table.get(first).timestamp;
            let there = surely_there(view, part, first, a.called);
            there.then(|| (format!("offset {first}, visible before, has timestamp {timestamp}"), Some(first)))
        }
        wanted if found && slot.timestamp < wanted => {
            Some((format!("the record there has timestamp {}", slot.timestamp), Some(a.offset)))
        }
        wanted => {
            let first = maxima.first(a.start, a.offset, wanted)?;
            let timestamp = part.table.get(first).timestamp;
            Some((format!("offset {first} is lower and has timestamp {timestamp}"), Some(first)))
        }
    }
}

fn report(view: &View<'_>, a: &Answer, (wrong, shown): (String, Option<Offset>), out: &mut Findings) {
    out.violation(a.at, Some(a.tp), 1, || {
        let ledger = view.ledger;
        let asked = match a.query {
            LATEST => "the latest offset".into(),
            EARLIEST => "the earliest offset".into(),
            MAX_TIMESTAMP => "the largest timestamp".into(),
            wanted => format!("the first offset with timestamp {wanted} or later"),
        };
        let record = shown.and_then(|o| ledger.part(a.tp)?.table.get(o).record());
        Tell::new(format!(
            "asked for {asked} of {}, the answer is offset {} (timestamp {}), but {wrong}",
            ledger.name(a.tp),
            a.offset,
            a.timestamp
        ))
        .and(record.into_iter().flat_map(|r| ledger.sending(r)))
        .and(ledger.window(0, a.at))
        .then(format!("{}: client {} asks", time(a.called), a.client))
        .then(format!("{}: offset {} is the answer", time(a.at), a.offset))
    });
}

impl Invariant for ListOffsets {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let Kind::Return { outcome: Outcome::Ok, reply: Reply::Listed { offset, timestamp }, .. } = event.kind else {
            return;
        };
        let Some(open) = view.ledger.current().ended else { return };
        let Call::ListOffsets { tp, query } = open.call else { return };
        let Some(part) = view.ledger.part(tp) else { return };
        let visible = if view.rules.contract.clustered() { 0 } else { open.bounds.visible };
        let start = part.now().start;
        let (client, called, at) = (open.client, open.called, event.at);
        let answer = Answer { tp, query, offset, timestamp, client, called, at, visible, start };
        self.answered(&open, answer, part, view, out);
    }

    fn end(&mut self, view: &View<'_>, out: &mut Findings) {
        // The ends of logs are asked for in every run, by whoever reads them; times only by who is there for it.
        if view.rules.by_time && self.by_time == 0 {
            out.vacuous(view.at, None, || Tell::new("no look-up by time could be judged"));
        }
        self.answers.sort_by_key(|a| a.tp);
        for answers in self.answers.chunk_by(|a, b| a.tp == b.tp) {
            let Some(part) = view.ledger.part(answers[0].tp) else { continue };
            let maxima = Maxima::of(&part.table);
            let power = Lows::of(part.cuts().filter(|cut| cut.power).map(|cut| (cut.until, cut.kept)));
            for answer in answers {
                let start = if part.logs.is_empty() { part.legal_start(&view.rules.contract) } else { answer.start };
                let answer = &Answer { start, ..*answer };
                // Offsets that a later power loss has cut may hold other records by now.
                let known = power
                    .since(answer.called.saturating_add(1))
                    .is_none_or(|kept| answer.offset.max(answer.visible) <= kept);
                if let Some(wrong) = known.then(|| judge(view, part, &maxima, answer)).flatten() {
                    report(view, answer, wrong, out);
                }
            }
        }
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{TP, Tale};
    use crate::contract::Contract;
    use crate::history::{Call, Outcome, Reply};
    use crate::verdict::Verdict;

    /// Three records with timestamps 0, 10, 20 at offsets 0, 1, 2; then this question gets this answer.
    fn asked(query: i64, offset: i64, timestamp: i64) -> Tale {
        let mut tale = Tale::new(Contract::default());
        tale.sent(3);
        let op = tale.call(1, Call::ListOffsets { tp: TP, query });
        tale.returns(op, Outcome::Ok, Reply::Listed { offset, timestamp });
        let op = tale.send(3);
        tale.ack(op, 3).final_read(&[(0, 0), (1, 1), (2, 2), (3, 3)]);
        tale
    }

    #[test]
    fn right_answers() {
        for (query, offset, timestamp) in
            [(-1, 3, -1), (-2, 0, -1), (-3, 2, 20), (0, 0, 0), (5, 1, 10), (10, 1, 10), (20, 2, 20), (21, -1, -1)]
        {
            asked(query, offset, timestamp).holds("B20");
        }
    }

    #[test]
    fn wrong_answers() {
        for (query, offset, timestamp) in [
            (-1, 2, -1),  // stale
            (-1, 4, -1),  // ahead
            (-3, 1, 10),  // not the largest
            (-3, 2, 15),  // not its timestamp
            (-3, -1, -1), // there is one
            (5, 0, 0),    // too early
            (5, 2, 20),   // not the first
            (20, -1, -1), // there is one
            (25, 3, 30),  // sent after the answer
        ] {
            asked(query, offset, timestamp).breaks("B20", 1);
        }
    }

    #[test]
    fn the_earliest_offset_is_the_log_start() {
        let mut tale = Tale::new(Contract::default());
        tale.sent(2).marks(1, 2, 2);
        let op = tale.call(1, Call::ListOffsets { tp: TP, query: -2 });
        tale.returns(op, Outcome::Ok, Reply::Listed { offset: 0, timestamp: -1 });
        tale.breaks("B20", 1);
    }

    #[test]
    fn where_times_are_looked_up_the_ends_of_logs_are_no_evidence() {
        for (query, offset, timestamp, verdict) in
            [(-1, 3, -1, Verdict::Vacuous), (-3, 2, 20, Verdict::Vacuous), (5, 1, 10, Verdict::Pass)]
        {
            let mut tale = asked(query, offset, timestamp);
            tale.rules.by_time = true;
            assert_eq!(tale.check("B20").verdict, verdict, "query {query}");
        }
    }
}
