//! The decisions of an application that tries again: what is done, what waits for another attempt, what is given up.
//!
//! Every step is a transaction on the application's database and decides by what is there, so that it decides the same after
//! a crash as before it. An event of a key of which an earlier one waits goes to wait behind it. What it came from is
//! committed when it is on disk that it waits, and acknowledged that the retry topic has it: whatever happens before, it is
//! met again, and a second copy is known for what it is.

use broker::planted::{Defect, planted};
use harness::history::Origin;
use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::books::{self, Key};
use super::store::Result;

/// Attempts at one event, at most.
pub(super) const MOST_ATTEMPTS: u32 = 4;

/// What to do next about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Handle it, after so many attempts that failed.
    Handle(u32),
    /// It is done, and that is row so many of the ledger.
    Done(u64),
    /// Send it to the retry topic.
    Wait,
    /// Send it to the dead-letter topic.
    Bury,
    /// Nothing: it is settled, or its turn comes elsewhere.
    Drop,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It succeeded.
    Done,
    /// It failed, as the next one may not; or it took too long.
    Failed,
    /// It failed as every one will.
    Hopeless,
}

/// What becomes of an event that was not done at once. Of what is done the books know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It waits for its next attempt.
    Waits,
    /// It waits, having been given up before.
    Redriven,
    /// It is given up; that the dead-letter topic has it is not known.
    Dying,
    /// It is given up, and the dead-letter topic has it.
    Buried,
}

impl Fate {
    const ALL: [Fate; 4] = [Fate::Waits, Fate::Redriven, Fate::Dying, Fate::Buried];
}

/// An event's fate, as a place in [`Fate::ALL`]; where it was met first; and how many attempts at it have failed.
const FATES: TableDefinition<'_, Key, (u8, i64, Option<u32>, u32)> = TableDefinition::new("fates");
/// Events that others of their key wait for, by partition, key and offset: in the order in which each key's have their turns.
const WAITING: TableDefinition<'_, (u32, Option<u32>, i64), ()> = TableDefinition::new("waiting");

/// What is known of an event that was not done at once.
struct Known {
    fate: Fate,
    of: Origin,
    attempts: u32,
}

fn known(txn: &WriteTransaction, of: Origin) -> Result<Option<Known>> {
    let row = txn.open_table(FATES)?.get(books::key(of))?.map(|row| row.value());
    Ok(row.map(|(fate, offset, key, attempts)| {
        let fate = Fate::ALL.get(usize::from(fate)).copied().unwrap_or(Fate::Waits);
        Known { fate, of: Origin { offset, key, ..of }, attempts }
    }))
}

fn set(txn: &WriteTransaction, of: Origin, fate: Fate, attempts: u32) -> Result<()> {
    txn.open_table(FATES)?.insert(books::key(of), (fate as u8, of.offset, of.key, attempts))?;
    let mut waiting = txn.open_table(WAITING)?;
    match fate {
        // Until its letter is there, others of its key wait: else they would have passed it.
        Fate::Waits | Fate::Redriven | Fate::Dying => waiting.insert((of.tp.0, of.key, of.offset), ())?,
        Fate::Buried => waiting.remove((of.tp.0, of.key, of.offset))?,
    };
    Ok(())
}

/// Whether an earlier event of the same key waits.
fn must_wait(txn: &WriteTransaction, of: Origin) -> Result<bool> {
    if of.key.is_none() || planted(Defect::ApDlqOvertakes) {
        return Ok(false);
    }
    let earlier = (of.tp.0, of.key, i64::MIN)..(of.tp.0, of.key, of.offset);
    Ok(txn.open_table(WAITING)?.range(earlier)?.next().is_some())
}

