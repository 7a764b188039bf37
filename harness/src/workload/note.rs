//! Notes what clients do: each call with its return, so that no path can forget one half.

use broker::env::Env;
use broker::ids::Timestamp;

use crate::client::CallError;
use crate::client::record::Fetched;
use crate::history::value::{checksum, decode};
use crate::history::{Call, Delivery, Kind, Outcome, Reply, TpId};

use super::Role;

impl<E: Env> Role<E> {
    /// Notes a call; [`Role::returned`] must follow with the operation it returns.
    pub(super) fn call(&self, call: Call) -> u64 {
        self.stage.tape.call(self.number, self.incarnation, call)
    }

    /// Notes what came of operation `op`, and hands it on.
    pub(super) fn returned<T>(
        &self,
        op: u64,
        result: Result<T, CallError>,
        reply: impl FnOnce(&T) -> Reply,
    ) -> Result<T, CallError> {
        let (outcome, code, reply) = match &result {
            Ok(done) => (Outcome::Ok, 0, reply(done)),
            Err(failed) => (failed.outcome, failed.code, Reply::None),
        };
        self.stage.tape.note(Kind::Return { op, outcome, code, reply });
        result
    }

    /// Notes `call`, does `work`, notes what came of it, and hands it on.
    pub(super) async fn noted<T>(
        &self,
        call: Call,
        work: impl Future<Output = Result<T, CallError>>,
        reply: impl FnOnce(&T) -> Reply,
    ) -> Result<T, CallError> {
        let op = self.call(call);
        let result = work.await;
        self.returned(op, result, reply)
    }

    /// Notes the records of one poll as delivered.
    pub(super) fn deliver(&self, op: u64, tp: TpId, records: &[Fetched], last: bool) {
        for r in records {
            let headers = r.headers.iter().map(|(k, v)| (str::from_utf8(k).unwrap_or_default(), v.as_deref()));
            self.stage.tape.note(Kind::Deliver(Delivery {
                op,
                client: self.number,
                tp,
                offset: r.offset,
                id: r.value.as_deref().and_then(decode),
                checksum: checksum(r.key.as_deref(), r.value.as_deref(), headers, self.kept_time(tp, r.timestamp)),
                timestamp: r.timestamp,
                epoch: r.epoch,
                last,
            }));
        }
    }

    /// The timestamp that must come back unchanged: none where the broker stamps the records itself.
    pub(super) fn kept_time(&self, tp: TpId, timestamp: Timestamp) -> Timestamp {
        let at = &self.stage.partitions[tp.0 as usize];
        let stamped = self.stage.setup.topics.iter().any(|t| *t.name == *at.topic && t.log.log_append_time);
        if stamped { -1 } else { timestamp }
    }

    /// The number in the history of partition number `at` of the stage.
    pub(super) fn tp(&self, at: usize) -> TpId {
        TpId(u32::try_from(at).unwrap_or(u32::MAX))
    }
}
