//! What clients do in a run: one file each. Every one notes its calls and returns on the tape, and looks at the stage
//! between calls to see which phase it is.

mod admin;
mod deleter;
mod judge;
mod keys;
mod letter;
mod member;
mod note;
mod outbox;
mod producer;
mod reader;
mod rewind;
mod seeker;
mod throttle;

use std::rc::Rc;
use std::time::Duration;

use broker::env::{Env, Mono};

use crate::client::{Client, Settings};
use crate::history::Phase;
use crate::run::Stage;
use crate::seed::Draw;

pub use letter::{about, letter};
pub use member::LIVES;
pub use outbox::Outbox;

/// The API key of Fetch.
const FETCH: i16 = 1;

/// What a client of the run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Sends records in open loop.
    Producer,
    /// Follows every partition from its start.
    Tailer,
    /// Reads everything again and again: from offset 0, after a seek, from a time on.
    Replayer,
    /// Asks ListOffsets.
    Seeker,
    /// Asks DeleteRecords.
    Deleter,
    /// Makes the topics and, at the end, reads every partition from its start.
    Judge,
    /// Changes the cluster when it is told to.
    Admin,
    /// Is a member of a consumer group: number `group` * [`crate::group_load::MOST_MEMBERS`] + its number there.
    Member,
    /// Is a member of an application's group: number `app` * [`crate::group_load::MOST_MEMBERS`] + its number there; behind
    /// them comes the one that sends.
    App,
}

impl Part {
    /// The number of this part's `n`th client in the history: unique in the run.
    pub fn number(self, n: u32) -> u32 {
        self as u32 * 1000 + n
    }

    /// The number of its first life in a process that was started `before` times before. A member of a group may live
    /// several times in one process.
    pub fn life(self, before: u32) -> u16 {
        let lives = if matches!(self, Part::Member | Part::App) { LIVES } else { 1 };
        u16::try_from(before).unwrap_or(u16::MAX).saturating_mul(lives)
    }
}

/// One client of the run on one reactor.
#[derive(Clone)]
pub struct Role<E: Env> {
    /// The reactor it lives on.
    pub env: E,
    /// The run.
    pub stage: Rc<Stage>,
    /// Its number in the history.
    pub number: u32,
    /// Which of its lives this is.
    pub incarnation: u16,
}

impl<E: Env> Role<E> {
    /// Plays `part`, as its client number `n`, until the run ends.
    pub async fn play(self, part: Part, n: u32) {
        match part {
            Part::Producer => producer::play(self).await,
            Part::Tailer => reader::tail(self).await,
            Part::Replayer => reader::replay(self).await,
            Part::Seeker => seeker::play(self).await,
            Part::Deleter => deleter::play(self).await,
            Part::Judge => judge::play(self).await,
            Part::Admin => admin::play(self).await,
            Part::Member => member::play(self, n).await,
            // Whoever built the application plays it.
            Part::App => {}
        }
    }

    /// This client's own stream of draws, new for each incarnation.
    pub fn draws(&self) -> Draw {
        self.stage.seed.split("client", u64::from(self.number)).split("life", u64::from(self.incarnation)).draw()
    }

    /// A client with the run's settings.
    pub fn client(&self) -> Client<E> {
        Client::new(self.env.clone(), self.settings())
    }

    fn settings(&self) -> Settings {
        let timeout = Duration::from_millis(self.stage.setup.load.request_timeout_ms);
        Settings {
            bootstrap: self.stage.bootstrap.clone(),
            client_id: format!("c{}", self.number),
            connect_timeout: timeout,
            request_timeout: timeout,
            ..Settings::default()
        }
    }

    /// Where this client's machine stands, if consumers are to read from the nearest replica (KIP-392).
    fn rack(&self) -> Option<String> {
        let setup = &self.stage.setup;
        self.number.checked_rem(setup.racks).filter(|_| setup.load.near).map(|rack| format!("rack-{rack}"))
    }

    /// The instant `ms` from now on this client's clock.
    pub fn within(&self, ms: u64) -> Mono {
        self.env.now().after(Duration::from_millis(ms))
    }

    /// Waits, looking every few milliseconds, until the topics exist.
    pub async fn ready(&self) {
        while !self.stage.ready() {
            self.pause(5).await;
        }
    }

    /// Waits so many milliseconds.
    pub async fn pause(&self, ms: u64) {
        self.env.sleep(Duration::from_millis(ms)).await;
    }

    /// Whether load is still wanted.
    pub fn loading(&self) -> bool {
        self.stage.phase() < Phase::Drain
    }
}
