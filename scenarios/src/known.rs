//! Seeds that once showed a bug, with its cause. The gate runs them first, for ever.

/// A seed worth keeping.
#[derive(Clone, Copy, Debug)]
pub struct KnownSeed {
    /// The scenario.
    pub scenario: &'static str,
    /// The seed.
    pub seed: u64,
    /// What was wrong, and where it was mended.
    pub cause: &'static str,
}

/// Every seed that once showed a bug.
pub const ALL: &[KnownSeed] = &[
    KnownSeed {
        scenario: "coordinator_cut",
        seed: 17,
        cause: "a false alarm: a coordinator that was cut off and had a successor went on accepting a member's heartbeats, and \
                two members were taken for owners of one partition (invariant/ownership.rs)",
    },
    KnownSeed {
        scenario: "coordinator_cut",
        seed: 851,
        cause: "a false alarm: a coordinator that was cut off and had a successor told a member where the group had been before \
                (invariant/registers.rs)",
    },
    KnownSeed {
        scenario: "twin_instance",
        seed: 807,
        cause: "a cooperative static member was replaced between giving a partition up and joining again: nobody asked for the \
                round that gives it to another (harness/src/client/group/member/round.rs); and twins never ceased to throw each \
                other out (harness/src/workload/member.rs)",
    },
    KnownSeed {
        scenario: "duplicate_delivery",
        seed: 1736,
        cause: "the simulated disk tore what a truncation takes from a file, which file systems do in one step, and an application's \
                database could not be opened again (harness/src/sim/disk/inode.rs)",
    },
    KnownSeed {
        scenario: "recycled_replicas",
        seed: 1930,
        cause: "a false alarm: a broker stated as recovered what a power loss had brought back from below its log's start, and \
                what it had removed again (broker/src/log/recover.rs)",
    },
    KnownSeed {
        scenario: "cut_client",
        seed: 2351,
        cause: "a false alarm: what a killed producer had sent over a slow link came in, and was read, while the final read went on, \
                which ends where the log ended when it began (invariant/read_stays.rs)",
    },
    KnownSeed {
        scenario: "compaction_under_load",
        seed: 2406,
        cause: "a false alarm: a power loss took an exchange of segments back of which recovery had nothing to say, for it lay \
                below the recovery point (invariant/ledger/log.rs)",
    },
    KnownSeed {
        scenario: "slow_follower",
        seed: 2625,
        cause: "the simulated disk went on being slow for 10 s after it was cured, over what was in its queue by then \
                (harness/src/sim/disk/device.rs)",
    },
    KnownSeed {
        scenario: "recycled_replicas",
        seed: 2633,
        cause: "a false alarm: a power loss took back that a follower's log had begun anew, and what it held before was found \
                (invariant/ledger/log.rs)",
    },
    KnownSeed {
        scenario: "lost_join",
        seed: 89,
        cause: "a member whose join was never answered left without a word, and its name was occupied for as long as its session \
                lasts (harness/src/client/group/member)",
    },
    KnownSeed {
        scenario: "lost_join",
        seed: 165,
        cause: "a member that was looking for its coordinator when it left asked for it once, and when that was lost went without a \
                word: a static one's name was occupied until its session ended (harness/src/client/group/keeper.rs)",
    },
    KnownSeed {
        scenario: "recycled_replicas",
        seed: 235,
        cause: "a false alarm: a follower's log that had begun anew at its leader's start, and was empty, began where it did before \
                after a crash (invariant/ledger/log.rs)",
    },
    KnownSeed {
        scenario: "near_members",
        seed: 51,
        cause: "a false alarm: a leader asked for a follower that lost its disk before the controller had decided (invariant/in_sync.rs)",
    },
    KnownSeed {
        scenario: "fsync_error",
        seed: 11,
        cause: "the simulated disk, once a sync had failed, let a sync in flight cover what was appended meanwhile, and no \
                later one wrote it: synced records were gone after a power loss (sim/disk/inode.rs)",
    },
    KnownSeed {
        scenario: "fsync_error",
        seed: 0,
        cause: "as seed 11: the hole was in a closed segment below the recovery point, which then had torn bytes, an index \
                beyond its end and a gap after it (sim/disk/inode.rs)",
    },
    KnownSeed {
        scenario: "full_disk",
        seed: 9,
        cause: "a write and its undoing both failed, and the log stayed off line for as long as the broker ran \
                (node/revive.rs)",
    },
    KnownSeed { scenario: "full_disk", seed: 14, cause: "as seed 9" },
    KnownSeed {
        scenario: "many_partitions",
        seed: 76,
        cause: "a false alarm: the final read of a hundred partitions, one after the other, had the time of one \
                (run/script.rs)",
    },
    KnownSeed {
        scenario: "retention_race",
        seed: 194,
        cause: "a false alarm: the final read of a partition that retention had emptied asked for nothing, so that nobody \
                stated its end (workload/judge.rs)",
    },
    KnownSeed {
        scenario: "cut_client",
        seed: 546,
        cause: "a false alarm: nobody noted that a killed client's calls have nobody left to wait for them (run/cast.rs)",
    },
    KnownSeed {
        scenario: "bit_rot",
        seed: 842,
        cause: "a false alarm: a flip in a batch's header claimed the offsets of the batches behind it, and they were not \
                counted as taken by the damage (invariant/damage.rs)",
    },
    KnownSeed { scenario: "bit_rot", seed: 351, cause: "as seed 842" },
    KnownSeed {
        scenario: "retention_race",
        seed: 751,
        cause: "retention emptied the log and moved its epoch's start to the end, where the next leader epoch began too: the \
                leader-epoch file was out of order and unreadable (log/epochs.rs)",
    },
    KnownSeed {
        scenario: "retention_race",
        seed: 235,
        cause: "a false alarm: a consumer that lagged moved to a new position when the final read had begun, and was taken \
                for the final read (invariant/ledger)",
    },
    KnownSeed {
        scenario: "retention_race",
        seed: 88,
        cause: "where logs start was written down anew before the logs were open, without them; after the next crash the log \
                began at 0, where it had no segment, and all of it was removed (node/checkpoints.rs)",
    },
    KnownSeed {
        scenario: "leader_crash",
        seed: 63,
        cause: "a false alarm: a controller that starts again tells all that was ever decided once more (invariant/in_sync.rs)",
    },
    KnownSeed {
        scenario: "one_way_cut_leader",
        seed: 54,
        cause: "a false alarm: a set that shrank, as decided behind a cut, at the moment the drain ended \
                (invariant/standing.rs)",
    },
    KnownSeed {
        scenario: "unclean_election",
        seed: 83,
        cause: "a false alarm: an unclean leader's log may be longer than the one it takes the place of \
                (invariant/ledger/part.rs)",
    },
    KnownSeed {
        scenario: "swizzle",
        seed: 332,
        cause: "as one_way_cut_leader 54, of a set that was whole at no event since the healing",
    },
    KnownSeed {
        scenario: "reassign_under_load",
        seed: 5,
        cause: "a false alarm: a reassignment that ends takes the old leader away in the very decision that lets its \
                successor in (invariant/decided.rs)",
    },
    KnownSeed {
        scenario: "reassign_under_load",
        seed: 2,
        cause: "a false alarm: a replica that was given away is deleted before its leader has heard of it \
                (invariant/in_sync.rs)",
    },
    KnownSeed {
        scenario: "sole_survivor",
        seed: 2,
        cause: "a false alarm: a last leader that came back without what the power took (KIP-966) gave the offsets away \
                again, before its followers had cut what they had there (invariant/ledger/part.rs)",
    },
    KnownSeed { scenario: "last_replica_standing", seed: 10, cause: "as sole_survivor 2" },
    KnownSeed {
        scenario: "hw_divergence",
        seed: 4,
        cause: "a false alarm: an unclean leader that dies before it has led is eligible, though it lacks what is committed \
                in the eyes of the one before it (invariant/in_sync.rs)",
    },
    KnownSeed {
        scenario: "min_isr_changed",
        seed: 360,
        cause: "a leader that took its in-sync set from the controller's answer committed by the min.insync.replicas of \
                before, without one that was eligible by the new (broker/replica/in_sync.rs)",
    },
    KnownSeed {
        scenario: "acks_one_failover",
        seed: 134,
        cause: "a false alarm: a leader whose log is longer than that of the cut-off leader before it, and branches off \
                from it (invariant/ledger/part.rs)",
    },
    KnownSeed {
        scenario: "acks_one_failover",
        seed: 604,
        cause: "a false alarm: what one leader has acknowledged alone was not committed when the final read ended \
                (invariant/acked_kept.rs)",
    },
    KnownSeed {
        scenario: "rebalance_storm",
        seed: 130,
        cause: "a false alarm: a group that is far behind and slow was judged in the middle of its backlog; the drain goes on \
                for as long as groups come on (harness/run/script.rs)",
    },
    KnownSeed {
        scenario: "retention_race",
        seed: 958,
        cause: "a reader was told that its position is deleted, the broker was killed before it was, and the reader went back \
                to what was the first record then; now it stays where the log has it again (client/consumer.rs)",
    },
    KnownSeed {
        scenario: "near_members",
        seed: 1271,
        cause: "a false alarm: an acknowledgement waited for the other partitions of its request, and a copy it was committed \
                by was wiped meanwhile (invariant/acked_durable.rs)",
    },
    KnownSeed {
        scenario: "zombie_member",
        seed: 1276,
        cause: "a false alarm: a member that was thrown out had given up what it had when it heard of it, and came back \
                (invariant/ownership.rs)",
    },
    KnownSeed {
        scenario: "ghost_member",
        seed: 537,
        cause: "a false alarm: a replica was let in before it registered anew, with an empty disk; the controller told of both \
                at once, and of taking it out again (invariant/in_sync.rs)",
    },
    KnownSeed {
        scenario: "zombie_member",
        seed: 1547,
        cause: "the scenario's own doing: a poll of a backlog took longer to work on than max.poll.interval.ms, so that each \
                member in turn was thrown out in the midst of it (scenarios/groups/zombie_member.rs)",
    },
    KnownSeed {
        scenario: "ghost_member",
        seed: 3762,
        cause: "a false alarm: as 537, and its registration was told 2 ms before the decisions (invariant/in_sync.rs)",
    },
    KnownSeed {
        scenario: "near_members",
        seed: 3827,
        cause: "the scenario's own doing: the disks of both in-sync replicas were lost at once, which is more than is promised \
                (scenarios/groups/near_members.rs)",
    },
    KnownSeed {
        scenario: "near_members",
        seed: 1083,
        cause: "the scenario's own doing: both others crashed while nobody had noticed that a disk was lost, so that its empty \
                successor was the last known leader (scenarios/groups/near_members.rs)",
    },
    KnownSeed {
        scenario: "full_disk",
        seed: 4147,
        cause: "the scenario's own doing: what was sent without an acknowledgement came in while the final read went on \
                (scenarios/storage/full_disk.rs)",
    },
    KnownSeed {
        scenario: "stuck_consumer",
        seed: 4527,
        cause: "the scenario's own doing: as zombie_member 1547 (scenarios/groups/stuck_consumer.rs)",
    },
    KnownSeed {
        scenario: "reassign_under_load",
        seed: 4609,
        cause: "a false alarm: a node that was still opening its logs did not know yet that a copy was to go when it was \
                audited (invariant/log_matching.rs)",
    },
    KnownSeed {
        scenario: "voters_changed",
        seed: 26,
        cause: "a broker that was down while another was given the vote never heard where that one listens, which led by then; \
                answers to Vote and to refused fetches now say so (node/raft/voters.rs)",
    },
];
