//! Which record is at which offset of one partition, as clients saw it: pages of slots, so that memory follows the
//! records and not the offsets.

use std::collections::BTreeMap;

use broker::ids::{Offset, Timestamp};

/// Slots of one page.
const PAGE: i64 = 64;

/// What was seen at one offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The record's timestamp as delivered.
    pub timestamp: Timestamp,
    /// The stream it belongs to: [`Slot::EMPTY`], [`Slot::FOREIGN`], or a stream's number.
    pub stream: u32,
    /// Its sequence in the stream.
    pub seq: u32,
    /// Its checksum as delivered.
    pub checksum: u32,
    /// Whether the final read delivered it.
    pub last: bool,
}

impl Slot {
    /// Nothing was seen here.
    pub const EMPTY: u32 = u32::MAX;
    /// A record that nobody in this run has sent.
    pub const FOREIGN: u32 = u32::MAX - 1;
    /// An empty slot.
    pub const NONE: Slot = Slot { timestamp: -1, stream: Self::EMPTY, seq: 0, checksum: 0, last: false };

    /// Whether something was seen.
    pub fn is_some(&self) -> bool {
        self.stream != Self::EMPTY
    }

    /// Whether both hold the same record (foreign ones are told apart by their checksum).
    pub fn same(&self, other: &Slot) -> bool {
        let content = self.stream != Self::FOREIGN || self.checksum == other.checksum;
        self.stream == other.stream && self.seq == other.seq && content
    }

    /// The record's stream and sequence, if it is one that was sent in this run.
    pub fn record(&self) -> Option<(u32, u32)> {
        (self.stream < Self::FOREIGN).then_some((self.stream, self.seq))
    }
}

type Page = Box<[Slot; PAGE as usize]>;

/// Offsets to slots.
#[derive(Debug, Default)]
pub struct Table {
    pages: Vec<Page>,
    /// Page number to place in `pages`.
    places: BTreeMap<i64, usize>,
    /// The page touched last, and its place: most touches are next to each other.
    near: Option<(i64, usize)>,
}

impl Table {
    /// What was seen at `offset`.
    pub fn get(&self, offset: Offset) -> Slot {
        let page = offset.div_euclid(PAGE);
        let place = match self.near {
            Some((near, place)) if near == page => Some(place),
            _ => self.places.get(&page).copied(),
        };
        place.map_or(Slot::NONE, |p| self.pages[p][Self::within(offset)])
    }

    /// The slot at `offset`, to be changed.
    pub fn slot(&mut self, offset: Offset) -> &mut Slot {
        let page = offset.div_euclid(PAGE);
        let place = match self.near {
            Some((near, place)) if near == page => place,
            _ => *self.places.entry(page).or_insert_with(|| {
                self.pages.push(Box::new([Slot::NONE; PAGE as usize]));
                self.pages.len() - 1
            }),
        };
        self.near = Some((page, place));
        &mut self.pages[place][Self::within(offset)]
    }

    /// Everything seen, by ascending offset.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Offset, &Slot)> {
        self.places.iter().flat_map(|(page, place)| {
            let numbered = self.pages[*place].iter().enumerate();
            numbered.filter(|(_, s)| s.is_some()).map(move |(n, s)| (page * PAGE + n as i64, s))
        })
    }

    /// Everything seen at `from` or above, by ascending offset.
    pub fn from(&self, from: Offset) -> impl Iterator<Item = (Offset, &Slot)> {
        let pages = self.places.range(from.div_euclid(PAGE)..);
        let slots = pages.flat_map(|(page, place)| {
            let numbered = self.pages[*place].iter().enumerate();
            numbered.filter(|(_, s)| s.is_some()).map(move |(n, s)| (page * PAGE + n as i64, s))
        });
        slots.skip_while(move |(offset, _)| *offset < from)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn within(offset: Offset) -> usize {
        usize::try_from(offset.rem_euclid(PAGE)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn behaves_as_a_map(steps in proptest::collection::vec((0i64..40, 0i64..200, 0u32..9), 0..300)) {
            let (mut model, mut table) = (BTreeMap::new(), Table::default());
            for (far, near, seq) in steps {
                let offset = far * 1_000_000 + near;
                let slot = Slot { seq, stream: 1, ..Slot::NONE };
                model.insert(offset, slot);
                *table.slot(offset) = slot;
                proptest::prop_assert_eq!(table.get(offset + 1), model.get(&(offset + 1)).copied().unwrap_or(Slot::NONE));
            }
            let all: Vec<_> = table.iter().map(|(o, s)| (o, *s)).collect();
            proptest::prop_assert_eq!(&all, &model.iter().map(|(o, s)| (*o, *s)).collect::<Vec<_>>());
            let some: Vec<_> = table.from(7_000_100).map(|(o, s)| (o, *s)).collect();
            proptest::prop_assert_eq!(some, model.range(7_000_100..).map(|(o, s)| (*o, *s)).collect::<Vec<_>>());
        }
    }
}
