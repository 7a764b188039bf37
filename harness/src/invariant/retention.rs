//! W14: retention never moves a log's start above its high watermark, nor DeleteRecords above what a client asked for.

use broker::fact::Fact;

use super::{Findings, Invariant, Kinds, Row, Tell, View, always};
use crate::history::{Event, Kind};
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "W14",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "retention never passes the high watermark",
    white_box: true,
    wants: Kinds::TRIMMED,
    applies: always,
    must: |contract| contract.retention,
    make: || Box::new(Retention::default()),
};

#[derive(Default)]
struct Retention {
    judged: u64,
}

impl Invariant for Retention {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let Kind::Fact { node, tp: Some(tp), fact: Fact::Trimmed { log_start, high, asked, .. }, .. } = &event.kind
        else {
            return;
        };
        self.judged += 1;
        let Some(part) = view.ledger.part(*tp) else { return };
        // The node may be wrong about its own high watermark: it is held to what it stated before, too.
        let stated = part.log(*node).map_or(*high, |log| log.high.max(0));
        let (by, limit) = match asked {
            // Or a follower does as its leader's retention has done.
            true => ("DeleteRecords", part.asked.max(part.trimmed).min(*high).min(stated)),
            false => ("retention", stated.min(*high)),
        };
        if *log_start <= limit {
            return;
        }
        out.violation(event.at, Some(*tp), 1, || {
            let name = view.ledger.name(*tp);
            Tell::new(format!("on {node}, {by} moves the start of {name} to {log_start}, past {limit}"))
                .then(format!("clients have asked to delete below {}", part.asked))
                .then(format!("the high watermark stated last is {stated}"))
                .and(view.ledger.window(0, event.at))
                .then(format!("{}: the log starts at {log_start}", time(event.at)))
        });
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use broker::fact::Fact;

    use super::super::tale::{TP, Tale, mark, marks, replicated, three, tp};
    use crate::contract::Contract;
    use crate::history::Call;

    fn trim(log_start: i64, asked: bool) -> Fact {
        Fact::Trimmed { tp: tp(), log_start, high: 2, asked }
    }

    #[test]
    fn up_to_the_high_watermark() {
        let mut tale = Tale::new(Contract::default());
        tale.append(mark(0, 3)).marks(0, 2, 4).call(0, Call::DeleteRecords { tp: TP, before: 1 });
        tale.fact(trim(1, true)).fact(trim(2, false));
        tale.holds("W14");
    }

    #[test]
    fn a_follower_trims_as_its_leader_did() {
        let mut tale = Tale::new(three());
        tale.append(mark(0, 3)).marks(0, 2, 4).fact(trim(2, false));
        tale.fact_of(1, replicated(mark(0, 3))).fact_of(1, marks(2, 4, 0)).fact_of(1, trim(2, true));
        tale.holds("W14");
        tale.fact_of(1, trim(3, true));
        tale.breaks("W14", 1);
    }

    #[test]
    fn past_the_high_watermark_and_past_what_was_asked() {
        let mut tale = Tale::new(Contract::default());
        tale.append(mark(0, 3)).marks(0, 2, 4).fact(trim(1, true)).fact(trim(4, false));
        tale.breaks("W14", 2);
    }
}
