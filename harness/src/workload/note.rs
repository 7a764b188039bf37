//! Notes what clients do: each call with its return, so that no path can forget one half.

use broker::env::Env;
use broker::ids::{Offset, Timestamp, TopicPartition};

use crate::client::CallError;
use crate::client::consumer::Polled;
use crate::client::record::Fetched;
use crate::history::value::{checksum, decode};
use crate::history::{AppStep, Call, Delivery, Kind, Origin, Outcome, Reply, TpId};

use super::Role;
use super::letter::about;

impl<E: Env> Role<E> {
    /// Notes a call; [`Role::returned`] must follow with the operation it returns.
    pub fn call(&self, call: Call) -> u64 {
        self.stage.tape.call(self.number, self.incarnation, call)
    }

    /// Notes what came of operation `op`, and hands it on.
    pub fn returned<T>(
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

    /// Notes what application number `app` states of itself, or what is found of it.
    pub fn tells(&self, app: u32, what: AppStep) {
        self.stage.tape.note(Kind::App { app, what });
    }

    /// What a record that was read is known by; `None` if it is not one of the run's.
    pub fn origin(&self, tp: &TopicPartition, record: &Fetched) -> Option<Origin> {
        let id = decode(record.value.as_deref()?)?;
        let key = record.key.as_deref().map(crc32c::crc32c);
        Some(Origin { tp: self.stage.tape.tp(tp), offset: record.offset, id, key })
    }

    /// Notes the records of one poll as delivered.
    fn deliver(&self, op: u64, tp: TpId, records: &[Fetched], last: bool) {
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
            let dead = last && self.stage.setup.contract.unread.contains(&tp);
            if let Some((app, of)) = about(r).filter(|_| dead) {
                self.tells(app, AppStep::Letter { of });
            }
        }
    }

    /// Notes that a consumer goes on at `position`: by assignment, a seek, or a reset.
    pub(super) fn note_assigned(&self, tp: TpId, position: Offset, last: bool) {
        let op = self.call(Call::Assign { tp, position, last });
        self.stage.tape.note(Kind::Return { op, outcome: Outcome::Ok, code: 0, reply: Reply::None });
    }

    /// Notes one partition's share of a poll: a call from its old position, its records, and a return at the new one.
    pub(super) fn note_polled(&self, part: &Polled, last: bool) {
        let tp = self.stage.tape.tp(&part.tp);
        let contract = &self.stage.setup.contract;
        // Only where what it had read, or was to read, may be gone; else the reset is the consumer's own rewind or skip (B10).
        let may_move = !contract.committed_is_kept() || (contract.retention && part.position > part.from);
        if part.reset && may_move {
            return self.note_assigned(tp, part.position, last);
        }
        let op = self.call(Call::Poll { tp, position: part.from });
        self.deliver(op, tp, &part.records, last);
        let records = u32::try_from(part.records.len()).unwrap_or(u32::MAX);
        let (outcome, code, reply) = match part.error {
            Some(e) => (e.outcome, e.code, Reply::None),
            None => (Outcome::Ok, 0, Reply::Polled { records, position: part.position, high: part.high }),
        };
        self.stage.tape.note(Kind::Return { op, outcome, code, reply });
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