/// An event is met: in the topic that it came in, or again in the retry topic.
pub(super) fn meet(txn: &WriteTransaction, of: Origin, again: bool) -> Result<Next> {
    if books::knows(txn, of)? {
        return Ok(Next::Drop);
    }
    let Some(Known { fate, of: first, attempts }) = known(txn, of)? else {
        return match (again, must_wait(txn, of)?) {
            // What has waited is known until long after it was done.
            (true, _) => Ok(Next::Drop),
            (false, true) => set(txn, of, Fate::Waits, 0).map(|()| Next::Wait),
            (false, false) => Ok(Next::Handle(0)),
        };
    };
    match fate {
        Fate::Buried => Ok(Next::Drop),
        Fate::Dying => Ok(Next::Bury),
        Fate::Waits | Fate::Redriven if again && must_wait(txn, first)? => Ok(Next::Wait),
        Fate::Waits | Fate::Redriven if again => Ok(Next::Handle(attempts)),
        // Met again where it was met first: whether the retry topic has it is not known.
        Fate::Waits | Fate::Redriven if first.offset == of.offset => Ok(Next::Wait),
        // A second copy of its producer's.
        Fate::Waits | Fate::Redriven => Ok(Next::Drop),
    }
}

/// An attempt at an event has ended, after so many that failed. Somebody else may have settled it meanwhile.
pub(super) fn ended(txn: &WriteTransaction, of: Origin, attempts: u32, end: End) -> Result<Next> {
    let before = known(txn, of)?;
    match before.as_ref().map(|known| known.fate) {
        _ if books::knows(txn, of)? => return Ok(Next::Drop),
        Some(Fate::Dying) => return Ok(Next::Bury),
        Some(Fate::Buried) => return Ok(Next::Drop),
        Some(Fate::Waits | Fate::Redriven) | None => {}
    }
    let of = before.as_ref().map_or(of, |known| known.of);
    let fate = before.map_or(Fate::Waits, |known| known.fate);
    match end {
        End::Done => {
            let row = books::enter(txn, of)?;
            books::remember(txn, of)?;
            txn.open_table(FATES)?.remove(books::key(of))?;
            txn.open_table(WAITING)?.remove((of.tp.0, of.key, of.offset))?;
            Ok(Next::Done(row))
        }
        End::Failed if attempts + 1 < MOST_ATTEMPTS => {
            set(txn, of, fate, attempts + 1)?;
            Ok(Next::Wait)
        }
        End::Failed | End::Hopeless => {
            set(txn, of, Fate::Dying, attempts + 1)?;
            Ok(Next::Bury)
        }
    }
}

/// The dead-letter topic has an event's letter. False if somebody has taken it to hand again meanwhile.
pub(super) fn buried(txn: &WriteTransaction, of: Origin) -> Result<bool> {
    match known(txn, of)? {
        Some(Known { fate: Fate::Dying, of, attempts }) => set(txn, of, Fate::Buried, attempts).map(|()| true),
        now => Ok(now.is_some_and(|now| now.fate == Fate::Buried)),
    }
}

/// Takes to hand again what there are letters about and is given up still; that the dead-letter topic has a letter need not
/// have been known. Returns what is to be sent to the retry topic.
pub(super) fn redrive(txn: &WriteTransaction, letters: &[Origin]) -> Result<Vec<Origin>> {
    let mut taken = Vec::new();
    for of in letters {
        if let Some(Known { fate: Fate::Dying | Fate::Buried, of, .. }) = known(txn, *of)? {
            set(txn, of, Fate::Redriven, 0)?;
            taken.push(of);
        }
    }
    Ok(taken)
}

/// What waits after it was taken to hand again. That the retry topic has it is not known of any.
pub(super) fn redriven(txn: &WriteTransaction) -> Result<Vec<Origin>> {
    let (table, mut found) = (txn.open_table(FATES)?, Vec::new());
    for row in table.iter()? {
        let (event, at) = row?;
        let (fate, offset, key, _) = at.value();
        if fate == Fate::Redriven as u8 {
            found.push(books::origin(event.value(), (offset, key)));
        }
    }
    found.sort_unstable_by_key(|of| (of.tp, of.offset));
    Ok(found)
}
