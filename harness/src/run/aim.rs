//! Resolves a strike's target to hosts, at the moment it strikes.

use broker::ids::NodeId;

use crate::app;
use crate::fault::Aim;
use crate::history::TpId;
use crate::plan::{Strike, Target};
use crate::seed::{Draw, Seed};
use crate::sim::{Host, World};

use super::roles::Roles;

/// What is known when a strike is due.
pub(super) struct Scene<'a> {
    pub(super) world: &'a dyn World,
    pub(super) roles: &'a Roles,
    /// Brokers that earlier strikes hold in their grip.
    pub(super) struck: &'a [Host],
    /// Hosts that steps of the recipe have hit.
    pub(super) hit: &'a [Host],
    /// Replicas of each partition.
    pub(super) replicas: usize,
}

/// What came of resolving.
pub(super) enum Found {
    /// These hosts.
    Aim(Aim),
    /// Nobody has the role at this moment: later somebody may.
    NotYet,
    /// Nobody is there to be hit.
    Nobody,
}

impl Scene<'_> {
    /// Finds the hosts that `strike` hits, among those that are up.
    pub(super) fn resolve(&self, strike: &Strike) -> Found {
        let mut draw = Seed::new(strike.salt).split("target", 0).draw();
        if strike.target == Target::Nobody {
            return Found::Aim(Aim { hosts: Vec::new(), peers: Vec::new() });
        }
        let (broker, client) = (one(&self.brokers(), &mut draw), one(&self.up(self.world.clients()), &mut draw));
        let (Some(any), Some(other)) = (broker.or(client), client.or(broker)) else { return Found::Nobody };
        match strike.target {
            Target::App => {
                let apps =
                    self.up(self.world.clients()).into_iter().filter(|host| app::is_host(&self.world.name(*host)));
                Found::of(one(&apps.collect::<Vec<_>>(), &mut draw).map(|app| vec![app]), vec![any])
            }
            // Of one broker alone, the other ends are its clients.
            _ if self.world.brokers().len() == 1 => self.alone(strike.target, broker, client),
            Target::Client => Found::of(client.map(|c| vec![c]), vec![any]),
            Target::ClientLink => Found::of(broker.map(|b| vec![b]), vec![other]),
            Target::Broker => self.against_others(broker.map(|b| vec![b])),
            Target::Majority => self.against_others(Some(self.drawn(self.world.brokers().len() / 2 + 1, &mut draw))),
            Target::Everyone => self.against_others(Some(self.up(self.world.nodes()))),
            Target::Voter => self.against_others(one(&self.up(self.voters()), &mut draw).map(|voter| vec![voter])),
            Target::BrokerLink => {
                let two = self.drawn(2, &mut draw);
                Found::of(two.first().map(|a| vec![*a]), two[1.min(two.len())..].to_vec())
            }
            _ => self.role(strike.target, &mut draw).unwrap_or(Found::NotYet),
        }
    }

    fn alone(&self, target: Target, broker: Option<Host>, client: Option<Host>) -> Found {
        let (on_client, other) = (target == Target::Client, |end: Option<Host>| end.into_iter().collect::<Vec<_>>());
        match (on_client, broker, client) {
            (true, _, Some(client)) => Found::of(Some(vec![client]), other(broker.or(Some(client)))),
            (false, Some(_), None) if target == Target::ClientLink => Found::Nobody,
            (false, Some(broker), _) => Found::of(Some(vec![broker]), other(client.or(Some(broker)))),
            _ => Found::Nobody,
        }
    }

    /// A target that stands for a role; `None` while nobody has it.
    fn role(&self, target: Target, draw: &mut Draw) -> Option<Found> {
        let hosts = match target {
            Target::LeaderOf(p) => vec![self.host(self.roles.leader(TpId(p))?)?],
            Target::FollowerOf(p) => vec![one(&self.followers(p), draw)?],
            Target::Controller => vec![self.host(self.roles.controller()?)?],
            Target::Minority => self.minority(draw)?,
            Target::Spared if self.roles.whole(self.replicas) => self.minority(draw).or_else(|| self.again())?,
            Target::SparedLeader(p) if self.roles.whole(self.replicas) => {
                let leader = self.host(self.roles.leader(TpId(p))?)?;
                self.world.brokers().iter().all(|b| *b == leader || !self.fails(*b)).then(|| vec![leader])?
            }
            Target::LeaderLinks(p) => {
                let leader = self.host(self.roles.leader(TpId(p))?)?;
                return Some(Found::of(Some(vec![leader]), self.followers(p)));
            }
            Target::FollowerLink(p) => {
                let leader = self.host(self.roles.leader(TpId(p))?)?;
                return Some(Found::of(Some(vec![one(&self.followers(p), draw)?]), vec![leader]));
            }
            Target::LeaderClients(p) => {
                let leader = self.host(self.roles.leader(TpId(p))?)?;
                return Some(Found::of(Some(vec![leader]), self.up(self.world.clients())));
            }
            Target::Double => {
                let double = |host: &Host| self.world.twin(*host).is_some();
                self.brokers().into_iter().find(double).map(|host| vec![host])?
            }
            Target::Fresh(count) => self.fresh(count, draw)?,
            _ => return None,
        };
        Some(self.against_others(Some(hosts)))
    }

    /// These hosts against every other node.
    fn against_others(&self, hosts: Option<Vec<Host>>) -> Found {
        let others = |hosts: &Vec<Host>| self.world.nodes().into_iter().filter(|b| !hosts.contains(b)).collect();
        let peers = hosts.as_ref().map(others).unwrap_or_default();
        Found::of(hosts, peers)
    }

    /// As many brokers as may fail besides those that are struck or down already.
    fn minority(&self, draw: &mut Draw) -> Option<Vec<Host>> {
        let all = self.world.brokers();
        let failing = all.iter().filter(|b| self.fails(**b)).count();
        let room = (all.len().saturating_sub(1) / 2).checked_sub(failing).filter(|room| *room > 0)?;
        Some(self.drawn(room, draw))
    }

    /// So many brokers, all if it is 0, that no step of the recipe has hit.
    fn fresh(&self, count: u32, draw: &mut Draw) -> Option<Vec<Host>> {
        let mut hosts = self.brokers();
        hosts.retain(|host| !self.hit.contains(host));
        let count = if count == 0 { hosts.len() } else { count as usize };
        thin(&mut hosts, count, draw);
        (hosts.len() == count && count > 0).then_some(hosts)
    }

    /// Those that are struck, and up, if no more than a minority fails.
    fn again(&self) -> Option<Vec<Host>> {
        let all = self.world.brokers();
        let failing: Vec<Host> = all.iter().copied().filter(|b| self.fails(*b)).collect();
        let few = failing.len() <= all.len().saturating_sub(1) / 2;
        Some(self.up(failing)).filter(|up| few && !up.is_empty())
    }

    fn fails(&self, broker: Host) -> bool {
        self.struck.contains(&broker) || !self.world.up(broker)
    }

    /// So many brokers that are up, by draw, in the order of the world's list.
    fn drawn(&self, count: usize, draw: &mut Draw) -> Vec<Host> {
        let mut hosts = self.brokers();
        thin(&mut hosts, count, draw);
        hosts
    }

    fn up(&self, hosts: Vec<Host>) -> Vec<Host> {
        hosts.into_iter().filter(|h| self.world.up(*h)).collect()
    }

    fn brokers(&self) -> Vec<Host> {
        self.up(self.world.brokers())
    }

    fn followers(&self, p: u32) -> Vec<Host> {
        self.roles.followers(TpId(p)).iter().filter_map(|node| self.host(*node)).collect()
    }

    /// Who votes on metadata: the controllers, or where there are none, the brokers.
    fn voters(&self) -> Vec<Host> {
        let controllers = self.world.controllers();
        if controllers.is_empty() { self.world.brokers() } else { controllers }
    }

    /// The host of a node, if it is up. Nodes are numbered by their place in the world's list.
    fn host(&self, node: NodeId) -> Option<Host> {
        let host = self.world.nodes().get(usize::try_from(node.0).ok()?).copied();
        host.filter(|h| self.world.up(*h))
    }
}

impl Found {
    fn of(hosts: Option<Vec<Host>>, peers: Vec<Host>) -> Self {
        match hosts {
            Some(hosts) if !hosts.is_empty() => Found::Aim(Aim { hosts, peers }),
            _ => Found::Nobody,
        }
    }
}

/// Takes hosts out, by draw, until so many are left.
fn thin(hosts: &mut Vec<Host>, count: usize, draw: &mut Draw) {
    while hosts.len() > count {
        let out = draw.below(hosts.len() as u64);
        hosts.remove(usize::try_from(out).unwrap_or(0));
    }
}

fn one(hosts: &[Host], draw: &mut Draw) -> Option<Host> {
    (!hosts.is_empty()).then(|| *draw.pick(hosts))
}
