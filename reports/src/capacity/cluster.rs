//! How many brokers each resource asks for, which of them binds, and what must be there besides for those that may be lost.

use super::derivation::{Sheet, Term, Whole};
use super::given::Point;
use super::input;
use super::load::{Load, Traffic};
use super::partitions::Parallel;
use super::unit::{Count, Over};

/// What one resource asks for.
#[derive(Clone, Debug)]
pub(super) struct Need {
    /// The resource.
    pub resource: &'static str,
    /// What all brokers must give together.
    pub demand: String,
    /// What one of them may be asked for.
    pub each: String,
    /// Brokers, before they are rounded up.
    pub exact: f64,
    /// Brokers.
    pub brokers: Term<Count>,
}

/// How many there are.
pub(super) struct Cluster {
    /// By resource.
    pub needs: Vec<Need>,
    /// So many there are.
    pub brokers: Term<Count>,
    /// Whether that is because each replica needs a broker of its own, and for no other reason.
    pub by_copies: bool,
}

/// What `resource` asks for, on a line of this name.
fn need<U>(sheet: &mut Sheet, resource: &'static str, line: &'static str, demand: &Term<U>, each: &Term<U>) -> Need
where
    U: Over<U, Out: Whole>,
{
    let exact = demand.over(each);
    let brokers = sheet.line(line, exact.ceil());
    Need { resource, demand: demand.value().show(), each: each.value().show(), exact: exact.get(), brokers }
}

/// Brokers by storage, disk, network, processors, memory and partitions; the greatest binds.
pub(super) fn cluster(sheet: &mut Sheet, at: &Point, load: &Load, traffic: &Traffic, parallel: &Parallel) -> Cluster {
    sheet.part("Brokers");
    let busy = at.get(&input::UTILISATION);
    let usable = at.get(&input::DISK).times(&at.get(&input::FILL));
    let disk = at.get(&input::DISK_RATE).times(&busy);
    let network = at.get(&input::NETWORK).times(&busy);
    let cores = at.get(&input::CORES).times(&busy);
    let most = at.get(&input::REPLICAS_PER_BROKER);
    let mut needs = vec![
        need(sheet, "storage", "brokers by storage", &load.stored, &usable),
        need(sheet, "disk throughput", "brokers by disk throughput", &traffic.disk, &disk),
        need(sheet, "network in", "brokers by network in", &traffic.network_in, &network),
        need(sheet, "network out", "brokers by network out", &traffic.network_out, &network),
        need(sheet, "processors", "brokers by processors", &traffic.cores, &cores),
        need(sheet, "memory", "brokers by memory", &traffic.cached, &at.get(&input::CACHE)),
        need(sheet, "partitions", "brokers by partitions", &parallel.replicas, &most),
    ];
    if let Some(rate) = at.find(&input::BROKER_RATE) {
        let rate = rate.times(&busy);
        needs.push(need(sheet, "measured throughput", "brokers by measured throughput", &traffic.network_in, &rate));
    }
    let each: Vec<&Term<Count>> = needs.iter().map(|need| &need.brokers).collect();
    let needed = sheet.line("brokers that must be left", Term::most(&each));
    let spare = sheet.line("with brokers lost", needed.plus(&at.get(&input::LOSE_BROKERS)));
    let copies = at.get(&input::REPLICATION);
    let (racks, lost) = (at.get(&input::RACKS), at.get(&input::LOSE_RACKS));
    let brokers = if lost.get() > 0.0 {
        // Of B brokers in R racks a rack has at most ceil(B / R), so that floor(B (R - 1) / R) are left.
        let by_rack = sheet.line("with a rack lost", needed.times(&racks).over(&racks.less(&lost)).ceil());
        sheet.line("brokers", Term::most(&[&spare, &by_rack, &copies]))
    } else {
        sheet.line("brokers", Term::most(&[&spare, &copies]))
    };
    let by_copies = copies.get() > spare.get().max(needed.get()) && brokers.get() == copies.get();
    Cluster { needs, brokers, by_copies }
}
