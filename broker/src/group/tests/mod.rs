//! The coordinator's groups: cases by name, and random lives beside a naive model.
