//! Throughput, latency and lag over a history.

use std::collections::BTreeMap;

use broker::ids::Offset;
use harness::history::{Call, Event, Kind, Outcome, Reply, TpId};
use serde_json::{Value, json};

use super::history;
use super::run::seconds;
use crate::chart::{self, Band, Line, Panel};
use crate::document::{Column, Row, Section, Table};
use crate::text;

/// Pieces that a history's time is cut into.
const PIECES: u64 = 120;

/// A piece of time.
#[derive(Clone, Debug, Default)]
struct Piece {
    acked: u64,
    delivered: u64,
    /// Nanoseconds from the call to the acknowledgement of each record.
    waits: Vec<u64>,
    /// Records acknowledged and not handed to any consumer, at its end.
    behind: u64,
}

/// A send that has not returned.
struct Open {
    at: u64,
    client: u32,
    tp: TpId,
}

/// A fold over events.
pub(super) struct Tide {
    /// Nanoseconds of a piece.
    each: u64,
    pieces: Vec<Piece>,
    now: Piece,
    open: BTreeMap<u64, Open>,
    /// One past the last offset acknowledged, and one past the last that a consumer was handed.
    parts: BTreeMap<TpId, (Offset, Offset)>,
    read: bool,
}

impl Tide {
    pub(super) fn new(until: u64) -> Self {
        let (pieces, now) = (Vec::new(), Piece::default());
        Self { each: (until / PIECES).max(1), pieces, now, open: BTreeMap::new(), parts: BTreeMap::new(), read: false }
    }

    pub(super) fn see(&mut self, event: &Event) {
        while event.at >= self.each * (self.pieces.len() as u64 + 1) {
            self.next();
        }
        if let Some(client) = history::gone(event) {
            self.open.retain(|_, open| open.client != client);
        }
        match &event.kind {
            Kind::Call { op, client, call: Call::Send { tp, .. }, .. } => {
                self.open.insert(*op, Open { at: event.at, client: *client, tp: *tp });
            }
            Kind::Return { op, outcome, reply, .. } => {
                let Some(open) = self.open.remove(op) else { return };
                if let (Outcome::Ok, Reply::Sent { offset }) = (outcome, reply) {
                    self.now.acked += 1;
                    self.now.waits.push(event.at - open.at);
                    let end = &mut self.parts.entry(open.tp).or_default().0;
                    *end = (*end).max(offset + 1);
                }
            }
            // The final read is the judge's own.
            Kind::Deliver(record) if !record.last => {
                self.read = true;
                self.now.delivered += 1;
                let handed = &mut self.parts.entry(record.tp).or_default().1;
                *handed = (*handed).max(record.offset + 1);
            }
            _ => {}
        }
    }

    pub(super) fn end(&mut self) {
        self.next();
    }

    fn next(&mut self) {
        let mut piece = std::mem::take(&mut self.now);
        piece.waits.sort_unstable();
        let behind: Offset = self.parts.values().map(|(end, handed)| (end - handed).max(0)).sum();
        piece.behind = u64::try_from(behind).unwrap_or(0);
        self.pieces.push(piece);
    }

    /// Where the piece of that number begins, in seconds.
    fn from(&self, at: usize) -> f64 {
        seconds(self.each * at as u64)
    }

    fn rate(&self, count: u64) -> f64 {
        count as f64 / seconds(self.each)
    }

    pub(super) fn section(&self, bands: &[Band]) -> Section {
        let line = |name: &str, of: &dyn Fn(&Piece) -> Option<f64>| {
            let middle = |at: usize| self.from(at) + seconds(self.each) / 2.0;
            let points = self.pieces.iter().enumerate().map(|(at, piece)| (middle(at), of(piece))).collect();
            Line { name: name.into(), points }
        };
        let panel = |title: &str, lines| Panel::new(title, lines);
        let mut panels = vec![
            panel(
                "records/s",
                vec![
                    line("acknowledged", &|piece| Some(self.rate(piece.acked))),
                    line("delivered", &|piece| Some(self.rate(piece.delivered))),
                ],
            ),
            panel(
                "ms to the acknowledgement",
                vec![line("median", &|piece| millis(&piece.waits, 50)), line("p99", &|piece| millis(&piece.waits, 99))],
            ),
        ];
        if self.read {
            panels.push(panel(
                "lag: records acknowledged, handed to nobody yet",
                vec![line("", &|piece| Some(piece.behind as f64))],
            ));
        }
        let until = self.from(self.pieces.len());
        let chart = chart::panels(&panels, bands, until, chart::seconds).unwrap_or_default();
        let says = "Throughput, latency and lag on virtual time; bands are strikes, from when they struck until they were cured. A \
                    line is broken where nothing was acknowledged.";
        let note = format!(
            "In pieces of {:.0} ms. Most behind: {} records. Which strike is which stands above.",
            seconds(self.each) * 1e3,
            text::count(self.pieces.iter().map(|piece| piece.behind).max().unwrap_or(0))
        );
        Section::part("Throughput, latency and lag", note, self.table()).drawn(chart, says)
    }

