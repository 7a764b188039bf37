//! Random lives of a partition: committed records are never lost, and logs that share an epoch share everything before.

use proptest::prelude::*;

use super::world::{Message, Role, World};
use crate::ids::Offset;

/// Messages that one round of a quiet world may make.
const MOST_AT_ONCE: usize = 2000;

/// One thing that happens: what, and to whom (or to which message).
type Event = (u8, u8);

fn happen(world: &mut World, (what, whom): Event) {
    let node = usize::from(whom) % 3;
    match what {
        0..=9 => world.append(usize::from(whom) % 3),
        10..=29 => world.fetch(node),
        30..=39 => world.flushed(node),
        40..=79 => act(world, whom, |world, message| world.deliver(message)),
        80..=82 => act(world, whom, |world, message| world.lose(message)),
        83..=84 => act(world, whom, |world, message| {
            world.give_up(&message);
            world.wire.push(message);
        }),
        85..=86 => act(world, whom, |world, message| {
            if matches!(message, Message::Fetch(_)) {
                world.wire.push(message.clone());
            }
            world.deliver(message);
        }),
        87..=99 => world.hear(node),
        100..=102 => world.inspect(node),
        103..=105 => world.now += 9,
        106 => world.crash(node),
        107..=109 => world.restart(node),
        110 => world.fence(node),
        111 => world.checkpoint(node),
        112 => world.trim(node),
        _ => world.now += 1,
    }
}

fn act(world: &mut World, which: u8, act: impl FnOnce(&mut World, Message)) {
    if !world.wire.is_empty() {
        let message = world.wire.remove(usize::from(which) % world.wire.len());
        act(world, message);
    }
}

/// W1: the same epoch at the same offset means the same log before.
fn check_logs(world: &World) {
    for (a, one) in world.nodes.iter().enumerate() {
        for (b, other) in world.nodes.iter().enumerate().skip(a + 1) {
            let (start, end) = (one.log.start.max(other.log.start), one.log.end().min(other.log.end()));
            let same = |offset: &Offset| one.log.get(*offset).unwrap().0 == other.log.get(*offset).unwrap().0;
            let Some(last) = (start..end).rev().find(same) else { continue };
            for offset in start..=last {
                assert_eq!(one.log.get(offset), other.log.get(offset), "{a} and {b} part at {offset}, before {last}");
            }
        }
    }
}

/// W5: what a replica shows is committed, and in its log.
fn check_shown(world: &World) {
    for (number, node) in world.nodes.iter().enumerate() {
        let high = match &node.role {
            Role::Down => continue,
            Role::Leader(leader) => leader.high(),
            Role::Follower(follower) => follower.high,
        };
        assert!(high <= node.log.end(), "{number} shows {high}, and ends at {}", node.log.end());
        for offset in node.log.start..high {
            let committed = world.committed.get(usize::try_from(offset).unwrap()).copied();
            assert_eq!(node.log.get(offset), committed, "{number} shows {offset}, which is not committed");
        }
    }
}

/// Everyone comes back, and everything arrives: all must be in sync again, with one log.
fn settle(world: &mut World) {
    for node in 0..3 {
        world.restart(node);
    }
    for round in 0..150 {
        for node in 0..3 {
            world.hear(node);
            world.flushed(node);
            world.fetch(node);
            world.inspect(node);
        }
        world.now += 1;
        for _ in 0..MOST_AT_ONCE {
            if world.wire.is_empty() {
                break;
            }
            let message = world.wire.remove(0);
            world.deliver(message);
        }
        assert!(world.wire.is_empty(), "they talk without end: {:?}", world.wire.last());
        if round % 50 == 0
            && let Some(leader) = world.state().leader
        {
            world.append(usize::try_from(leader.0).unwrap());
        }
    }
}

proptest! {
    #[test]
    fn nothing_committed_is_lost(
        least in 1usize..=2,
        events in prop::collection::vec((0u8..120, any::<u8>()), 1..500),
    ) {
        let mut world = World::new(least);
        (0..3).for_each(|node| world.hear(node));
        for event in events {
            happen(&mut world, event);
            check_logs(&world);
            check_shown(&world);
        }
        settle(&mut world);
        check_logs(&world);
        check_shown(&world);
        let state = world.state();
        let leader = state.leader.expect("somebody leads");
        prop_assert_eq!(state.in_sync.len(), 3, "somebody is not in sync");
        let log = &world.nodes[usize::try_from(leader.0).unwrap()].log;
        prop_assert_eq!(usize::try_from(log.end()).unwrap(), world.committed.len(), "not all is committed");
        for node in &world.nodes {
            prop_assert_eq!(node.log.end(), log.end());
        }
    }
}

/// The random lives above are worth something only if they see things happen.
#[test]
fn lives_are_eventful() {
    use rand_free::draws;
    let (mut committed, mut acknowledged, mut elections) = (0, 0, 0);
    for seed in 0..200 {
        let mut world = World::new(1);
        (0..3).for_each(|node| world.hear(node));
        for event in draws(seed).take(400) {
            happen(&mut world, event);
        }
        committed += world.committed.len();
        acknowledged += world.acknowledged;
        elections += usize::try_from(world.state().leader_epoch).unwrap();
    }
    assert!(committed > 1500 && acknowledged > 1000 && elections > 300, "{committed} {acknowledged} {elections}");
}

mod rand_free {
    //! A fixed stream of events, so that the count above is the same every time.

    /// SplitMix64 from `seed`, cut into events.
    pub fn draws(seed: u64) -> impl Iterator<Item = (u8, u8)> {
        (1u64..).map(move |n| {
            let mut z = seed.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let bytes = (z ^ (z >> 31)).to_le_bytes();
            (bytes[0] % 120, bytes[1])
        })
    }
}
