//! The command line of Logquake.
fn main() {}
