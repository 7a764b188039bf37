//! Who is a member of which consumer group, in which generation, and what it holds: by its own account, which is all that
//! clients can give. Shared by the invariants of groups; each folds one of its own.

use std::collections::BTreeMap;

use broker::ids::Offset;

use super::{Applies, Kinds, Ledger};
use crate::contract::Contract;
use crate::history::{Call, Event, GroupEvent, GroupStep, Kind, TpId};
use crate::invariant::ledger::time;

/// Promises about what groups have committed are worth something only where what is committed is kept.
pub(super) fn where_kept(contract: &Contract) -> Applies {
    if contract.groups > 0 && contract.committed_is_kept() { Applies::Enforced } else { Applies::No }
}

/// Groups come to rest whatever was lost, but may then wait for records that are gone: counted.
pub(super) fn in_the_end(contract: &Contract) -> Applies {
    match contract.committed_is_kept() {
        _ if contract.groups == 0 => Applies::No,
        true => Applies::Enforced,
        false => Applies::ExpectedLoss,
    }
}

/// Whether the run has groups at all.
pub(super) fn has_groups(contract: &Contract) -> bool {
    contract.groups > 0
}

/// A partition that a member holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Since when, in nanoseconds of world time.
    pub since: u64,
    /// Where it began.
    pub begun: Offset,
    /// The next offset to process.
    pub processed: Offset,
    /// The lowest offset it went back to meanwhile, by a seek or a reset.
    pub reset: Option<Offset>,
    /// The reader has not been sent there yet.
    fresh: bool,
}

/// A client as a member, in its present life.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// Its group's number.
    pub group: u32,
    /// Its life.
    pub incarnation: u16,
    /// The generation it has entered last; -1 if it is in none.
    pub entered: i32,
    /// The generation in which it was told last what to own; -1 if it is in none.
    pub synced: i32,
    /// How many of its heartbeats have been accepted, where each of them is told (KIP-848).
    pub told: u64,
    /// A number of its `group.instance.id`, if it has one.
    pub instance: Option<u32>,
    /// What it holds.
    pub held: BTreeMap<TpId, Hold>,
    /// Whether this life has not ended.
    pub lives: bool,
}

impl Member {
    fn born(group: u32, incarnation: u16) -> Self {
        Self { group, incarnation, entered: -1, synced: -1, lives: true, ..Self::default() }
    }

    fn ends(&mut self) {
        (self.lives, self.entered, self.synced) = (false, -1, -1);
        self.held.clear();
    }

    /// In words, with what it holds.
    pub fn tell(&self, client: u32, ledger: &Ledger) -> String {
        let held: Vec<_> = self.held.iter().map(|(tp, hold)| tell_hold(*tp, hold, ledger)).collect();
        let held = if held.is_empty() { "nothing".into() } else { held.join(", ") };
        let round = match self.entered == self.synced {
            true => format!("generation {}", self.synced),
            false => format!("generation {}, joined, not told yet what to own", self.entered),
        };
        format!("client {client} of group {} is in {round} and holds {held}", self.group)
    }
}

fn tell_hold(tp: TpId, hold: &Hold, ledger: &Ledger) -> String {
    let (name, since) = (ledger.name(tp), time(hold.since));
    format!("{name} since {since} (begun at {}, processed to {})", hold.begun, hold.processed)
}

/// Every client that was ever a member.
#[derive(Debug, Default)]
pub struct Members(BTreeMap<u32, Member>);

impl Members {
    /// What it must be shown.
    pub(crate) const KINDS: Kinds = Kinds::GROUP
        .and(Kinds::QUIT)
        .and(Kinds::ADMIN)
        .and(Kinds::POLL)
        .and(Kinds::ASSIGN)
        .and(Kinds::COMMIT)
        .and(Kinds::FETCH_OFFSET);

