//! What a person or a machine reads of a run: terminal text, JSON, traces for a viewer. Nothing here runs anything.
//!
//! Text comes with ANSI styles in it; whoever prints it decides whether they stay (`anstream` strips them where the
//! output is no terminal, or `NO_COLOR` is set).

pub mod capacity;
pub mod chart;
pub mod chrome;
pub mod document;
pub mod github;
pub mod journal;
pub mod json;
pub mod junit;
pub mod outcome;
pub mod page;
pub mod prometheus;
pub mod suite;
pub mod summary;
pub mod text;
pub mod verdicts;
