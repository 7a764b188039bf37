//! Which member of a group owned which partition, from when to when.

use std::collections::BTreeMap;

use harness::history::{Event, GroupStep, Kind, TpId};
use harness::invariant::members::Members;
use serde_json::{Value, json};

use super::history;
use super::run::seconds;
use crate::chart::{self, Lane, Span};
use crate::document::{Column, Row, Section, Table};
use crate::text;

/// Rows of the table at most.
const MOST: usize = 2000;

/// From when to when, in nanoseconds of world time, and whose.
type Turn = (u64, u64, u32);

/// A fold over events. Owners are who say so of themselves.
pub(super) struct Owners {
    partitions: Vec<String>,
    members: Members,
    /// Since when.
    held: BTreeMap<(u32, TpId, u32), u64>,
    /// By group and partition.
    spans: BTreeMap<(u32, TpId), Vec<Turn>>,
}

impl Owners {
    pub(super) fn new(partitions: Vec<String>) -> Self {
        Self { partitions, members: Members::default(), held: BTreeMap::new(), spans: BTreeMap::new() }
    }

    pub(super) fn see(&mut self, event: &Event) {
        self.members.see(event);
        let client = match &event.kind {
            // It changes nobody's hands.
            Kind::Group(step) if matches!(step.what, GroupStep::Processed { .. }) => return,
            Kind::Group(step) => step.client,
            Kind::Call { client, .. } => *client,
            _ => match history::gone(event) {
                Some(client) => client,
                None => return,
            },
        };
        let Some(member) = self.members.get(client) else { return };
        for tp in member.held.keys() {
            self.held.entry((member.group, *tp, client)).or_insert(event.at);
        }
        let lost = |(_, tp, of): &(u32, TpId, u32)| *of == client && !member.held.contains_key(tp);
        let ended: Vec<_> = self.held.keys().filter(|key| lost(key)).copied().collect();
        ended.into_iter().for_each(|key| self.close(key, event.at));
    }

    pub(super) fn end(&mut self, until: u64) {
        let open: Vec<_> = self.held.keys().copied().collect();
        open.into_iter().for_each(|key| self.close(key, until));
        self.spans.values_mut().for_each(|spans| spans.sort_unstable());
    }

    fn close(&mut self, key: (u32, TpId, u32), at: u64) {
        let (group, tp, client) = key;
        if let Some(from) = self.held.remove(&key) {
            self.spans.entry((group, tp)).or_default().push((from, at, client));
        }
    }

    fn name(&self, group: u32, tp: TpId) -> String {
        let partition = self.partitions.get(tp.0 as usize).cloned().unwrap_or_else(|| format!("partition {}", tp.0));
        if self.spans.keys().any(|(other, _)| *other != self.spans.keys().next().map_or(0, |(first, _)| *first)) {
            format!("group-{group} {partition}")
        } else {
            partition
        }
    }

    /// Nothing if there are no groups.
    pub(super) fn section(&self) -> Option<Section> {
        let until = self.spans.values().flatten().map(|(_, to, _)| *to).max()?;
        let mut clients: Vec<u32> = self.spans.values().flatten().map(|(_, _, client)| *client).collect();
        clients.sort_unstable();
        clients.dedup();
        let number = |client: &u32| clients.iter().position(|one| one == client).unwrap_or(0);
        let span = |(from, to, client): &Turn| Span {
            from: seconds(*from),
            to: seconds(*to),
            says: letters(number(client)),
            kind: number(client),
        };
        let lane = |((group, tp), spans): (&(u32, TpId), &Vec<_>)| Lane {
            name: self.name(*group, *tp),
            spans: spans.iter().map(span).collect(),
        };
        let lanes: Vec<Lane> = self.spans.iter().map(lane).collect();
        let chart = chart::lanes(&lanes, seconds(until)).unwrap_or_default();
        let mut rows = Vec::new();
        for ((group, tp), spans) in &self.spans {
            let name = self.name(*group, *tp);
            rows.extend(spans.iter().map(|(from, to, client)| {
                Row::new([
                    name.clone(),
                    text::seconds(*from),
                    text::seconds(*to),
                    format!("{}, client {client}", letters(number(client))),
                ])
            }));
        }
        let all = rows.len();
        rows.truncate(MOST);
        let cut = if all > MOST { format!(" The table has the first {MOST} of {all}.") } else { String::new() };
        let called: Vec<String> =
            clients.iter().enumerate().map(|(n, client)| format!("{} is client {client}", letters(n))).collect();
        let note = format!(
            "{} came to owners {} times, by the owners' own account. {}.{cut}",
            text::plural(self.spans.len() as u64, "partition", "partitions"),
            text::count(all as u64),
            called.join(", ")
        );
        let columns = vec![
            Column::words("partition"),
            Column::numbers("from s"),
            Column::numbers("to s"),
            Column::words("owner"),
        ];
        let says = "A lane for each partition; in it the letter of the client that owns it. A gap is time in which it is nobody's. Colours repeat.";
        Some(Section::part("Who owned which partition", note, Table::new(columns, rows)).drawn(chart, says))
    }

    /// The same for machines.
    pub(super) fn spans(&self) -> Value {
        let all = self.spans.iter().flat_map(|((group, tp), spans)| {
            spans.iter().map(move |(from, to, client)| {
                json!({ "group": group, "partition": tp.0, "client": client, "from_s": seconds(*from), "to_s": seconds(*to) })
            })
        });
        all.collect()
    }
}

/// A, B, ... Z, AA, AB, ...
fn letters(number: usize) -> String {
    let last = (b'A'..=b'Z').nth(number % 26).map_or('?', char::from);
    let before = if number < 26 { String::new() } else { letters(number / 26 - 1) };
    before + &last.to_string()
}

#[cfg(test)]
mod tests {
    use harness::history::GroupEvent;

    use super::*;

    #[test]
    fn letters_never_end() {
        assert_eq!([0, 25, 26, 51, 52, 702].map(letters), ["A", "Z", "AA", "AZ", "BA", "AAA"]);
    }

    #[test]
    fn a_partition_is_a_members_until_it_gives_it_up_or_is_gone() {
        let mut owners = Owners::new(vec!["a-0".into(), "a-1".into()]);
        let step = |client, what| Kind::Group(GroupEvent { client, incarnation: 0, group: 0, generation: 1, what });
        let (zero, one) = (TpId(0), TpId(1));
        let events = [
            (1, step(5, GroupStep::Assigned { tp: zero, position: 0 })),
            (2, step(5, GroupStep::Assigned { tp: one, position: 0 })),
            (3, step(5, GroupStep::Processed { tp: one, position: 9 })),
            (4, step(5, GroupStep::Revoked { tp: one })),
            (5, step(6, GroupStep::Assigned { tp: one, position: 9 })),
            (7, Kind::Quit { client: 5, incarnation: 0 }),
        ];
        events.into_iter().for_each(|(at, kind)| owners.see(&Event { at, kind }));
        owners.end(9);
        let all: Vec<_> = owners.spans.into_iter().collect();
        assert_eq!(all, [((0, zero), vec![(1, 7, 5)]), ((0, one), vec![(2, 4, 5), (5, 9, 6)])]);
    }
}
