//! Record batches of format version 2 (KIP-98), as producers build them, the log stores them and consumers read them.
//!
//! The broker looks at the header only ([`batch`]); records are written ([`build`]) and read ([`read`]) by clients.
//! Our own code and not the protocol crate's, because that one copies, decodes every record, and aborts the process on
//! a hostile record count.

pub mod batch;
pub mod build;
mod compression;
mod error;
pub mod read;
pub mod sift;
pub mod varint;

pub use batch::{Batch, Batches, Header};
pub use build::BatchBuilder;
pub use compression::{Compression, compress, inflate};
pub use error::BatchError;
pub use read::{Record, Records, Unpacked};
pub use sift::check_keyed;

#[cfg(test)]
mod tests;
