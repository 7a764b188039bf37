//! Reports for the terminal. Every function takes the width to fill and returns text that ends with a newline.

mod catalogue;
mod entry;
mod findings;
#[cfg(test)]
pub(crate) mod fixture;
mod gate;
mod invariants;
mod page;
mod run;
mod timeline;

pub use catalogue::{Row, catalogue};
pub use entry::{Entry, entry};
pub use gate::{Step, step_done, summary};
pub use page::error_mark;
pub use run::run;
