//! Judges a history that was recorded before: of a simulated run, or of anyone's clients against any broker. The promises
//! come from its header.

use std::collections::BTreeMap;
use std::io::Read;

use serde::{Deserialize, Serialize};

use crate::history::file::{Header, HistoryError, Reader};
use crate::invariant::Checker;
use crate::invariant::ledger::{Fate, Ledger, StrikeNote};
use crate::plan::{Strike, Target, Trigger};
use crate::report::{RunReport, Struck};
use crate::run::cost::{Counter, thread_cpu_ns};
use crate::run::handoff::Handoffs;
use crate::run::outage::Outages;
use crate::run::trace::Trace;

/// A history judged.
#[derive(Clone, Debug, Serialize)]
pub struct Judged {
    /// As of a run. What a history does not tell of a strike (its trigger, its target) is made up from when it struck.
    #[serde(flatten)]
    pub report: RunReport,
    /// What became of every producer's records, by its number.
    pub producers: Vec<Produced>,
}

/// What became of one producer's records, whatever was promised of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Produced {
    /// Its name in the header, or its number.
    pub name: String,
    /// Records sent.
    pub sent: u64,
    /// Acknowledged by a broker.
    pub acked: u64,
    /// Reported as surely failed.
    pub failed: u64,
    /// Neither: nobody knows, or the call never returned.
    pub unknown: u64,
    /// Acknowledged, and not in the final read.
    pub lost: u64,
    /// Copies in the final read beyond the first of each record.
    pub duplicated: u64,
}

/// Judges the history in `from`. `replay`: the command that does it again.
pub fn judge(from: impl Read, replay: String) -> Result<Judged, HistoryError> {
    let cpu_began = thread_cpu_ns();
    let (header, events) = Reader::new(from)?;
    let mut checker = Checker::new(header.rules());
    let (mut trace, mut counter) = (Trace::default(), Counter::default());
    let (mut outages, mut handoffs) = (Outages::default(), Handoffs::default());
    for event in events {
        let event = event?;
        counter.cost.world_ns = counter.cost.world_ns.max(event.at);
        counter.see(&event);
        trace.see(&event);
        outages.see(&event);
        handoffs.see(&event);
        checker.see(&event);
    }
    let producers = produced(&header, checker.ledger());
    let ledger = checker.ledger();
    let (phases, strikes) = (ledger.phases().to_vec(), ledger.strikes().iter().map(struck).collect());
    let checked = checker.end(counter.cost.world_ns);
    counter.cost.cpu_ns = thread_cpu_ns() - cpu_began;
    let report = RunReport {
        scenario: header.scenario,
        seed: header.seed,
        keep: None,
        planted: None,
        verdict: checked.verdict,
        findings: checked.findings,
        evidence: checked.evidence,
        phases,
        strikes,
        outages: outages.into_table(),
        groups: handoffs.into_table(),
        knobs: Vec::new(),
        partitions: header.partitions,
        cost: counter.cost,
        trace: trace.value(),
        replay,
    };
    Ok(Judged { report, producers })
}

fn struck(note: &StrikeNote) -> Struck {
    let strike = Strike {
        id: note.id,
        trigger: Trigger::At { ms: note.at / 1_000_000 },
        fault: note.fault.clone(),
        target: Target::Broker,
        until: Vec::new(),
        duration_ms: note.healed.map_or(0, |healed| healed.saturating_sub(note.at) / 1_000_000),
        force: 0,
        salt: 0,
    };
    Struck { strike, at: Some(note.at), healed: note.healed, on: note.on.clone() }
}

