//! The controller, driven by hand and by chance.

mod brokers;
mod data;
mod elections;
mod places;
mod plans;
mod random;
mod snapshots;
mod world;

use std::time::Duration;

use super::image::Image;
use super::record::{Incarnation, MetadataRecord, TopicId};
use super::request::Settings;
use crate::config::LogConfig;
use crate::ids::NodeId;

fn settings() -> Settings {
    Settings {
        log: LogConfig::default(),
        num_partitions: 4,
        replication: 1,
        session_timeout: Duration::from_secs(9),
        unclean: false,
        unclean_interval: Duration::from_secs(300),
        balance_interval: Some(Duration::from_secs(300)),
    }
}

fn id(n: u64) -> TopicId {
    TopicId::draw(|| n)
}

/// A registered broker, at offset 100 + `node`.
fn broker(node: i32, rack: Option<&str>, fenced: bool) -> MetadataRecord {
    MetadataRecord::RegisterBroker {
        node: NodeId(node),
        incarnation: Incarnation::draw(|| 0),
        epoch: 100 + i64::from(node),
        host: format!("host{node}"),
        port: 9092,
        rack: rack.map(Into::into),
        fenced,
    }
}

/// Draws 0, 1, 2, ...
fn counting() -> impl FnMut() -> u64 {
    let mut next = 0;
    move || {
        next += 1;
        next - 1
    }
}

fn fold(records: &[MetadataRecord]) -> Image {
    let mut image = Image::default();
    records.iter().for_each(|record| image.apply(record));
    image
}
