//! ApiVersions (18): which APIs, in which versions. The first request on every connection.

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};

use super::{Answer, Call, Started, Whose, respond, respond_as, table};
use crate::controller::record::text;
use crate::env::Env;
use crate::node::Node;
use crate::wire::guard::RequestHead;

/// The first version that tells features (KIP-584).
const FIRST_WITH_FEATURES: i16 = 3;
/// By which clients know that there are groups of the newer protocol (KIP-848): its level here, which cannot be changed.
const GROUPS: (&str, i16) = ("group.version", 1);

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<ApiVersionsRequest>() else { return Started::Now(Answer::Close) };
    let mut response = ApiVersionsResponse::default().with_api_keys(offered(node));
    if head.version >= FIRST_WITH_FEATURES {
        response = with_features(response);
    }
    if head.version >= 3 && !(is_word(&request.client_software_name) && is_word(&request.client_software_version)) {
        response = ApiVersionsResponse::default().with_error_code(ResponseError::InvalidRequest.code());
    }
    Started::Now(respond::<ApiVersionsRequest>(head, &response))
}

fn with_features(response: ApiVersionsResponse) -> ApiVersionsResponse {
    let (name, level) = (text(GROUPS.0), GROUPS.1);
    let supported = SupportedFeatureKey::default().with_name(name.clone()).with_min_version(level);
    let decided = FinalizedFeatureKey::default().with_name(name).with_min_version_level(level);
    response
        .with_supported_features(vec![supported.with_max_version(level)])
        .with_finalized_features(vec![decided.with_max_version_level(level)])
        .with_finalized_features_epoch(0)
}

/// A version not known here is answered in the form of version 0, which every client reads (KIP-511).
pub(super) fn refuse<E: Env>(node: &Node<E>, head: RequestHead) -> Started {
    let response = ApiVersionsResponse::default()
        .with_error_code(ResponseError::UnsupportedVersion.code())
        .with_api_keys(offered(node));
    Started::Now(respond_as::<ApiVersionsRequest>(head, 0, &response))
}

fn offered<E: Env>(node: &Node<E>) -> Vec<ApiVersion> {
    let row = |api: &super::Api<E>| {
        ApiVersion::default()
            .with_api_key(api.key)
            .with_min_version(api.versions.min)
            .with_max_version(api.versions.max)
    };
    let roles = node.config.process_roles;
    table::<E>().iter().filter(|api| api.whose != Whose::Nodes && api.is_of(roles)).map(row).collect()
}

/// What a client may call itself (KIP-511): `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`.
fn is_word(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    edge(name.bytes().next()) && edge(name.bytes().last()) && name.bytes().all(inner)
}
