//! One partition as the controller has decided it, and how a decision changes it.

use crate::ids::{LeaderEpoch, NodeId, PartitionEpoch};
use crate::planted::{Defect, planted};

/// Stands for "nobody" where a change names a leader (`LeaderConstants.NO_LEADER`).
pub const NO_LEADER: NodeId = NodeId(-1);

/// How the present leader came to lead: what may be believed of its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Elected {
    /// From the in-sync set or the eligible leader replicas: it has all that is committed.
    #[default]
    Clean,
    /// Nobody was known to have all that is committed, and it was the last that led (KIP-966). It has been down
    /// uncleanly: what it had not made durable is gone.
    LastKnown,
    /// It lacks whatever it lacks: `unclean.leader.election.enable`, or an operator, would have it so.
    Unclean,
}

impl Elected {
    /// Whether committed records may be gone.
    pub fn is_unclean(self) -> bool {
        self != Elected::Clean
    }
}

/// A partition's place in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionState {
    /// Who leads it; `None`: nobody can.
    pub leader: Option<NodeId>,
    /// Counts the leaders. Never falls.
    pub leader_epoch: LeaderEpoch,
    /// Counts the decisions about it (KIP-497). Grows with each.
    pub partition_epoch: PartitionEpoch,
    /// Who has it, the preferred leader first.
    pub replicas: Vec<NodeId>,
    /// Who has all that is committed. Empty while nobody leads.
    pub in_sync: Vec<NodeId>,
    /// Those of `replicas` that a reassignment has added, until all of them are in sync (KIP-455).
    pub adding: Vec<NodeId>,
    /// Those of `replicas` that go when the reassignment is done.
    pub removing: Vec<NodeId>,
    /// Who has left the in-sync set while it was below `min.insync.replicas`, and so has all that is committed, too
    /// (eligible leader replicas, KIP-966).
    pub elr: Vec<NodeId>,
    /// Who led last, while nobody does (KIP-966).
    pub last_known_elr: Vec<NodeId>,
    /// How the leader was elected.
    pub elected: Elected,
}

impl PartitionState {
    /// A new partition with these replicas, led by the first that is active. `None`: none is.
    pub fn new(replicas: Vec<NodeId>, active: impl Fn(NodeId) -> bool) -> Option<Self> {
        let in_sync: Vec<NodeId> = replicas.iter().copied().filter(|node| active(*node)).collect();
        let leader = Some(*in_sync.first()?);
        Some(Self { leader, replicas, in_sync, ..Self::default() })
    }

    /// Who is to lead it if possible.
    pub fn preferred(&self) -> Option<NodeId> {
        self.replicas.first().copied()
    }

    /// Whether replicas are being moved.
    pub fn is_reassigning(&self) -> bool {
        !(self.adding.is_empty() && self.removing.is_empty())
    }

    /// Makes a change so. As in Kafka (`PartitionRegistration.merge`) every change is a new partition epoch, and one
    /// that names a leader, be it the same, a new leader epoch.
    pub fn apply(&mut self, delta: &PartitionDelta) {
        let set = |to: &mut Vec<NodeId>, from: &Option<Vec<NodeId>>| {
            if let Some(from) = from {
                to.clone_from(from);
            }
        };
        set(&mut self.replicas, &delta.replicas);
        set(&mut self.in_sync, &delta.in_sync);
        set(&mut self.adding, &delta.adding);
        set(&mut self.removing, &delta.removing);
        set(&mut self.elr, &delta.elr);
        set(&mut self.last_known_elr, &delta.last_known_elr);
        if let Some(leader) = delta.leader {
            self.leader = (leader != NO_LEADER).then_some(leader);
            if !planted(Defect::CtEpochNotBumped) {
                self.leader_epoch = self.leader_epoch.saturating_add(1);
            }
        }
        if let Some(elected) = delta.elected {
            self.elected = elected;
        }
        self.partition_epoch = self.partition_epoch.saturating_add(1);
    }
}

/// What changes of a partition. `None`: stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PartitionDelta {
    /// Who leads, [`NO_LEADER`] for nobody. Naming the present leader makes it lead in the next epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<NodeId>,
    /// How it was elected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elected: Option<Elected>,
    /// Who has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Vec<NodeId>>,
    /// Who has all that is committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_sync: Option<Vec<NodeId>>,
    /// Whom a reassignment adds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adding: Option<Vec<NodeId>>,
    /// Whom it removes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removing: Option<Vec<NodeId>>,
    /// Who else has all that is committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elr: Option<Vec<NodeId>>,
    /// Who led last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_known_elr: Option<Vec<NodeId>>,
}
