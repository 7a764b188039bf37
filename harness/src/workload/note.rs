//! Notes what clients do: each call with its return, so that no path can forget one half.

use crate::client::{Failed, Fetched};
use crate::history::value::{checksum, decode};
use crate::history::{Call, Delivery, Kind, Outcome, Reply, TpId};
use broker::env::Env;

use super::Role;

impl<E: Env> Role<E> {
    /// Notes `call`, does `work`, notes what came of it, and hands it on.
    pub(super) async fn noted<T>(
        &self,
        call: Call,
        work: impl Future<Output = Result<T, Failed>>,
        reply: impl FnOnce(u64, &T) -> Reply,
    ) -> Result<T, Failed> {
        let op = self.stage.tape.call(self.number, self.incarnation, call);
        let result = work.await;
        let (outcome, code, reply) = match &result {
            Ok(done) => (Outcome::Ok, 0, reply(op, done)),
            Err(failed) => (failed.outcome, failed.code, Reply::None),
        };
        self.stage.tape.note(Kind::Return { op, outcome, code, reply });
        result
    }

    /// Notes the records of one poll as delivered.
    pub(super) fn deliver(&self, op: u64, tp: TpId, records: &[Fetched], last: bool) {
        for r in records {
            let headers = r.headers.iter().map(|(k, v)| (k.as_ref(), v.as_deref()));
            self.stage.tape.note(Kind::Deliver(Delivery {
                op,
                client: self.number,
                tp,
                offset: r.offset,
                id: r.value.as_deref().and_then(decode),
                checksum: checksum(r.key.as_deref(), r.value.as_deref(), headers, r.timestamp),
                timestamp: r.timestamp,
                epoch: r.leader_epoch,
                last,
            }));
        }
    }
}
