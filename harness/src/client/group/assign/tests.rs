//! The assignors against cases from Kafka's own documentation, and against what must hold of any assignment.

use proptest::prelude::*;

use super::*;

fn member(id: &str, topics: &[&str], owned: &[(&str, i32)], generation: i32) -> Member {
    Member {
        id: id.into(),
        instance: None,
        topics: topics.iter().map(|topic| Arc::from(*topic)).collect(),
        owned: owned.iter().map(|(topic, number)| TopicPartition::new(*topic, *number)).collect(),
        generation,
    }
}

fn topics(of: &[(&str, i32)]) -> Partitions {
    of.iter().map(|(topic, count)| (Arc::from(*topic), *count)).collect()
}

/// A plan in one line: `a: t0-0 t0-1; b: t1-0`.
fn line(plan: &Plan) -> String {
    let share = |(id, share): (&Arc<str>, &BTreeSet<TopicPartition>)| {
        format!("{id}: {}", share.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    };
    plan.iter().map(share).collect::<Vec<_>>().join("; ")
}

/// The plan carried out: everyone owns what it was given, in the next generation.
fn carried_out(members: &[Member], plan: &Plan) -> Vec<Member> {
    let generation = members.iter().map(|m| m.generation).max().unwrap_or(-1) + 1;
    members.iter().map(|m| Member { owned: plan[&m.id].clone(), generation, ..m.clone() }).collect()
}

#[test]
fn range_pairs_the_partitions_of_like_topics() {
    let members = [member("c1", &["t0", "t1"], &[], -1), member("c0", &["t0", "t1"], &[], -1)];
    let plan = Assignor::Range.assign(&members, &topics(&[("t0", 3), ("t1", 3)]));
    assert_eq!(line(&plan), "c0: t0-0 t0-1 t1-0 t1-1; c1: t0-2 t1-2");
}

#[test]
fn static_members_stand_first_and_by_their_instance() {
    let named = |id, instance: &str| Member { instance: Some(instance.into()), ..member(id, &["t"], &[], -1) };
    let members = [member("a", &["t"], &[], -1), named("z", "i1"), named("b", "i2")];
    assert_eq!(line(&Assignor::Range.assign(&members, &topics(&[("t", 4)]))), "a: t-3; b: t-2; z: t-0 t-1");
}

#[test]
fn round_robin_passes_over_who_does_not_want_the_topic() {
    let members = [
        member("c0", &["t0"], &[], -1),
        member("c1", &["t0", "t1"], &[], -1),
        member("c2", &["t0", "t1", "t2"], &[], -1),
    ];
    let plan = Assignor::RoundRobin.assign(&members, &topics(&[("t0", 1), ("t1", 2), ("t2", 3)]));
    assert_eq!(
        line(&plan),
        "c0: t0-0; c1: t1-0; c2: t1-1 t2-0 t2-1 t2-2",
        "the example in RoundRobinAssignor's javadoc"
    );
    let plan = Assignor::Sticky.assign(&members, &topics(&[("t0", 1), ("t1", 2), ("t2", 3)]));
    assert_eq!(line(&plan), "c0: t0-0; c1: t1-0 t1-1; c2: t2-0 t2-1 t2-2", "the example in StickyAssignor's javadoc");
}

#[test]
fn sticky_moves_only_what_the_gone_one_had() {
    let all = ["t0", "t1", "t2", "t3"];
    let members = ["c0", "c1", "c2"].map(|id| member(id, &all, &[], -1));
    let partitions = topics(&all.map(|topic| (topic, 2)));
    let first = Assignor::Sticky.assign(&members, &partitions);
    let left: Vec<_> = carried_out(&members, &first).into_iter().filter(|m| &*m.id != "c1").collect();
    let second = Assignor::Sticky.assign(&left, &partitions);
    for id in ["c0", "c2"] {
        assert!(second[id].is_superset(&first[id]) && second[id].len() == 4, "{first:?} {second:?}");
    }
}

#[test]
fn cooperative_gives_a_moved_partition_a_round_later() {
    let members = [member("a", &["t"], &[("t", 0), ("t", 1)], 3), member("b", &["t"], &[], -1)];
    let partitions = topics(&[("t", 2)]);
    let first = Assignor::CooperativeSticky.assign(&members, &partitions);
    assert_eq!(line(&first), "a: t-0; b: ");
    let second = Assignor::CooperativeSticky.assign(&carried_out(&members, &first), &partitions);
    assert_eq!(line(&second), "a: t-0; b: t-1");
}

#[test]
fn a_claim_of_an_older_generation_is_not_honoured_nor_taken_over_at_once() {
    let partitions = topics(&[("t", 2)]);
    let members = [member("a", &["t"], &[("t", 0), ("t", 1)], 2), member("b", &["t"], &[("t", 0), ("t", 1)], 3)];
    let sticky = Assignor::Sticky.assign(&members, &partitions);
    assert_eq!(line(&sticky), "a: t-1; b: t-0", "b's word counts; it gives one away");
    let cooperative = Assignor::CooperativeSticky.assign(&members, &partitions);
    assert_eq!(line(&cooperative), "a: ; b: ", "both claim both: first they give them up");
}

#[test]
fn of_two_who_claim_the_same_neither_is_believed() {
    let members = [member("a", &["t"], &[("t", 0), ("t", 1)], 3), member("b", &["t"], &[("t", 0)], 3)];
    let plan = Assignor::Sticky.assign(&members, &topics(&[("t", 2)]));
    assert_eq!(line(&plan), "a: t-1; b: t-0", "what only one claims stays where it is");
}

#[test]
fn what_members_tell_comes_back_to_the_leader() {
    let owned = BTreeSet::from([TopicPartition::new("t", 1)]);
    let topics = BTreeSet::from(["t".into()]);
    for assignor in [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky, Assignor::CooperativeSticky] {
        let told = assignor.subscription(&topics, &owned, 5).encode();
        let member = assignor.member("m".into(), None, &told);
        let tells = matches!(assignor, Assignor::Sticky | Assignor::CooperativeSticky);
        assert_eq!((member.owned == owned, member.generation), (tells, 5), "{assignor:?}");
        assert_eq!(Assignor::named(assignor.name()), Some(assignor));
    }
    assert_eq!(Assignor::Range.member("m".into(), None, b"?").topics.len(), 0);
}

/// A group: up to eight members, up to four topics; who wants what, and whose word is how old, as may be.
fn groups(alike: bool) -> impl Strategy<Value = (Vec<Member>, Partitions)> {
    let counts = prop::collection::vec(0..7_i32, 1..5);
    let one = (any::<u8>(), prop::collection::btree_set((0..4_usize, 0..7_i32), 0..8), -1..3_i32, any::<bool>());
    (counts, prop::collection::vec(one, 1..8)).prop_map(move |(counts, each)| {
        let names = ["t0", "t1", "t2", "t3"];
        let partitions = counts.iter().enumerate().map(|(at, count)| (Arc::from(names[at]), *count)).collect();
        let members = each.into_iter().enumerate().map(|(at, (wants, owned, generation, is_static))| {
            let wants: Vec<_> = (0..4).filter(|bit| alike || wants & (1 << bit) != 0).map(|at| names[at]).collect();
            let owned: Vec<_> = owned.into_iter().map(|(topic, number)| (names[topic], number)).collect();
            let instance = is_static.then(|| format!("i{}", 9 - at).into());
            Member { instance, ..member(&format!("m{at}"), &wants, &owned, generation) }
        });
        (members.collect(), partitions)
    })
}

fn eager() -> impl Strategy<Value = Assignor> {
    prop::sample::select(vec![Assignor::Range, Assignor::RoundRobin, Assignor::Sticky])
}

/// Range, written naively: partition by partition, whoever's share it falls in.
fn naive_range(members: &[Member], partitions: &Partitions) -> Plan {
    let mut plan = empty(members);
    for (topic, count) in partitions {
        let takers: Vec<_> = in_order(members).into_iter().filter(|m| m.topics.contains(topic)).collect();
        let mut next = 0;
        for (at, member) in takers.iter().enumerate() {
            let rest = i32::try_from(takers.len() - at).unwrap();
            let share = (count - next + rest - 1) / rest;
            for number in next..next + share {
                plan.get_mut(&member.id).unwrap().insert(TopicPartition::new(topic.clone(), number));
            }
            next += share;
        }
    }
    plan
}

/// Round robin, written naively: the queue of members turns until its head wants the partition.
fn naive_round_robin(members: &[Member], partitions: &Partitions) -> Plan {
    let mut plan = empty(members);
    let mut queue: std::collections::VecDeque<_> = in_order(members).into();
    for tp in wanted(members, partitions) {
        let before = queue.iter().position(|m| m.topics.contains(&tp.topic)).unwrap();
        queue.rotate_left(before);
        plan.get_mut(&queue[0].id).unwrap().insert(tp);
        queue.rotate_left(1);
    }
    plan
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_wanted_partition_goes_to_one_who_wants_it((members, partitions) in groups(false), rule in eager()) {
        let plan = rule.assign(&members, &partitions);
        let mut given: Vec<_> = plan.values().flatten().cloned().collect();
        given.sort();
        prop_assert_eq!(given, wanted(&members, &partitions));
        for m in &members {
            prop_assert!(plan[&m.id].iter().all(|tp| m.topics.contains(&tp.topic)));
        }
    }

    #[test]
    fn range_and_round_robin_agree_with_their_naive_selves((members, partitions) in groups(false)) {
        prop_assert_eq!(Assignor::Range.assign(&members, &partitions), naive_range(&members, &partitions));
        let naive = naive_round_robin(&members, &partitions);
        prop_assert_eq!(Assignor::RoundRobin.assign(&members, &partitions), naive);
    }

    #[test]
    fn where_all_want_the_same_no_one_has_two_more_than_another((members, partitions) in groups(true)) {
        for rule in [Assignor::RoundRobin, Assignor::Sticky] {
            let plan = rule.assign(&members, &partitions);
            let loads: Vec<_> = plan.values().map(BTreeSet::len).collect();
            prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1, "{:?}", loads);
        }
    }

    #[test]
    fn sticky_leaves_no_move_that_would_balance((members, partitions) in groups(false)) {
        let plan = Assignor::Sticky.assign(&members, &partitions);
        for (from, to) in members.iter().flat_map(|a| members.iter().map(move |b| (a, b))) {
            let movable = plan[&from.id].iter().any(|tp| to.topics.contains(&tp.topic));
            prop_assert!(!movable || plan[&from.id].len() <= plan[&to.id].len() + 1);
        }
    }

    #[test]
    fn where_all_want_the_same_all_that_balance_allows_is_kept((members, partitions) in groups(true)) {
        let plan = Assignor::Sticky.assign(&members, &partitions);
        let owners = claims::valid(&members, &partitions);
        let total = wanted(&members, &partitions).len();
        let (floor, mut more) = (total / members.len(), total % members.len());
        let mut allowed = 0;
        for m in &members {
            let owned = owners.values().filter(|owner| **owner == m.id).count();
            let extra = usize::from(owned > floor && more > 0);
            more -= extra;
            allowed += owned.min(floor + extra);
        }
        let kept = owners.iter().filter(|(tp, owner)| plan[*owner].contains(*tp)).count();
        prop_assert_eq!(kept, allowed);
    }

    #[test]
    fn a_balanced_plan_is_not_touched_again((members, partitions) in groups(false)) {
        let plan = Assignor::Sticky.assign(&members, &partitions);
        let again = Assignor::Sticky.assign(&carried_out(&members, &plan), &partitions);
        prop_assert_eq!(again, plan);
    }

    #[test]
    fn cooperative_gives_nothing_that_another_holds_and_settles((members, partitions) in groups(false)) {
        let rule = Assignor::CooperativeSticky;
        let mut now = members;
        for round in 0.. {
            let plan = rule.assign(&now, &partitions);
            for m in &now {
                let held = now.iter().filter(|other| other.id != m.id).flat_map(|other| &other.owned);
                prop_assert!(held.into_iter().all(|tp| !plan[&m.id].contains(tp)), "round {}", round);
            }
            let next = carried_out(&now, &plan);
            let settled = next.iter().zip(&now).all(|(a, b)| a.owned == b.owned);
            now = next;
            if settled {
                break;
            }
            prop_assert!(round < 4, "still moving");
        }
        let given: BTreeSet<_> = now.iter().flat_map(|m| m.owned.clone()).collect();
        prop_assert_eq!(given.into_iter().collect::<Vec<_>>(), wanted(&now, &partitions));
    }
}
