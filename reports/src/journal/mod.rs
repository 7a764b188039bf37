//! A sweep's results as they are written while it runs: a line for each run, appended when it ends, so that whoever is killed
//! loses one line at most and half a million runs are about a hundred megabytes.
//!
//! The first line says what was asked of which program. A passed run is an array of numbers; one that did not pass has its
//! report beside it, as far as a sweep keeps them. [`Merged`] takes such lines in whatever order, from however many files.

mod line;
mod merged;
#[cfg(test)]
mod tests;

pub use line::{Header, Line, Run};
pub use merged::{Merged, Read};
