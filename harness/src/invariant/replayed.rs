//! B9r: what a group is sent back over is processed anew: every acknowledged record from where its offset was set to, below
//! what it has committed since.

use super::at_least_once::{AtLeastOnce, ROW as ONCE};
use super::members::has_groups;
use super::{Applies, Row};

pub(super) const ROW: Row = Row {
    id: "B9r",
    jepsen: None,
    about: "what a group is set back over is processed again, all of it",
    applies: |contract| if contract.rewinds { (ONCE.applies)(contract) } else { Applies::No },
    must: |contract| contract.rewinds && has_groups(contract) && contract.acks != 0,
    make: || Box::new(AtLeastOnce::of_replays()),
    ..ONCE
};

#[cfg(test)]
mod tests {
    use super::super::tale::{TP, Tale, grouped};
    use crate::contract::Contract;
    use crate::history::GroupStep;

    /// Ten records, processed and committed by client 1, which leaves; then the group is set back to 3.
    fn tale() -> Tale {
        let mut tale = Tale::new(Contract { rewinds: true, ..grouped() });
        tale.sent(10).looks_up(1, -1).joins(1, 1).assigned(1, 1, 0).processed(1, 1, 10).commits(1, 1, 10);
        tale.step(1, 1, GroupStep::Left);
        tale.commits(9, -1, 3).step(9, -1, GroupStep::Rewound { tp: TP, position: 3 });
        tale
    }

    #[test]
    fn everything_from_there_on_is_processed_again() {
        let mut tale = tale();
        tale.joins(2, 2).looks_up(2, 3).assigned(2, 2, 3).processed(2, 2, 8).commits(2, 2, 8);
        for id in ["B9r", "B9", "B11", "B17"] {
            tale.holds(id);
        }
    }

    #[test]
    fn somebody_goes_on_where_the_group_had_been_before() {
        let mut tale = tale();
        tale.joins(2, 2).assigned(2, 2, 8).processed(2, 2, 10).commits(2, 2, 10);
        tale.breaks("B9r", 5);
        // Once is enough for that.
        tale.holds("B9");
    }

    #[test]
    fn a_group_that_is_never_set_back_is_nobodys_evidence() {
        let mut tale = Tale::new(Contract { rewinds: true, ..grouped() });
        tale.sent(10).joins(1, 1).assigned(1, 1, 7).processed(1, 1, 10).commits(1, 1, 10);
        assert!(tale.check("B9r").of("B9r").is_some_and(|e| e.count == 0 && e.violations == 0));
        tale.breaks("B9", 7);
    }
}