    fn table(&self) -> Table {
        let millis = |piece: &Piece, percent| millis(&piece.waits, percent).map_or("-".into(), |ms| format!("{ms:.1}"));
        let row = |(at, piece): (usize, &Piece)| {
            let lag = if self.read { text::count(piece.behind) } else { String::new() };
            Row::new([
                format!("{:.2}", self.from(at)),
                format!("{:.0}", self.rate(piece.acked)),
                format!("{:.0}", self.rate(piece.delivered)),
                millis(piece, 50),
                millis(piece, 99),
                lag,
            ])
        };
        let columns = vec![
            Column::words("from s"),
            Column::numbers("acknowledged/s"),
            Column::numbers("delivered/s"),
            Column::numbers("median ms"),
            Column::numbers("p99 ms"),
            Column::numbers("lag"),
        ];
        Table::new(columns, self.pieces.iter().enumerate().map(row).collect())
    }

    /// The same for machines.
    pub(super) fn rows(&self) -> Value {
        let row = |(at, piece): (usize, &Piece)| {
            json!({
                "from_s": self.from(at), "acked": piece.acked, "delivered": piece.delivered,
                "p50_ms": millis(&piece.waits, 50), "p99_ms": millis(&piece.waits, 99), "lag": piece.behind,
            })
        };
        self.pieces.iter().enumerate().map(row).collect()
    }
}

/// The value that so many percent do not exceed, in milliseconds.
fn millis(sorted: &[u64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map(|ns| *ns as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use harness::history::synth::{Shape, Synth};
    use harness::history::{Delivery, RecordId};

    use super::*;

    #[test]
    fn every_acknowledgement_and_delivery_is_in_one_piece() {
        let events: Vec<Event> = Synth::new(Shape::default(), 4).collect();
        let until = events.last().map_or(0, |event| event.at);
        let mut tide = Tide::new(until);
        events.iter().for_each(|event| tide.see(event));
        tide.end();
        let handed = events.iter().filter(|e| matches!(&e.kind, Kind::Deliver(record) if !record.last)).count();
        let sum = |of: fn(&Piece) -> u64| tide.pieces.iter().map(of).sum::<u64>();
        assert_eq!(sum(|piece| piece.delivered), handed as u64);
        assert!(sum(|piece| piece.acked) > 0);
        assert!(tide.pieces.len() as u64 <= PIECES + 2, "{}", tide.pieces.len());
    }

    #[test]
    fn lag_is_what_nobody_was_handed_and_latency_what_a_send_took() {
        let mut tide = Tide::new(PIECES * 1_000_000);
        let (tp, id) = (TpId(0), RecordId { producer: 0, incarnation: 0, seq: 0 });
        let mut see = |at: u64, kind| tide.see(&Event { at: at * 1_000_000, kind });
        let call = Call::Send { tp, id, checksum: 0, timestamp: 0, acks: -1 };
        see(0, Kind::Call { op: 1, client: 7, incarnation: 0, call });
        see(2, Kind::Return { op: 1, outcome: Outcome::Ok, code: 0, reply: Reply::Sent { offset: 4 } });
        let record = |last| Delivery {
            op: 2,
            client: 8,
            tp,
            offset: 1,
            id: Some(id),
            checksum: 0,
            timestamp: 0,
            epoch: 0,
            last,
        };
        see(3, Kind::Deliver(record(false)));
        see(4, Kind::Deliver(Delivery { offset: 4, ..record(true) }));
        see(5, Kind::Call { op: 3, client: 7, incarnation: 0, call });
        see(6, Kind::Quit { client: 7, incarnation: 0 });
        tide.end();
        let behind: Vec<u64> = tide.pieces.iter().map(|piece| piece.behind).collect();
        assert_eq!(behind, [0, 0, 5, 3, 3, 3, 3]);
        assert_eq!((tide.pieces[2].waits.clone(), tide.open.len()), (vec![2_000_000], 0));
        assert_eq!(millis(&tide.pieces[2].waits, 99), Some(2.0));
    }
}
