//! The live world: real files, real sockets, real time.

pub mod disk;

pub use disk::{RealDisk, RealFile};
