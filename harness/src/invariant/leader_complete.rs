//! W4: leader completeness: whoever comes to lead has every committed batch.

use broker::fact::Fact;
use broker::ids::{LeaderEpoch, NodeId};

use super::log_matching::of_copies;
use super::{Findings, Invariant, Kinds, Row, Tell, View, damage};
use crate::history::{Event, Kind, TpId};
use crate::invariant::ledger::{Election, Part, time};

pub(super) const ROW: Row = Row {
    id: "W4",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "a new leader has everything that was committed",
    white_box: true,
    wants: Kinds::LEADS.and(Kinds::DECIDED),
    applies: of_copies,
    must: super::no_run,
    make: || Box::new(LeaderComplete::default()),
};

#[derive(Default)]
struct LeaderComplete {
    judged: u64,
    /// Leaders of which it is not known yet how they were elected: theirs may be the first word of it.
    open: Vec<Lost>,
}

/// A leader that lacks what was committed.
struct Lost {
    at: u64,
    tp: TpId,
    node: NodeId,
    epoch: LeaderEpoch,
    count: u64,
    what: String,
}

impl Lost {
    fn report(&self, permitted: bool, view: &View<'_>, out: &mut Findings) {
        let Self { at, tp, node, epoch, count, what } = self;
        let tell = || {
            Tell::new(format!("{node} leads {} in epoch {epoch}; {what}", view.ledger.name(*tp)))
                .and(view.ledger.window(0, *at))
                .then(format!("{}: {node} leads", time(*at)))
        };
        match permitted {
            true => out.expected(*at, Some(*tp), *count, tell),
            false => out.violation(*at, Some(*tp), *count, tell),
        }
    }
}

impl LeaderComplete {
    /// The node comes to lead, as the ledger's last election of the partition.
    fn leads(
        &mut self,
        (at, tp, node): (u64, TpId, NodeId),
        (part, election): (&Part, &Election),
        view: &View<'_>,
    ) -> Option<(Lost, bool)> {
        let Election { epoch, end, committed, .. } = *election;
        self.judged += election.checked;
        let lost = match election.lacks {
            Some(lacks) => format!("its log lacks {lacks:?}"),
            None if end < committed => format!("its log ends at {end}"),
            None => return None,
        };
        let first = election.lacks.map_or(end, |lacks| lacks.base);
        let count = u64::try_from(committed.saturating_sub(first)).unwrap_or(1).max(1);
        let what = format!("{lost}, committed is what is below {committed}");
        let lost = Lost { at, tp, node, epoch, count, what };
        // A loss may be permitted; an election that hides it is not. (What was committed at some time was written at the
        // beginning at the earliest.) Where nobody is left to be trusted and the last leader leads again (KIP-966), what
        // it had never synced when its power went is lost, although others may have it still: they follow.
        let contract = &view.rules.contract;
        let its_own = election.by_power.is_some() && !contract.committed_is_kept();
        // Nor does a clean one hide anything that comes after an unclean one, by which another was trusted that never led.
        let hides = election.said == Some(false) && !(contract.unclean && election.doubted);
        let permitted = damage::struck(view)
            || (!hides && (its_own && election.said == Some(true) || part.took_committed(contract, first, 0)));
        if !permitted && its_own && election.said.is_none() {
            self.open.push(lost);
            return None;
        }
        Some((lost, permitted))
    }
}

