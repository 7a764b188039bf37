//! The same cases of disk and network on both worlds: what holds in the simulator holds on a real machine, and the other
//! way round. (`.unwrap()` is what a test is made of.)

#[path = "parity/disk.rs"]
mod disk;
#[path = "parity/net.rs"]
mod net;
#[path = "parity/worlds.rs"]
mod worlds;
