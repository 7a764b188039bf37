//! What it costs to lose a broker: what the others get more of, and how long it takes until there are as many copies as before.

use super::cluster::Cluster;
use super::derivation::{Sheet, Term};
use super::given::Point;
use super::input;
use super::load::{Load, Traffic};
use super::unit::{Bytes, Count, Share};

/// The line that says how full the disks are of those that are left.
pub(super) const FULL: &str = "disks are then full by";

/// Writes down what each broker has, and what becomes of that when one is gone.
pub(super) fn loss(sheet: &mut Sheet, at: &Point, load: &Load, traffic: &Traffic, cluster: &Cluster) {
    sheet.part("Each broker");
    let brokers = &cluster.brokers;
    sheet.line("data of a broker", load.stored.over(brokers));
    sheet.line("writes of a broker", traffic.written.over(brokers));
    sheet.line("network in of a broker", traffic.network_in.over(brokers));
    sheet.line("network out of a broker", traffic.network_out.over(brokers));
    sheet.line("the page cache reaches back", at.get(&input::CACHE).times(brokers).over(&traffic.written));

    sheet.part("Losing one broker");
    let one: Term<Count> = Term::constant("1", 1.0);
    let left = sheet.line("brokers left", brokers.less(&one));
    let whole: Term<Share> = Term::constant("1", 1.0);
    sheet.line("the others carry more by", whole.over(&left));
    let data: Term<Bytes> = sheet.line("data to be copied again", load.stored.over(brokers));
    sheet.line("each of the others then holds", load.stored.over(&left));
    sheet.line(FULL, load.stored.over(&at.get(&input::DISK).times(&left)));
    let pace = at.get(&input::REBUILD_RATE).times(&left);
    sheet.line("time to re-replicate", data.over(&pace));
}
