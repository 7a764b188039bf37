//! Where to begin a partition that was assigned: where the group left off, or else where the policy says.
//!
//! The search goes on while polls come and go: a poll that is short must not cut a request short, which would end its
//! connection.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use broker::env::{Env, Mono};
use broker::ids::{LeaderEpoch, Offset, TopicPartition};

use super::consumer::{Got, GroupConsumer};
use super::keeper::Keeper;
use super::watch::Step;
use crate::client::admin::{EARLIEST, LATEST};
use crate::client::consumer::{OutOfRange, Polled, Position};
use crate::client::outcome::NO_OFFSET;
use crate::client::{CallError, Client};
use crate::history::event::Outcome;

/// One search at a time, and what it found.
#[derive(Default)]
pub(super) struct Search {
    is_on: Cell<bool>,
    found: RefCell<BTreeMap<TopicPartition, Found>>,
}

/// Of one partition.
struct Found {
    /// The generation in which it was assigned.
    generation: i32,
    place: Result<Place, CallError>,
}

/// Where to begin: the next offset to read, the epoch of the record before it (-1 if unknown), and whether the group has
/// committed that.
#[derive(Clone, Copy)]
struct Place {
    position: Offset,
    epoch: LeaderEpoch,
    is_committed: bool,
}

impl<E: Env> GroupConsumer<E> {
    /// Begins what was found, and sees to it that the rest is searched for.
    pub(super) async fn place(&self) -> Option<Got> {
        let (mut placed, mut stuck) = (BTreeMap::new(), Vec::new());
        let found = self.search.found.take();
        for (tp, found) in found {
            let wanted = self.unplaced.borrow().get(&tp) == Some(&found.generation);
            if !wanted || self.is_going(&tp) || !self.keeper.owned().contains(&tp) {
                continue;
            }
            match found.place {
                Ok(place) => {
                    self.begin(&tp, place).await;
                    placed.insert(tp, place.position);
                }
                Err(error) => stuck.push(without_place(tp, error)),
            }
        }
        self.search_on();
        if !placed.is_empty() {
            return Some(Got::Assigned(self.keeper.generation(), placed));
        }
        (!stuck.is_empty()).then_some(Got::Records(stuck))
    }

    async fn begin(&self, tp: &TopicPartition, Place { position, epoch, is_committed }: Place) {
        // An offset needs no look-up, so that this cannot fail.
        let _ = self.reader.assign(tp.clone(), Position::After(position, epoch), self.soon()).await;
        self.unplaced.borrow_mut().remove(tp);
        self.places.borrow_mut().begin(tp.clone(), position, if is_committed { position } else { -1 });
        self.keeper.note(self.keeper.generation(), Step::Assigned(tp.clone(), position));
    }

    fn search_on(&self) {
        let wanted = self.unplaced.borrow().clone();
        if wanted.is_empty() || self.search.is_on.replace(true) {
            return;
        }
        let (keeper, search, deadline) = (self.keeper.clone(), self.search.clone(), self.soon());
        self.keeper.client.env().spawn("group offsets", async move {
            let found = find(&keeper, wanted, deadline).await;
            *search.found.borrow_mut() = found;
            search.is_on.set(false);
            keeper.came.raise();
        });
    }
}

/// Where to begin each of `wanted`. What only takes longer is left out, and searched for again.
async fn find<E: Env>(
    keeper: &Rc<Keeper<E>>,
    wanted: BTreeMap<TopicPartition, i32>,
    deadline: Mono,
) -> BTreeMap<TopicPartition, Found> {
    let partitions: BTreeSet<_> = wanted.keys().cloned().collect();
    let committed = keeper.committed(&partitions, deadline).await;
    let mut found = BTreeMap::new();
    for (tp, generation) in wanted {
        let place = match &committed {
            Ok(committed) => match committed.get(&tp) {
                Some((position, epoch)) if *position >= 0 => {
                    Ok(Place { position: *position, epoch: *epoch, is_committed: true })
                }
                _ => start(&keeper.client, &tp, keeper.config.fetch.out_of_range, deadline).await,
            },
            Err(error) => Err(*error),
        };
        if place.is_ok() || keeper.client.env().now() < deadline {
            found.insert(tp, Found { generation, place });
        }
    }
    found
}

/// Where nothing is committed.
async fn start<E: Env>(
    client: &Client<E>,
    tp: &TopicPartition,
    policy: OutOfRange,
    deadline: Mono,
) -> Result<Place, CallError> {
    let query = match policy {
        OutOfRange::Earliest => EARLIEST,
        OutOfRange::Latest => LATEST,
        OutOfRange::Error => return Err(CallError { outcome: Outcome::Fail, code: NO_OFFSET }),
    };
    let position = client.list_offsets(tp, query, deadline).await?.offset;
    Ok(Place { position, epoch: -1, is_committed: false })
}

/// Word that a partition cannot be begun.
fn without_place(tp: TopicPartition, error: CallError) -> Polled {
    let error = Some(error);
    Polled { tp, from: -1, records: Vec::new(), position: -1, epoch: -1, high: -1, log_start: -1, error, reset: false }
}
