//! W4: leader completeness: whoever comes to lead has every committed batch.

use broker::fact::Fact;

use super::log_matching::of_copies;
use super::{Findings, Invariant, Kinds, Row, Tell, View, damage};
use crate::history::{Event, Kind};
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "W4",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "a new leader has everything that was committed",
    white_box: true,
    wants: Kinds::LEADS,
    applies: of_copies,
    must: super::no_run,
    make: || Box::new(LeaderComplete::default()),
};

#[derive(Default)]
struct LeaderComplete {
    judged: u64,
}

impl Invariant for LeaderComplete {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let Kind::Fact { node, tp: Some(tp), fact: Fact::Leads { epoch, end, .. }, .. } = &event.kind else { return };
        let Some(part) = view.ledger.part(*tp) else { return };
        let Some(election) = part.elections.last() else { return };
        self.judged += election.checked;
        let committed = election.committed;
        let lost = match election.lacks {
            Some(lacks) => format!("its log lacks {lacks:?}"),
            None if *end < committed => format!("its log ends at {end}"),
            None => return,
        };
        let first = election.lacks.map_or(*end, |lacks| lacks.base);
        let tell = || {
            let name = view.ledger.name(*tp);
            Tell::new(format!("{node} leads {name} in epoch {epoch}; {lost}, committed is what is below {committed}"))
                .and(view.ledger.window(0, event.at))
                .then(format!("{}: {node} leads", time(event.at)))
        };
        let count = u64::try_from(committed.saturating_sub(first)).unwrap_or(1).max(1);
        let contract = &view.rules.contract;
        // What was committed at any time was written at the beginning at the earliest.
        match damage::struck(view) || part.took_committed(contract, first, 0) {
            true => out.expected(event.at, Some(*tp), count, tell),
            false => out.violation(event.at, Some(*tp), count, tell),
        }
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, leads, mark, marks, replicated, three};
    use crate::contract::Contract;

    fn tale(contract: Contract) -> Tale {
        let mut tale = Tale::new(contract);
        tale.append(mark(0, 1))
            .append(mark(2, 2))
            .fact_of(1, replicated(mark(0, 1)))
            .fact_of(1, replicated(mark(2, 2)));
        tale.fact_of(2, replicated(mark(0, 1))).fact_of(0, marks(3, 3, 0));
        tale
    }

    #[test]
    fn the_new_leader_has_it_all() {
        let mut tale = tale(three());
        tale.fact_of(1, leads(1, 3, &[1]));
        tale.holds("W4");
    }

    #[test]
    fn the_new_leader_lacks_a_committed_batch() {
        let mut tale = tale(three());
        tale.fact_of(2, leads(1, 2, &[2]));
        tale.breaks("W4", 1);
    }

    #[test]
    fn an_unclean_one_may() {
        let mut tale = tale(Contract { unclean: true, ..three() });
        tale.fact_of(2, leads(1, 2, &[2]));
        tale.excuses("W4", 1);
    }
}
