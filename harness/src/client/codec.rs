//! Requests to bytes and bytes to responses: the `kafka-protocol` crate's codec behind our choice of versions.

use broker::wire::{answers, guard};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    AddRaftVoterRequest, AlterPartitionReassignmentsRequest, ApiVersionsResponse, ConsumerGroupHeartbeatRequest,
    CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest, DescribeConfigsRequest,
    ElectLeadersRequest, FetchRequest, FindCoordinatorRequest, HeartbeatRequest, IncrementalAlterConfigsRequest,
    InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest, ListOffsetsRequest, MetadataRequest,
    OffsetCommitRequest, OffsetFetchRequest, OffsetForLeaderEpochRequest, ProduceRequest, RemoveRaftVoterRequest,
    RequestHeader, ResponseHeader, SyncGroupRequest,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use super::outcome::Failure;

/// (API key, lowest, highest version) this client speaks. Chosen so that one code path serves every Kafka since 2.8 and
/// no topic-id map is needed: topics go by name.
pub(super) const SPOKEN: &[(i16, i16, i16)] = &[
    (ProduceRequest::KEY, 9, 11),
    (InitProducerIdRequest::KEY, 3, 4),
    (FetchRequest::KEY, 12, 12),
    (ListOffsetsRequest::KEY, 6, 7),
    (MetadataRequest::KEY, 9, 12),
    (OffsetCommitRequest::KEY, 8, 9),
    (OffsetFetchRequest::KEY, 7, 7),
    (FindCoordinatorRequest::KEY, 3, 3),
    (JoinGroupRequest::KEY, 7, 9),
    (HeartbeatRequest::KEY, 4, 4),
    (LeaveGroupRequest::KEY, 4, 5),
    (SyncGroupRequest::KEY, 5, 5),
    (ConsumerGroupHeartbeatRequest::KEY, 1, 1),
    (OffsetForLeaderEpochRequest::KEY, 4, 4),
    (CreateTopicsRequest::KEY, 5, 7),
    (DeleteTopicsRequest::KEY, 4, 5),
    (DeleteRecordsRequest::KEY, 2, 2),
    (DescribeConfigsRequest::KEY, 4, 4),
    (CreatePartitionsRequest::KEY, 2, 3),
    (IncrementalAlterConfigsRequest::KEY, 1, 1),
    (ElectLeadersRequest::KEY, 2, 2),
    (AlterPartitionReassignmentsRequest::KEY, 0, 0),
    (AddRaftVoterRequest::KEY, 0, 0),
    (RemoveRaftVoterRequest::KEY, 0, 0),
];

/// The version to use of each API on one connection: the highest that both sides speak.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions(Vec<(i16, i16)>);

impl Versions {
    /// What `theirs` and this client have in common.
    pub fn common(theirs: &ApiVersionsResponse) -> Self {
        let both = SPOKEN.iter().filter_map(|&(key, low, high)| {
            let they = theirs.api_keys.iter().find(|api| api.api_key == key)?;
            let best = high.min(they.max_version);
            (best >= low.max(they.min_version)).then_some((key, best))
        });
        Self(both.collect())
    }

    /// The version to use of API `key`, if there is one.
    pub fn of(&self, key: i16) -> Option<i16> {
        self.0.iter().find(|(k, _)| *k == key).map(|(_, version)| *version)
    }
}

/// Appends `request` as one frame (length, header, body) to `out`. On an error `out` is as it was.
pub fn encode<R: Request>(
    request: &R,
    version: i16,
    correlation: i32,
    client_id: &StrBytes,
    out: &mut BytesMut,
) -> Result<(), Failure> {
    let start = out.len();
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(client_id.clone()));
    out.put_i32(0);
    let written = header.encode(out, R::header_version(version)).and_then(|()| request.encode(out, version));
    let length = i32::try_from(out.len() - start - 4);
    let (Ok(()), Ok(length)) = (written, length) else {
        out.truncate(start);
        return Err(Failure::NotSent);
    };
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// Reads the answer to a request of type `R` from a frame without its length.
pub fn decode<R: Request>(mut frame: Bytes, version: i16) -> Result<R::Response, Failure> {
    let header_version = <R::Response as HeaderVersion>::header_version(version);
    ResponseHeader::decode(&mut frame, header_version).map_err(|_| Failure::Garbled)?;
    // The crate allocates what a count promises: the counts are checked against the bytes first.
    let layout = answers::layout(R::KEY, version).ok_or(Failure::Garbled)?;
    guard::check(layout, version, &frame).map_err(|_| Failure::Garbled)?;
    let response = R::Response::decode(&mut frame, version).map_err(|_| Failure::Garbled)?;
    if frame.has_remaining() { Err(Failure::Garbled) } else { Ok(response) }
}

/// The correlation id at the start of an answer's frame.
pub fn correlation(frame: &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(frame.get(..4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::api_versions_response::ApiVersion;

    use super::*;

    fn offers(key: i16, min: i16, max: i16) -> ApiVersionsResponse {
        let api = ApiVersion::default().with_api_key(key).with_min_version(min).with_max_version(max);
        ApiVersionsResponse::default().with_api_keys(vec![api])
    }

    #[test]
    fn the_answers_of_all_that_is_spoken_are_bounded() {
        for (key, lowest, highest) in SPOKEN {
            for version in *lowest..=*highest {
                assert!(answers::layout(*key, version).is_some(), "API {key} version {version}");
            }
        }
    }

    #[test]
    fn takes_the_highest_common_version_or_none() {
        assert_eq!(Versions::common(&offers(0, 0, 13)).of(0), Some(11));
        assert_eq!(Versions::common(&offers(0, 3, 9)).of(0), Some(9));
        assert_eq!(Versions::common(&offers(0, 0, 8)).of(0), None);
        assert_eq!(Versions::common(&offers(1, 13, 18)).of(1), None);
        assert_eq!(Versions::common(&offers(1, 4, 18)).of(1), Some(12));
    }

    #[test]
    fn a_frame_states_its_own_length_and_leaves_what_came_before() {
        let mut out = BytesMut::from(&b"before"[..]);
        encode(&MetadataRequest::default(), 12, 7, &StrBytes::from_static_str("me"), &mut out).unwrap();
        let frame = &out[6..];
        let length = i32::from_be_bytes(frame[..4].try_into().unwrap());
        assert_eq!(usize::try_from(length).unwrap(), frame.len() - 4);
        assert_eq!(frame[4..12], [0, 3, 0, 12, 0, 0, 0, 7]);
    }

    #[test]
    fn a_request_that_its_version_cannot_express_leaves_no_trace() {
        let mut out = BytesMut::from(&b"before"[..]);
        let fetch = FetchRequest::default().with_cluster_id(Some(StrBytes::from_static_str("x")));
        assert!(encode(&fetch, 99, 1, &StrBytes::default(), &mut out).is_err());
        assert_eq!(&out[..], b"before");
    }

    #[test]
    fn trailing_bytes_are_no_answer() {
        let mut body = BytesMut::new();
        body.put_i32(5);
        ApiVersionsResponse::default().encode(&mut body, 0).unwrap();
        use kafka_protocol::messages::ApiVersionsRequest;
        assert!(decode::<ApiVersionsRequest>(body.clone().freeze(), 0).is_ok());
        body.put_u8(0);
        assert_eq!(decode::<ApiVersionsRequest>(body.freeze(), 0), Err(Failure::Garbled));
    }
}
