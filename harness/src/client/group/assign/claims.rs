//! Whose word on what it owns counts: only that of members who were there in the newest generation, and of two who
//! claim the same, neither's (KAFKA-12984, KAFKA-13419).

use std::collections::BTreeMap;
use std::sync::Arc;

use broker::ids::TopicPartition;
use broker::planted::{Defect, planted};

use super::{Member, Partitions};

/// Who owns what, as far as that is beyond doubt and still wanted by its owner.
pub(super) fn valid(members: &[Member], partitions: &Partitions) -> BTreeMap<TopicPartition, Arc<str>> {
    if planted(Defect::GcDoubleOwnCooperative) {
        let mut oldest: Vec<&Member> = members.iter().collect();
        oldest.sort_by_key(|member| std::cmp::Reverse(member.generation));
        let claims = |member: &'_ Member| (member.id.clone(), member.owned.clone());
        let claims = oldest.into_iter().map(claims);
        return claims.flat_map(|(id, owned)| owned.into_iter().map(move |tp| (tp, id.clone()))).collect();
    }
    let newest = members.iter().map(|member| member.generation).max().unwrap_or(-1);
    let mut claims: BTreeMap<TopicPartition, Vec<&Member>> = BTreeMap::new();
    for member in members.iter().filter(|member| member.generation == newest) {
        for tp in &member.owned {
            claims.entry(tp.clone()).or_default().push(member);
        }
    }
    let beyond_doubt = claims.into_iter().filter_map(|(tp, claimants)| {
        let [owner] = claimants[..] else { return None };
        let exists = partitions.get(&tp.topic).is_some_and(|count| (0..*count).contains(&tp.partition));
        (exists && owner.topics.contains(&tp.topic)).then(|| (tp, owner.id.clone()))
    });
    beyond_doubt.collect()
}
