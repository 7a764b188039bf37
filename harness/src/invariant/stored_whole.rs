//! W2: every stored batch matches its CRC.

use broker::fact::Fact;

use super::{Applies, Findings, Invariant, Kinds, Row, Tell, View, damage, every_run};
use crate::contract::Contract;
use crate::history::{Event, Kind};

pub(super) const ROW: Row = Row {
    id: "W2",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "every stored batch matches its CRC",
    white_box: true,
    wants: Kinds::AUDITED,
    applies: but_for_rot,
    must: every_run,
    make: || Box::new(StoredWhole::default()),
};

/// Enforced, but where stored bytes may rot.
pub(super) fn but_for_rot(contract: &Contract) -> Applies {
    if contract.bit_rot { Applies::ExpectedLoss } else { Applies::Enforced }
}

#[derive(Default)]
struct StoredWhole {
    judged: u64,
}

impl Invariant for StoredWhole {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let Kind::Fact { node, tp: Some(tp), fact: Fact::Audited { batches, bad_crc, .. }, .. } = &event.kind else {
            return;
        };
        self.judged += (batches.len() + bad_crc.len()) as u64;
        if bad_crc.is_empty() {
            return;
        }
        let tell = || {
            let (count, name) = (bad_crc.len(), view.ledger.name(*tp));
            let batch = format!("{count} batch(es)");
            Tell::new(format!(
                "{node} holds {batch} of {name} that do not match their CRC, the first at offset {}",
                bad_crc[0]
            ))
            .and(view.ledger.window(0, event.at))
            .then(format!("the audit reads {} batches of {name}", batches.len()))
        };
        damage::report(view, *tp, bad_crc.len() as u64, tell, out);
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use broker::fact::Fact;

    use super::super::tale::{Tale, mark, tp};
    use crate::contract::Contract;
    use crate::history::Kind;

    fn damaged() -> Fact {
        let (batches, bad_crc, bad_lookups) = (vec![mark(0, 1)], vec![0], Vec::new());
        Fact::Audited { tp: tp(), log_start: 0, log_end: 2, batches, bad_crc, torn_bytes: 0, bad_lookups }
    }

    #[test]
    fn whole_batches() {
        let mut tale = Tale::new(Contract::default());
        tale.audit(&[mark(0, 1), mark(2, 2)]);
        tale.holds("W2");
    }

    #[test]
    fn a_damaged_batch() {
        let mut tale = Tale::new(Contract::default());
        tale.fact(damaged());
        tale.breaks("W2", 1);
    }

    #[test]
    fn bytes_may_rot_where_the_contract_says_so_and_a_flip_has_come() {
        let mut tale = Tale::new(Contract { bit_rot: true, ..Contract::default() });
        tale.fact(damaged());
        tale.breaks("W2", 1);
        tale.events.clear();
        tale.note(Kind::Strike { strike: 0, fault: "bit_flip".into(), on: "b0".into(), minority: false })
            .fact(damaged());
        tale.excuses("W2", 1);
    }
}
