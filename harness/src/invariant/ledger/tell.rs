//! How what the ledger knows is told to a person.

use super::{Fate, Ledger};
use crate::history::TpId;

/// World time as a person reads it: seconds with three decimals.
pub fn time(ns: u64) -> String {
    format!("{}.{:03} s", ns / 1_000_000_000, ns / 1_000_000 % 1000)
}

impl Ledger {
    /// The partition's name.
    pub fn name(&self, tp: TpId) -> &str {
        self.names.get(tp.0 as usize).map_or("an unknown partition", String::as_str)
    }

    /// A record, as `record 17 of producer 2`, with the incarnation where there is more than one.
    pub fn who(&self, (stream, seq): (u32, u32)) -> String {
        let Some(s) = self.stream_at(stream) else { return "a record that nobody has sent".into() };
        let life = if s.incarnation == 0 { String::new() } else { format!(" (life {})", s.incarnation) };
        format!("record {seq} of producer {}{life}", s.producer)
    }

    /// What became of a record's sending, in one or two lines.
    pub fn sending(&self, record: (u32, u32)) -> Vec<String> {
        let Some((send, stream)) = self.record(record).zip(self.stream_at(record.0)) else { return Vec::new() };
        let mut lines = vec![format!(
            "{}: {} is sent to {} with acks={}",
            time(send.called),
            self.who(record),
            self.name(stream.tp),
            send.acks
        )];
        let returned = |what: String| format!("{}: {what}", time(send.returned));
        lines.extend(match send.fate {
            Fate::Ok if send.offset >= 0 => Some(returned(format!("acknowledged at offset {}", send.offset))),
            Fate::Ok => Some(returned("handed to the network; no acknowledgement was asked for".into())),
            Fate::Fail => Some(returned("reported as surely not written".into())),
            Fate::Info => Some(returned("ended without an answer that settles it".into())),
            Fate::Open | Fate::Absent => None,
        });
        lines
    }

    /// The fault window of a moment: what struck between `from` and `to`, else what struck last before.
    pub fn window(&self, from: u64, to: u64) -> Vec<String> {
        let line = |s: &super::StrikeNote| {
            let healed = s.healed.map_or(", not cured".into(), |at| format!(", cured at {}", time(at)));
            format!("{}: strike {} {}: {}{healed}", time(s.at), s.id, s.fault, s.on)
        };
        let within = self.strikes.iter().filter(|s| s.at <= to && s.at >= from);
        let lines: Vec<_> = within.take(3).map(line).collect();
        if !lines.is_empty() {
            return lines;
        }
        self.strikes.iter().rev().find(|s| s.at <= to).map(line).into_iter().collect()
    }
}
