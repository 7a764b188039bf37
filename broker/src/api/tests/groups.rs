//! Samples of what members of groups ask.

use bytes::Bytes;
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::*;

use super::{name, of, two};
use crate::controller::record::text;

const BLOB: Bytes = Bytes::from_static(b"blob");

/// Of the APIs 8 to 16, 42, 47, 68 and 69.
pub(super) fn of_groups(key: i16, v: i16, filled: bool) -> Bytes {
    match key {
        8 | 9 | 47 => of_offsets(key, v, filled),
        10 => {
            let full = FindCoordinatorRequest::default();
            let full = if v >= 1 { full.with_key_type(1) } else { full };
            let key = text("group");
            of(v, filled, if v >= 4 { full.with_coordinator_keys(two(key)) } else { full.with_key(key) })
        }
        11 => {
            let protocol = JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(BLOB);
            let full = JoinGroupRequest::default().with_group_id(group()).with_protocols(two(protocol));
            let full = full.with_member_id(text("m")).with_protocol_type(text("consumer"));
            let full = if v >= 1 { full.with_rebalance_timeout_ms(5) } else { full };
            let full = if v >= 5 { full.with_group_instance_id(Some(text("i"))) } else { full };
            of(v, filled, if v >= 8 { full.with_reason(Some(text("why"))) } else { full })
        }
        12 => {
            let full = HeartbeatRequest::default().with_group_id(group()).with_member_id(text("m"));
            of(v, filled, if v >= 3 { full.with_group_instance_id(Some(text("i"))) } else { full })
        }
        13 => {
            let member = MemberIdentity::default().with_member_id(text("m")).with_group_instance_id(Some(text("i")));
            let member = if v >= 5 { member.with_reason(Some(text("why"))) } else { member };
            let full = LeaveGroupRequest::default().with_group_id(group());
            of(v, filled, if v >= 3 { full.with_members(two(member)) } else { full.with_member_id(text("m")) })
        }
        14 => {
            let assigned = SyncGroupRequestAssignment::default().with_member_id(text("m")).with_assignment(BLOB);
            let full = SyncGroupRequest::default().with_group_id(group()).with_assignments(two(assigned));
            let full = if v >= 3 { full.with_group_instance_id(Some(text("i"))) } else { full };
            let named = |full: SyncGroupRequest| {
                full.with_protocol_type(Some(text("consumer"))).with_protocol_name(Some(text("range")))
            };
            of(v, filled, if v >= 5 { named(full) } else { full })
        }
        15 => {
            let full = DescribeGroupsRequest::default().with_groups(two(group()));
            of(v, filled, if v >= 3 { full.with_include_authorized_operations(true) } else { full })
        }
        16 => {
            let full = ListGroupsRequest::default();
            let full = if v >= 4 { full.with_states_filter(two(text("Stable"))) } else { full };
            of(v, filled, if v >= 5 { full.with_types_filter(two(text("classic"))) } else { full })
        }
        68 => {
            let owned = TopicPartitions::default().with_topic_id(uuid::Uuid::from_u128(7)).with_partitions(two(3));
            let full = ConsumerGroupHeartbeatRequest::default().with_group_id(group()).with_member_id(text("m"));
            let full = full.with_instance_id(Some(text("i"))).with_rack_id(Some(text("r"))).with_member_epoch(4);
            let full = full.with_subscribed_topic_names(Some(two(name()))).with_server_assignor(Some(text("range")));
            let full = full.with_topic_partitions(Some(two(owned)));
            of(v, filled, if v >= 1 { full.with_subscribed_topic_regex(Some(text("a.*"))) } else { full })
        }
        69 => {
            let full = ConsumerGroupDescribeRequest::default().with_group_ids(two(group()));
            of(v, filled, full.with_include_authorized_operations(true))
        }
        _ => of(v, filled, DeleteGroupsRequest::default().with_groups_names(two(group()))),
    }
}

fn group() -> GroupId {
    GroupId(text("group"))
}

fn of_offsets(key: i16, v: i16, filled: bool) -> Bytes {
    match key {
        8 => {
            let part = OffsetCommitRequestPartition::default().with_committed_metadata(Some(text("mine")));
            let part = if v >= 6 { part.with_committed_leader_epoch(3) } else { part };
            let topic = OffsetCommitRequestTopic::default().with_name(name()).with_partitions(two(part));
            let full = OffsetCommitRequest::default().with_group_id(group()).with_topics(two(topic));
            let full = if v <= 4 { full.with_retention_time_ms(7) } else { full };
            of(v, filled, if v >= 7 { full.with_group_instance_id(Some(text("i"))) } else { full })
        }
        9 if v >= 8 => {
            let topic = OffsetFetchRequestTopics::default().with_name(name()).with_partition_indexes(vec![1, 2]);
            let group = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(Some(two(topic)));
            let group = if v >= 9 { group.with_member_id(Some(text("m"))).with_member_epoch(4) } else { group };
            of(v, filled, OffsetFetchRequest::default().with_groups(two(group)).with_require_stable(true))
        }
        9 => {
            let topic = OffsetFetchRequestTopic::default().with_name(name()).with_partition_indexes(vec![1, 2]);
            let full = OffsetFetchRequest::default().with_group_id(group()).with_topics(Some(two(topic)));
            // Before version 2 there is no null, which the default is.
            of(v, filled || v < 2, if v >= 7 { full.with_require_stable(true) } else { full })
        }
        _ => {
            let part = OffsetDeleteRequestPartition::default().with_partition_index(3);
            let topic = OffsetDeleteRequestTopic::default().with_name(name()).with_partitions(two(part));
            of(v, filled, OffsetDeleteRequest::default().with_group_id(group()).with_topics(two(topic)))
        }
    }
}
