//! Retry topics with delay and a dead-letter topic: what fails is tried again later, so many times, and then given up with a
//! letter; what hangs is broken off. A record's offset is committed when whatever came of it is on disk, or acknowledged.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use broker::env::Env;
use broker::planted::{Defect, planted};
use harness::app::{App, Crew};
use harness::client::consumer::Polled;
use harness::client::record::Fetched;
use harness::group_load::GroupLoad;
use harness::history::{AppStep, Origin, Phase};
use harness::workload::{Outbox, Role, about, letter};

use super::crew::Post;
use super::desk::{self, End, MOST_ATTEMPTS, Next};
use super::store::Result;
use super::{Shop, chances};

/// The places of its topics in the run's list: what it reads, where it sends what is to be tried again, and its letters.
const INPUT: usize = 0;
const RETRY: usize = 1;
const DEAD: usize = 2;

/// Headers of what it sends to be tried again: the event, and when its next attempt is due, in milliseconds on the wall clock.
const ORIGIN: &str = "origin";
const DUE: &str = "due";

/// How an application tries again, and what its handler meets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    /// Events that no attempt succeeds at, per mille.
    pub poison_per_mille: u64,
    /// Events at which the first attempts fail, perhaps all that are made, per mille.
    pub flaky_per_mille: u64,
    /// Events on which the first attempt hangs, per mille.
    pub hang_per_mille: u64,
    /// An attempt is broken off after so many milliseconds.
    pub limit_ms: u64,
    /// Between an attempt and the next, in milliseconds.
    pub delay_ms: u64,
    /// When the handler is mended, so that there is no poison any more, and whatever has a letter is taken to hand again: in
    /// milliseconds since the run began; never, if `None`.
    pub mended_ms: Option<u64>,
}

/// The application.
pub(crate) fn app(name: &'static str, group: GroupLoad, trouble: Trouble) -> App {
    App { name, group, play: Rc::new(move |crew| Box::pin(play(crew, trouble))) }
}

/// One process.
struct Desk<E: Env> {
    shop: Shop<E>,
    outbox: Outbox<E>,
    trouble: Trouble,
    mended: Cell<bool>,
}

async fn play<E: Env>(crew: Crew<E>, trouble: Trouble) {
    let env = crew.sender.env.clone();
    if let Err(e) = run(crew, trouble).await {
        env.halt(&format!("the application's database: {e}"));
    }
}

async fn run<E: Env>(crew: Crew<E>, trouble: Trouble) -> Result<()> {
    let Crew { app, group, load, members, sender } = crew;
    let (env, shop) = (sender.env.clone(), Shop::open(app, &sender).await?);
    sender.ready().await;
    let desk = Rc::new(Desk { shop, outbox: Outbox::new(sender), trouble, mended: Cell::new(false) });
    desk.take_up().await?;
    let topics = &members[0].stage.setup.topics;
    let topics: Vec<Arc<str>> = [INPUT, RETRY].iter().map(|topic| topics[*topic].name.as_str().into()).collect();
    for (member, role) in (0..).zip(members) {
        let post = Post { role, group, load: load.clone(), member, topics: topics.clone() };
        let desk = desk.clone();
        env.spawn("member", async move {
            post.work(async |role: &Role<E>, part: &Polled| desk.handle(role, part).await).await;
        });
    }
    desk.mend().await
}

impl<E: Env> Desk<E> {
    /// Sends what the last process had taken to hand again, and may not have sent.
    async fn take_up(&self) -> Result<()> {
        let role = self.outbox.role();
        for of in self.shop.store.change(desk::redriven)? {
            role.tells(self.shop.app, AppStep::Redriven { of });
            self.send(RETRY, of).await;
        }
        Ok(())
    }

    /// Mends the handler when it is time to, and takes to hand again what the dead-letter topic tells of.
    async fn mend(&self) -> Result<()> {
        let (role, Some(due)) = (self.outbox.role(), self.trouble.mended_ms) else { return Ok(()) };
        while role.stage.tape.now() < due * 1_000_000 {
            role.pause(10).await;
        }
        self.mended.set(true);
        let letters = self.letters().await;
        let again = self.shop.store.change(|txn| desk::redrive(txn, &letters))?;
        self.shop.store.flush().await?;
        again.iter().for_each(|of| role.tells(self.shop.app, AppStep::Redriven { of: *of }));
        for of in again {
            self.send(RETRY, of).await;
        }
        Ok(())
    }

