//! A topic that is deleted and made anew under its name is another one, and nodes come to it one after the other: what a
//! node states of a partition is about the topic whose replica it holds. Here the statements about a name are parted, so
//! that only those about the newest topic of that name are judged.

use std::collections::{BTreeMap, BTreeSet};

use broker::controller::record::TopicId;
use broker::fact::Fact;
use broker::ids::NodeId;

use crate::history::{Event, Kind, TpId};

/// What to make of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is about what there is, or about no partition.
    Present,
    /// It begins, or leaves nothing but, a new topic of that name: all that was known is of another.
    Renewed(TpId),
    /// It is about a topic that there is no more.
    Past,
    /// A node lets go of a topic that was gone already for others, and may have served it until now.
    Outlived(TpId),
}

/// What a node holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    topic: TopicId,
    /// Its process has begun since, and serves nothing of it before it says so again.
    asleep: bool,
}

/// The topics of one name, as seen by one partition of it.
#[derive(Debug, Default)]
struct Name {
    present: Option<TopicId>,
    past: BTreeSet<TopicId>,
    /// The present one is deleted: somebody has said so.
    over: bool,
    held: BTreeMap<NodeId, Held>,
}

/// A fold over facts. Where nodes do not say what they hold, every statement is about what there is.
#[derive(Debug, Default)]
pub struct Generations(BTreeMap<TpId, Name>);

impl Generations {
    /// Takes an event in.
    pub fn see(&mut self, event: &Event) -> Seen {
        match &event.kind {
            Kind::Up { node: Some(node), .. } => {
                let held = self.0.values_mut().filter_map(|name| name.held.get_mut(node));
                held.for_each(|held| held.asleep = true);
                Seen::Present
            }
            Kind::Fact { node, tp: Some(tp), fact, .. } => {
                let name = match fact {
                    Fact::Holds { .. } | Fact::Decided { .. } => self.0.entry(*tp).or_default(),
                    _ => match self.0.get_mut(tp) {
                        Some(name) => name,
                        None if matches!(fact, Fact::Deleted { .. }) => return Seen::Renewed(*tp),
                        None => return Seen::Present,
                    },
                };
                name.fact(*tp, *node, fact)
            }
            _ => Seen::Present,
        }
    }
}

impl Name {
    fn fact(&mut self, tp: TpId, node: NodeId, fact: &Fact) -> Seen {
        match fact {
            Fact::Holds { topic, .. } => {
                self.held.insert(node, Held { topic: *topic, asleep: false });
                self.mentioned(tp, *topic)
            }
            Fact::Decided { topic, .. } => self.mentioned(tp, *topic),
            Fact::Deleted { .. } => match self.held.get(&node) {
                Some(held) if self.is_past(held.topic) && held.asleep => Seen::Past,
                Some(held) if self.is_past(held.topic) => Seen::Outlived(tp),
                _ => {
                    self.over = true;
                    Seen::Renewed(tp)
                }
            },
            _ if self.held.get(&node).is_some_and(|held| self.is_past(held.topic)) => Seen::Past,
            _ => Seen::Present,
        }
    }

    fn is_past(&self, topic: TopicId) -> bool {
        self.past.contains(&topic) || (self.over && self.present == Some(topic))
    }

    /// A topic that was not heard of before is the newest.
    fn mentioned(&mut self, tp: TpId, topic: TopicId) -> Seen {
        if self.is_past(topic) {
            return Seen::Past;
        }
        let before = self.present.replace(topic);
        if before == Some(topic) {
            return Seen::Present;
        }
        self.past.extend(before);
        // Whoever said that the one before is deleted has renewed it.
        match (before, std::mem::take(&mut self.over)) {
            (Some(_), false) => Seen::Renewed(tp),
            _ => Seen::Present,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{TP, Tale, holds, in_sync, leads, mark, marks, replicated, three, tp};
    use super::*;

    /// Nodes 0, 1 and 2 hold a topic; then it is deleted and made anew, which node 0 is the last to hear.
    fn tale() -> Tale {
        let mut tale = Tale::new(three());
        for node in 0..3 {
            tale.fact_of(node, holds(1));
        }
        tale.fact_of(0, leads(0, 0, &[0, 1, 2])).append(mark(0, 1));
        tale.fact_of(1, replicated(mark(0, 1))).fact_of(2, replicated(mark(0, 1)));
        for node in [1, 2] {
            tale.fact_of(node, Fact::Deleted { tp: tp() }).fact_of(node, holds(2));
        }
        tale
    }

    #[test]
    fn what_a_late_one_states_is_of_the_old_topic() {
        let mut tale = tale();
        tale.fact_of(1, leads(0, 0, &[1, 2]));
        tale.fact_of(0, marks(2, 2, 0)).fact_of(0, Fact::Deleted { tp: tp() }).fact_of(0, holds(2));
        tale.fact_of(1, in_sync(0, 1, &[0, 1, 2], &[0, 1, 2])).fact_of(1, marks(0, 0, 0));
        ["W1", "W4", "W6", "W9"].iter().for_each(|id| tale.holds(id));
    }

    #[test]
    fn what_the_new_topic_promises_is_held_to() {
        let mut tale = tale();
        tale.fact_of(1, leads(0, 0, &[1, 2])).fact_of(1, replicated(mark(0, 1))).fact_of(1, marks(2, 2, 0));
        tale.breaks("W6", 1);
    }

    #[test]
    fn whoever_lets_go_late_may_have_served_until_then_unless_it_was_away() {
        let mut generations = Generations::default();
        let mut seen = |event: &Event| generations.see(event);
        let tale = tale();
        let last = tale.events.iter().map(&mut seen).filter(|seen| *seen == Seen::Renewed(TP)).count();
        assert_eq!(last, 1, "it is renewed once");
        let fact = |fact| Kind::Fact { node: NodeId(0), incarnation: 0, tp: Some(TP), fact };
        let mut says = |kind| seen(&Event { at: 0, kind });
        assert_eq!(says(fact(marks(2, 2, 0))), Seen::Past);
        assert_eq!(says(fact(Fact::Deleted { tp: tp() })), Seen::Outlived(TP));
        assert_eq!(says(Kind::Up { host: "b0".into(), node: Some(NodeId(0)), incarnation: 1 }), Seen::Present);
        assert_eq!(says(fact(Fact::Deleted { tp: tp() })), Seen::Past);
        assert_eq!(says(fact(holds(2))), Seen::Present);
        assert_eq!(says(fact(Fact::Deleted { tp: tp() })), Seen::Renewed(TP));
    }
}