    /// Takes an event in.
    pub fn see(&mut self, event: &Event) {
        match event.kind {
            Kind::Group(GroupEvent { what: GroupStep::Rewound { .. }, .. }) => {}
            Kind::Group(step) => self.step(event.at, step),
            Kind::Quit { client, incarnation } => {
                let of = self.0.get_mut(&client).filter(|member| member.incarnation <= incarnation);
                of.into_iter().for_each(Member::ends);
            }
            Kind::Call { client, incarnation, call, .. } => {
                let Some(member) = self.0.get_mut(&client) else { return };
                // A life of which nothing more was heard is over when the next one begins.
                if incarnation > member.incarnation {
                    member.ends();
                }
                if let (Call::Assign { tp, position, last: false }, true) = (call, member.lives) {
                    member.held.get_mut(&tp).into_iter().for_each(|hold| hold.moves(position));
                }
            }
            _ => {}
        }
    }

    fn step(&mut self, at: u64, step: GroupEvent) {
        let GroupEvent { client, incarnation, group, generation, what } = step;
        let member = self.0.entry(client).or_insert_with(|| Member::born(group, incarnation));
        if incarnation < member.incarnation {
            return;
        }
        if incarnation > member.incarnation {
            *member = Member::born(group, incarnation);
        }
        match what {
            GroupStep::Entered { instance, .. } => (member.entered, member.instance) = (generation, instance),
            GroupStep::Synced => member.synced = generation,
            GroupStep::Told => {
                (member.entered, member.synced) = (generation, generation);
                member.told += 1;
            }
            GroupStep::Assigned { tp, position } => drop(member.held.insert(tp, Hold::begins(at, position))),
            GroupStep::Processed { tp, position } => {
                member.held.get_mut(&tp).into_iter().for_each(|hold| hold.processed = position);
            }
            GroupStep::Revoked { tp } => drop(member.held.remove(&tp)),
            GroupStep::Out => (member.entered, member.synced) = (-1, -1),
            // Whoever loses something is in no generation any more.
            GroupStep::Lost { tp } => {
                member.held.remove(&tp);
                (member.entered, member.synced) = (-1, -1);
            }
            GroupStep::Left => member.ends(),
            GroupStep::Rewound { .. } => {}
        }
    }

    /// A client, if it was ever a member.
    pub fn get(&self, client: u32) -> Option<&Member> {
        self.0.get(&client)
    }

    /// The living members of a group, by client number.
    pub fn of(&self, group: u32) -> impl Iterator<Item = (u32, &Member)> {
        let of = self.0.iter().filter(move |(_, member)| member.group == group && member.lives);
        of.map(|(client, member)| (*client, member))
    }

    /// Whether a group is at rest as far as `partitions` go: each is held by one member, and all who hold anything are in
    /// one generation and know what they own in it.
    pub fn is_settled(&self, group: u32, mut partitions: impl Iterator<Item = TpId>) -> bool {
        let owners = |tp: TpId| self.of(group).filter(move |(_, member)| member.held.contains_key(&tp)).count();
        self.is_of_one_generation(group) && partitions.all(|tp| owners(tp) == 1)
    }

    /// Whether all who hold anything are in one generation and know what they own in it.
    pub fn is_of_one_generation(&self, group: u32) -> bool {
        let mut owners = self.of(group).filter(|(_, member)| !member.held.is_empty()).map(|(_, member)| member);
        let Some(first) = owners.next() else { return true };
        first.entered == first.synced
            && owners.all(|other| (other.entered, other.synced) == (first.entered, first.synced))
    }

    /// How many clients were ever members of a group.
    pub fn ever(&self, group: u32) -> usize {
        self.0.values().filter(|member| member.group == group).count()
    }

    /// The living members of a group in words.
    pub fn tell<'a>(&'a self, group: u32, ledger: &'a Ledger) -> impl Iterator<Item = String> + 'a {
        self.of(group).map(|(client, member)| member.tell(client, ledger))
    }
}

impl Hold {
    fn begins(since: u64, position: Offset) -> Self {
        Self { since, begun: position, processed: position, reset: None, fresh: true }
    }

    /// The reader goes to `position`: where it was assigned, at first; after that by a seek or a reset.
    fn moves(&mut self, position: Offset) {
        if std::mem::take(&mut self.fresh) && position == self.begun {
            return;
        }
        self.processed = position;
        self.reset = Some(self.reset.map_or(position, |lowest| lowest.min(position)));
    }
}
