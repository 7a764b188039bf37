//! Reports for the terminal. Every function takes the width to fill and returns text that ends with a newline.

mod catalogue;
mod check;
mod determinism;
mod document;
mod entry;
mod findings;
#[cfg(test)]
pub(crate) mod fixture;
mod gate;
mod invariants;
mod page;
mod planted;
mod run;
mod sweep;
mod timeline;

pub use catalogue::{Row, catalogue};
pub use check::check;
pub use determinism::{determinism, determinism_line};
pub use document::document;
pub use entry::{Entry, entry};
pub use gate::{Step, step_begun, step_done, summary};
pub(crate) use page::{count, plural, seconds, severity_name, span};
pub use page::{error_mark, verdict_word};
pub(crate) use planted::missed;
pub use planted::{planted, planted_line};
pub use run::run;
pub use sweep::{line as sweep_line, sweep};
pub(crate) use timeline::phase_name;
