//! The network door of a simulated world: a wrapper over the simulator's TCP that behaves as a kernel's TCP would under a
//! cut (bytes wait and arrive after it), a power loss (silence, then a reset), a slow link and a full window.

mod conn;
mod connect;
mod frames;
mod links;
mod repeat;
mod rules;
mod stream;

pub use connect::{SimListener, SimNet};
pub(crate) use links::{Doom, Links};
pub(crate) use repeat::{Late, go_on};
pub(crate) use rules::{Rule, What};
pub use stream::SimStream;
