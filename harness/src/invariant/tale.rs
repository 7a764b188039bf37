//! Tiny histories for tests.