    /// What there are letters about in the dead-letter topic: the first about each event, in their order.
    async fn letters(&self) -> Vec<Origin> {
        let (role, mut found) = (self.outbox.role(), Vec::<Origin>::new());
        for at in role.stage.live_of(DEAD) {
            let records = role.read_all(at).await;
            for (_, of) in records.iter().filter_map(about).filter(|(app, _)| *app == self.shop.app) {
                if !found.iter().any(|other| (other.tp, other.id) == (of.tp, of.id)) {
                    found.push(of);
                }
            }
        }
        found
    }

    /// Handles what a poll has brought of a partition, one record after another.
    async fn handle(&self, role: &Role<E>, part: &Polled) -> Result<()> {
        let again = *part.tp.topic == *role.stage.setup.topics[RETRY].name;
        for record in &part.records {
            let of =
                if again { header(record, ORIGIN).and_then(Origin::from_bytes) } else { role.origin(&part.tp, record) };
            let Some(of) = of else { continue };
            if let Some(due) = header(record, DUE).and_then(|due| Some(i64::from_be_bytes(due.try_into().ok()?))) {
                role.pause(u64::try_from(due - role.env.wall()).unwrap_or(0)).await;
            }
            let mut next = self.shop.store.change(|txn| desk::meet(txn, of, again))?;
            if let Next::Handle(attempts) = next {
                let end = self.attempt(role, of, attempts).await;
                next = self.shop.store.change(|txn| desk::ended(txn, of, attempts, end))?;
            }
            match next {
                Next::Done(row) => self.shop.did(row, of),
                Next::Wait => _ = self.send(RETRY, of).await,
                Next::Bury => self.bury(role, of).await?,
                Next::Handle(_) | Next::Drop => {}
            }
        }
        self.shop.settle(role).await
    }

    /// Sends an event's letter, and has it on record that the dead-letter topic has it.
    async fn bury(&self, role: &Role<E>, of: Origin) -> Result<()> {
        if planted(Defect::ApDlqCommitFirst) {
            self.shop.store.change(|txn| desk::buried(txn, of))?;
        }
        // What was done before is stated before.
        self.shop.settle(role).await?;
        // Stated before it is durable: lost, it is sent and stated again.
        if self.send(DEAD, of).await && self.shop.store.change(|txn| desk::buried(txn, of))? {
            role.tells(self.shop.app, AppStep::Buried { of });
        }
        Ok(())
    }

    /// One attempt at an event.
    async fn attempt(&self, role: &Role<E>, of: Origin, attempts: u32) -> End {
        let Trouble { poison_per_mille: poison, flaky_per_mille: flaky, hang_per_mille: hang, .. } = self.trouble;
        let mut draw = chances(of);
        let (kind, failures) = (draw.below(1000), draw.between(1, u64::from(MOST_ATTEMPTS) + 1));
        let work = async {
            role.env.sleep(Duration::from_micros(300)).await;
            match kind {
                _ if kind < poison && !self.mended.get() => End::Hopeless,
                _ if kind < poison => End::Done,
                _ if kind < poison + flaky && u64::from(attempts) < failures => End::Failed,
                _ if kind < poison + flaky => End::Done,
                _ if kind < poison + flaky + hang && attempts == 0 => std::future::pending().await,
                _ => End::Done,
            }
        };
        role.env.timeout(Duration::from_millis(self.trouble.limit_ms), work).await.unwrap_or(End::Failed)
    }

    /// Sends what stands for an event to one of its topics, until that is acknowledged. False if the run is over.
    async fn send(&self, topic: usize, of: Origin) -> bool {
        let role = self.outbox.role();
        let due = role.env.wall() + i64::try_from(self.trouble.delay_ms).unwrap_or(0);
        let headers = match topic {
            DEAD => vec![letter(self.shop.app, of)],
            _ => vec![(ORIGIN, of.to_bytes()), (DUE, due.to_be_bytes().to_vec())],
        };
        // By key, as far as it has one: events of one key stay in order.
        let places = role.stage.live_of(topic);
        let lane = of.key.unwrap_or(of.tp.0) as usize % places.len().max(1);
        while role.stage.phase() < Phase::FinalRead {
            if self.outbox.send(places.start + lane, &headers).await.is_ok() {
                return true;
            }
            role.pause(20).await;
        }
        false
    }
}

fn header<'a>(record: &'a Fetched, name: &str) -> Option<&'a [u8]> {
    let (_, value) = record.headers.iter().find(|(key, _)| key == name.as_bytes())?;
    value.as_deref()
}
