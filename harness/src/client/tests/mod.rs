//! The client against a scripted broker, in paused time: every way a request can end.

mod connecting;
mod consuming;
mod fake;
mod fake_group;
mod grouping;
mod producing;
mod world;

use std::rc::Rc;
use std::time::Duration;

use super::producer::ProducerConfig;
use super::{Client, Settings};
use fake::{ADDR, Fake};
use world::World;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A client of the fake broker that gives a request 200 ms.
fn client(world: &World) -> Client<World> {
    let bootstrap = vec![ADDR.to_owned()];
    let settings = Settings { bootstrap, request_timeout: ms(200), connect_timeout: ms(100), ..Settings::default() };
    Client::new(world.clone(), settings)
}

/// A delivery timeout of one second, else the defaults.
fn config() -> ProducerConfig {
    ProducerConfig { delivery_timeout: ms(1000), max_block: ms(1000), ..ProducerConfig::default() }
}

fn start(world: &World, partitions: i32) -> (Rc<Fake>, Client<World>) {
    (Fake::start(world, partitions), client(world))
}
