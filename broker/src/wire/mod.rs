//! Bytes to requests: framing, and the bounds that are checked before anything is decoded.
//!
//! Nothing here trusts a peer. What passes [`guard`] is safe to hand to the `kafka-protocol` crate, which aborts the
//! process on a hostile count.

pub mod answers;
pub mod frame;
pub mod guard;
pub mod layout;
pub mod words;
