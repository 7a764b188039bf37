//! An application under test, as a run has it: a process on a host of its own, whose disk outlives it. What it does is its
//! builder's; the run starts it, ends it, and judges what it states of itself.

use std::fmt;
use std::rc::Rc;

use broker::env::Env;

use crate::group_load::GroupLoad;
use crate::run::Life;
use crate::sim::env::SimEnv;
use crate::workload::Role;

/// What an application's host is called, before its number.
const HOST: &str = "app-";

/// What one process of an application does.
pub type Play = Rc<dyn Fn(Crew<SimEnv>) -> Life>;

/// One application of a run.
#[derive(Clone)]
pub struct App {
    /// What it is called in a report.
    pub name: &'static str,
    /// Its consumer group. How members come and go is the application's own affair.
    pub group: GroupLoad,
    /// Its process, called each time its host starts.
    pub play: Play,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("name", &self.name).field("group", &self.group).finish_non_exhaustive()
    }
}

/// Who plays in one process of an application.
pub struct Crew<E: Env> {
    /// The application's number in the run.
    pub app: u32,
    /// The number of its group.
    pub group: u32,
    /// That group.
    pub load: GroupLoad,
    /// The members of the group, by number.
    pub members: Vec<Role<E>>,
    /// Who sends what it has to send.
    pub sender: Role<E>,
}

/// The name of an application's host.
pub(crate) fn host(number: u32) -> String {
    format!("{HOST}{number}")
}

/// Whether that is the host of an application.
pub(crate) fn is_host(name: &str) -> bool {
    name.starts_with(HOST)
}