impl Invariant for LeaderComplete {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let Kind::Fact { node, tp: Some(tp), fact, .. } = &event.kind else { return };
        match fact {
            Fact::Decided { leader: Some(_), leader_epoch, unclean, .. } => {
                let of = |lost: &mut Lost| lost.tp == *tp && lost.epoch == *leader_epoch;
                self.open.extract_if(.., of).for_each(|lost| lost.report(*unclean, view, out));
            }
            Fact::Leads { epoch, .. } => {
                let Some(part) = view.ledger.part(*tp) else { return };
                let Some(election) = part.elections.last().filter(|last| last.epoch == *epoch) else { return };
                if let Some((lost, permitted)) = self.leads((event.at, *tp, *node), (part, election), view) {
                    lost.report(permitted, view, out);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, view: &View<'_>, out: &mut Findings) {
        std::mem::take(&mut self.open).iter().for_each(|lost| lost.report(false, view, out));
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use broker::config::FlushPolicy;
    use broker::fact::Fact;
    use broker::ids::NodeId;

    use super::super::tale::{Tale, decided, leads, mark, marks, replicated, three, tp};
    use crate::contract::Contract;
    use crate::history::Kind;

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
    fn one_who_hears_late_of_its_election_is_no_leader() {
        let mut tale = tale(three());
        tale.fact_of(1, leads(2, 3, &[1])).fact_of(2, leads(1, 2, &[2]));
        tale.holds("W4");
    }

    #[test]
    fn an_unclean_one_may() {
        let mut tale = tale(Contract { unclean: true, ..three() });
        tale.fact_of(2, leads(1, 2, &[2]));
        tale.excuses("W4", 1);
    }

    /// Node `node` loses its power, and leads again with what had been synced, or has never had more.
    fn comes_back(node: i32, unclean: bool, contract: Contract) -> Tale {
        let mut tale = tale(contract);
        tale.note(Kind::Down { host: "b".into(), node: Some(NodeId(node)), power: true, why: "power".into() });
        let mut now = decided(1, Some(node), 1, &[node]);
        if let Fact::Decided { unclean: said, .. } = &mut now {
            *said = unclean;
        }
        let tail = Vec::new();
        let back = Fact::Recovered { tp: tp(), log_start: 0, log_end: 2, recovery_point: 0, tail, synced: true };
        tale.fact_of(node, back).fact_of(0, now).fact_of(node, leads(1, 2, &[node]));
        tale
    }

    #[test]
    fn the_last_leader_comes_back_without_what_it_had_not_synced() {
        let lazy = Contract { flush: FlushPolicy::Never, power_loss: true, ..three() };
        comes_back(1, true, lazy.clone()).excuses("W4", 1);
        comes_back(1, false, lazy.clone()).breaks("W4", 1);
        comes_back(1, true, Contract { spared: true, ..lazy.clone() }).breaks("W4", 1);
        comes_back(1, true, three()).breaks("W4", 1);
        // It never had it.
        comes_back(2, true, lazy).breaks("W4", 1);
    }

    #[test]
    fn one_that_is_said_to_be_clean_may_not() {
        let mut tale = tale(Contract { unclean: true, ..three() });
        tale.fact_of(0, decided(1, Some(2), 1, &[2])).fact_of(2, leads(1, 2, &[2]));
        tale.breaks("W4", 1);
    }

    #[test]
    fn a_clean_one_after_one_that_was_not_and_never_led() {
        let mut tale = tale(Contract { unclean: true, ..three() });
        let mut unclean = decided(1, Some(2), 1, &[2]);
        if let Fact::Decided { unclean, .. } = &mut unclean {
            *unclean = true;
        }
        tale.fact_of(0, unclean).fact_of(0, decided(3, Some(2), 3, &[2])).fact_of(2, leads(3, 2, &[2]));
        tale.excuses("W4", 1);
        tale.rules.contract.unclean = false;
        tale.breaks("W4", 1);
    }

    #[test]
    fn the_controllers_word_comes_after_its_leaders() {
        let lazy = Contract { flush: FlushPolicy::Never, power_loss: true, ..three() };
        for (unclean, told) in [(true, true), (false, true), (true, false)] {
            let mut tale = comes_back(1, unclean, lazy.clone());
            let last = tale.events.len() - 1;
            let at = tale.events[last - 1].at;
            tale.events.swap(last - 1, last);
            tale.events[last].at = std::mem::replace(&mut tale.events[last - 1].at, at);
            if !told {
                tale.events.pop();
            }
            if unclean && told {
                tale.excuses("W4", 1)
            } else {
                tale.breaks("W4", 1)
            };
        }
    }
}