fn produced(header: &Header, ledger: &Ledger) -> Vec<Produced> {
    let mut all: BTreeMap<u32, Produced> = BTreeMap::new();
    for stream in ledger.streams() {
        let one = all.entry(stream.producer).or_default();
        for send in stream.sends.iter() {
            one.sent += u64::from(send.fate != Fate::Absent);
            one.acked += u64::from(send.acked());
            one.failed += u64::from(send.fate == Fate::Fail);
            one.unknown += u64::from(matches!(send.fate, Fate::Open | Fate::Info));
            one.lost += u64::from(send.acked() && !send.in_final());
        }
    }
    for (_, part) in ledger.parts() {
        let slots = part.table.iter().filter(|(_, slot)| slot.last);
        let mut found: Vec<(u32, u32)> = slots.filter_map(|(_, slot)| slot.record()).collect();
        found.sort_unstable();
        for pair in found.windows(2).filter(|pair| pair[0] == pair[1]) {
            let producer = ledger.stream_at(pair[0].0).map(|stream| stream.producer);
            let one = producer.and_then(|producer| all.get_mut(&producer));
            one.into_iter().for_each(|one| one.duplicated += 1);
        }
    }
    let named = |(number, one): (u32, Produced)| {
        let name = header.producers.get(number as usize).cloned();
        Produced { name: name.unwrap_or_else(|| format!("producer {number}")), ..one }
    };
    all.into_iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Contract;
    use crate::history::{Call, Delivery, Event, Kind, Outcome, Phase, RecordId, Reply, TpId};
    use crate::invariant::Rules;
    use crate::verdict::Verdict;

    const TP: TpId = TpId(0);

    fn id(producer: u32, seq: u64) -> RecordId {
        RecordId { producer, incarnation: 0, seq }
    }

    /// Producer 0 sends two records, the second of which nobody answers, producer 1 one; the final read finds `found`.
    fn history(found: &[RecordId]) -> Vec<u8> {
        let send = |op, id| {
            let call = Call::Send { tp: TP, id, checksum: 7, timestamp: 1, acks: -1 };
            Kind::Call { op, client: id.producer, incarnation: 0, call }
        };
        let ack = |op, offset| Kind::Return { op, outcome: Outcome::Ok, code: 0, reply: Reply::Sent { offset } };
        let end = i64::try_from(found.len()).unwrap();
        let strike = Kind::Strike { strike: 0, fault: "process_crash".into(), on: "b1".into(), minority: true };
        let read = Call::Assign { tp: TP, position: 0, last: true };
        let mut kinds = vec![send(0, id(0, 0)), ack(0, 0), strike, Kind::Heal { strike: 0 }];
        kinds.extend([send(1, id(1, 0)), ack(1, 1), send(2, id(0, 1)), Kind::Quit { client: 0, incarnation: 0 }]);
        kinds.extend([Kind::Phase { phase: Phase::FinalRead }]);
        kinds.push(Kind::Call { op: 3, client: 9, incarnation: 0, call: read });
        kinds.push(Kind::Return { op: 3, outcome: Outcome::Ok, code: 0, reply: Reply::None });
        kinds.push(Kind::Call { op: 4, client: 9, incarnation: 0, call: Call::Poll { tp: TP, position: 0 } });
        kinds.extend((0..).zip(found).map(|(offset, id)| {
            let (id, last) = (Some(*id), true);
            Kind::Deliver(Delivery { op: 4, client: 9, tp: TP, offset, id, checksum: 7, timestamp: 1, epoch: 0, last })
        }));
        let reply = Reply::Polled { records: u32::try_from(found.len()).unwrap(), position: end, high: end };
        kinds.push(Kind::Return { op: 4, outcome: Outcome::Ok, code: 0, reply });
        let contract = Contract { idempotent: true, ..Contract::default() };
        let rules = Rules { white_box: false, least_strikes: 1, ..Rules::new(contract, 1) };
        let header = Header { producers: vec!["first".into()], ..Header::new("live", 3, &rules) };
        let mut lines = serde_json::to_vec(&header).unwrap();
        for event in (1..).zip(kinds).map(|(at, kind)| Event { at: at * 1_000_000, kind }) {
            lines.push(b'\n');
            lines.extend(serde_json::to_vec(&event).unwrap());
        }
        lines.push(b'\n');
        lines
    }

    fn judged(found: &[RecordId]) -> Judged {
        judge(&history(found)[..], "logquake check f".into()).unwrap()
    }

    #[test]
    fn a_sound_history_passes_and_is_counted_by_producer() {
        let judged = judged(&[id(0, 0), id(1, 0)]);
        assert_eq!((judged.report.verdict, &judged.report.findings[..]), (Verdict::Pass, &[][..]));
        let first = Produced { name: "first".into(), sent: 2, acked: 1, unknown: 1, ..Produced::default() };
        let second = Produced { name: "producer 1".into(), sent: 1, acked: 1, ..Produced::default() };
        assert_eq!(judged.producers, [first, second]);
        let report = judged.report;
        assert_eq!((report.strikes.len(), report.strikes[0].healed), (1, Some(4_000_000)));
        assert_eq!((report.phases.len(), report.outages.len(), report.cost.acked), (1, 1, 2));
    }

    #[test]
    fn losses_and_copies_are_counted_and_found() {
        let judged = judged(&[id(0, 0), id(0, 1), id(0, 1)]);
        let counts = judged.producers.iter().map(|one| (one.lost, one.duplicated));
        assert_eq!(counts.collect::<Vec<_>>(), [(0, 1), (1, 0)]);
        assert_eq!(judged.report.verdict, Verdict::Fail);
        for broken in ["B3", "B8"] {
            assert!(judged.report.evidence.iter().any(|e| e.invariant == broken && e.violations == 1), "{broken}");
        }
    }
}
