//! Consumers: one follows the log from its start, the other reads it again and again; both note every record.

use std::time::Duration;

use broker::env::Env;
use broker::ids::{Offset, Timestamp};

use crate::client::admin::LATEST;
use crate::client::consumer::{Consumer, ConsumerConfig, OutOfRange, Polled, Position};
use crate::client::record::Fetched;
use crate::history::{Call, Kind, Outcome, Phase, Reply};
use crate::seed::Draw;

use super::{FETCH, Role, seeker};

/// One poll's patience.
const PATIENCE: Duration = Duration::from_secs(2);
/// A look-up by time is waited for this long at most, in milliseconds.
const LOOK_UP_MS: u64 = 1000;

/// Follows every partition from its start until the final read begins.
pub(super) async fn tail<E: Env>(role: Role<E>) {
    role.ready().await;
    let reader = Reader::new(&role);
    reader.rewind().await;
    while role.stage.phase() < Phase::FinalRead {
        reader.poll().await;
    }
}

/// Reads everything again and again, until the final read begins: from offset 0, or after a seek back, or from some
/// moment of the run on.
pub(super) async fn replay<E: Env>(role: Role<E>) {
    role.ready().await;
    let mut draw = role.draws();
    let mut how = draw.aside("how");
    let reader = Reader::new(&role);
    let began = role.env.wall();
    while role.stage.phase() < Phase::FinalRead {
        match how.below(4) {
            0 => reader.seek_back(&mut how).await,
            1 => {
                let passed = u64::try_from(role.env.wall() - began).unwrap_or(0);
                reader.read_since(began + i64::try_from(how.below(passed + 1)).unwrap_or(0)).await;
            }
            _ => reader.rewind().await,
        }
        for _ in 0..draw.between(5, 60) {
            reader.poll().await;
        }
        role.pause(draw.between(1, 200)).await;
    }
}

impl<E: Env> Role<E> {
    /// The records of partition number `at` of the run, from its start to the end that it has now; fewer if the final read
    /// begins meanwhile.
    pub async fn read_all(&self, at: usize) -> Vec<Fetched> {
        let (client, reader) = (self.client(), Reader::new(self));
        let (mut records, mut end, mut position) = (Vec::new(), None, 0);
        while self.stage.phase() < Phase::FinalRead && end.is_none_or(|end| position < end) {
            if end.is_none() {
                match seeker::ask(self, &client, at, LATEST).await {
                    Ok(listed) => end = Some(listed.offset),
                    Err(_) => self.pause(50).await,
                }
                reader.assign(at, 0).await;
                continue;
            }
            for part in reader.poll().await {
                position = part.position;
                records.extend(part.records);
            }
        }
        records
    }
}

/// One consumer with its notes.
pub(super) struct Reader<'a, E: Env> {
    role: &'a Role<E>,
    consumer: Consumer<E>,
    last: bool,
}

impl<'a, E: Env> Reader<'a, E> {
    /// A consumer with nothing assigned. Where retention may pass it by, it goes on at the first record still there.
    pub(super) fn new(role: &'a Role<E>) -> Self {
        let (load, contract) = (&role.stage.setup.load, &role.stage.setup.contract);
        let last = role.stage.phase() == Phase::FinalRead;
        let bytes = if last { ConsumerConfig::default().partition_max_bytes } else { load.fetch_bytes };
        let rack = role.rack().filter(|_| !last);
        let config = ConsumerConfig {
            rack,
            max_wait: Duration::from_millis(load.fetch_wait_ms),
            partition_max_bytes: bytes,
            // Recorded seeds name the runs they named: this reader asks as much as it ever did.
            validate: false,
            out_of_range: if contract.retention { OutOfRange::Earliest } else { OutOfRange::Error },
            ..ConsumerConfig::default()
        };
        Self { role, consumer: Consumer::new(role.client(), config), last }
    }

    /// Reads every partition from offset 0.
    async fn rewind(&self) {
        for at in self.role.stage.live() {
            self.assign(at, 0).await;
        }
    }

    /// Goes back to some offset of what it has read of every partition, and to the start of those it has not.
    async fn seek_back(&self, draw: &mut Draw) {
        for at in self.role.stage.live() {
            let tp = &self.role.stage.partitions[at];
            let read = self.consumer.position(tp).and_then(|read| u64::try_from(read).ok());
            let position = i64::try_from(draw.below(read.unwrap_or(0) + 1)).unwrap_or(0);
            if self.consumer.seek(tp, position) {
                self.role.note_assigned(self.role.tp(at), position, self.last);
            } else {
                self.assign(at, 0).await;
            }
        }
    }

    /// Reads every partition from the first record of `moment` or later on; where that cannot be found out, it stays.
    async fn read_since(&self, moment: Timestamp) {
        for at in self.role.stage.live() {
            let tp = self.role.stage.partitions[at].clone();
            let patience = self.role.within(LOOK_UP_MS);
            // The place is known only afterwards. Nothing is read meanwhile.
            if let Ok(position) = self.consumer.assign(tp, Position::Timestamp(moment), patience).await {
                self.role.note_assigned(self.role.tp(at), position, self.last);
            }
        }
    }

    /// Reads partition number `at` from `position` on.
    pub(super) async fn assign(&self, at: usize, position: Offset) {
        let tp = self.role.stage.partitions[at].clone();
        let call = Call::Assign { tp: self.role.tp(at), position, last: self.last };
        let assigned = self.consumer.assign(tp, Position::Offset(position), self.role.within(0));
        // An offset needs no look-up, so that this cannot fail.
        let _ = self.role.noted(call, assigned, |_| Reply::None).await;
    }

    /// Polls once and notes what came. Returns it.
    pub(super) async fn poll(&self) -> Vec<Polled> {
        let op = self.role.call(Call::Admin { api: FETCH });
        let polled = self.consumer.poll(PATIENCE).await;
        self.note(Kind::Return { op, outcome: Outcome::Ok, code: 0, reply: Reply::None });
        for part in &polled {
            self.role.note_polled(part, self.last);
        }
        if polled.iter().any(|p| p.error.is_some()) {
            self.role.pause(20).await;
        }
        polled
    }

    /// Notes that partition number `at` is read to the end its leader stated, where no record came to say so; false if
    /// none was stated yet or more is to come.
    pub(super) fn note_end(&self, at: usize) -> bool {
        let tp = &self.role.stage.partitions[at];
        let (Some(position), Some(high)) = (self.consumer.position(tp), self.consumer.high(tp)) else { return false };
        if high < 0 || position < high {
            return false;
        }
        let op = self.role.call(Call::Poll { tp: self.role.tp(at), position });
        let reply = Reply::Polled { records: 0, position, high };
        self.note(Kind::Return { op, outcome: Outcome::Ok, code: 0, reply });
        true
    }

    fn note(&self, kind: Kind) {
        self.role.stage.tape.note(kind);
    }
}
