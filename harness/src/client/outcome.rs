//! Whether an operation happened, judged from the error it ended with: the one table of it, as data.
//!
//! A history is only as good as this table. `Fail` says "surely did not happen", so a record reported so and found in
//! the log later is a broken promise; hence `Fail` is reserved for refusals that a broker issues before it appends.
//! Whatever leaves a doubt is `Info`: NOT_LEADER_OR_FOLLOWER (KAFKA-13574: a deposed leader may have appended),
//! NOT_CONTROLLER (so may a deposed controller), any timeout, a lost connection, an error after the append, and every code
//! this table does not know. Of a commit's codes, COORDINATOR_NOT_AVAILABLE and NOT_COORDINATOR are what a failed append is
//! told as, so that they leave a doubt too.

use broker::planted::{Defect, planted};

use crate::history::event::Outcome;

/// Counts changes of meaning in this table, for histories kept longer than a build.
pub const TABLE_VERSION: u32 = 3;

/// The code of an attempt that was never sent: a [`Failure::NotSent`]. These negative codes are ours, not Kafka's.
pub const NOT_SENT: i16 = -100;
/// The code of a connection lost after the request was sent.
pub const RESET: i16 = -101;
/// The code of a request without an answer in its time.
pub const NO_ANSWER: i16 = -102;
/// The code of an answer that could not be read.
pub const GARBLED: i16 = -103;
/// The code of a call that no API version common to client and broker can express.
pub const NO_COMMON_VERSION: i16 = -104;
/// The code of a record whose delivery timeout passed.
pub const EXPIRED: i16 = -105;
/// The code of a record for which no buffer memory came free in time.
pub const BUFFER_FULL: i16 = -106;
/// The code of a partition without a committed offset, where no policy says where to begin.
pub const NO_OFFSET: i16 = -108;
/// The code of a partition whose log was cut below the consumer's position (KIP-320).
pub const TRUNCATED: i16 = -109;
/// The code of a call on a client that was closed.
pub const CLOSED: i16 = -107;

/// What kind of call an error ended, which decides what an error can hide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It changes something: Produce and the administrative writes.
    Write,
    /// It changes nothing, so that an error always means it did not happen: Fetch, ListOffsets, Metadata.
    Read,
}

/// How a request failed without an answer from the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Its last byte never left this client: no broker can have executed it.
    NotSent,
    /// It was sent; then the connection ended.
    Reset,
    /// It was sent; no answer came in its time.
    TimedOut,
    /// An answer came but made no sense.
    Garbled,
    /// Broker and client have no version of this API in common; nothing was sent.
    NoCommonVersion,
}

/// Whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It will not.
    No,
    /// After a while.
    Yes,
    /// After a while, and after asking for fresh metadata.
    Refresh,
}

/// A judgement on one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Kafka's error code, or one of this module's negative codes.
    pub code: i16,
    /// Whether this attempt happened.
    pub outcome: Outcome,
    /// Whether to try again.
    pub retry: Retry,
}

/// One row: a Kafka error code and what it says about an attempt to write.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Kafka's code.
    pub code: i16,
    /// Kafka's name.
    pub name: &'static str,
    /// Whether the write happened.
    pub write: Outcome,
    /// Whether trying again may help.
    pub retry: Retry,
}

const fn row(code: i16, name: &'static str, write: Outcome, retry: Retry) -> Row {
    Row { code, name, write, retry }
}

use Outcome::{Fail, Info, Ok};
use Retry::{No, Refresh, Yes};

/// The table, by code. Names and retriability: Kafka's `Errors.java`.
pub const TABLE: &[Row] = &[
    row(-1, "UNKNOWN_SERVER_ERROR", Info, No),
    row(0, "NONE", Ok, No),
    row(1, "OFFSET_OUT_OF_RANGE", Fail, No),
    row(2, "CORRUPT_MESSAGE", Fail, Yes),
    row(3, "UNKNOWN_TOPIC_OR_PARTITION", Fail, Refresh),
    row(5, "LEADER_NOT_AVAILABLE", Info, Refresh),
    row(6, "NOT_LEADER_OR_FOLLOWER", Info, Refresh),
    row(7, "REQUEST_TIMED_OUT", Info, Yes),
    row(8, "BROKER_NOT_AVAILABLE", Info, Refresh),
    row(9, "REPLICA_NOT_AVAILABLE", Info, Refresh),
    row(10, "MESSAGE_TOO_LARGE", Fail, No),
    row(12, "OFFSET_METADATA_TOO_LARGE", Fail, No),
    row(13, "NETWORK_EXCEPTION", Info, Refresh),
    row(14, "COORDINATOR_LOAD_IN_PROGRESS", Fail, Yes),
    row(15, "COORDINATOR_NOT_AVAILABLE", Info, Yes),
    row(16, "NOT_COORDINATOR", Info, Yes),
    row(17, "INVALID_TOPIC_EXCEPTION", Fail, No),
    row(18, "RECORD_LIST_TOO_LARGE", Fail, No),
    row(19, "NOT_ENOUGH_REPLICAS", Fail, Yes),
    row(20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", Info, Yes),
    row(21, "INVALID_REQUIRED_ACKS", Fail, No),
    row(22, "ILLEGAL_GENERATION", Fail, No),
    row(23, "INCONSISTENT_GROUP_PROTOCOL", Fail, No),
    row(24, "INVALID_GROUP_ID", Fail, No),
    row(25, "UNKNOWN_MEMBER_ID", Fail, No),
    row(26, "INVALID_SESSION_TIMEOUT", Fail, No),
    row(27, "REBALANCE_IN_PROGRESS", Fail, No),
    row(28, "INVALID_COMMIT_OFFSET_SIZE", Fail, No),
    row(29, "TOPIC_AUTHORIZATION_FAILED", Fail, No),
    row(30, "GROUP_AUTHORIZATION_FAILED", Fail, No),
    row(31, "CLUSTER_AUTHORIZATION_FAILED", Fail, No),
    row(32, "INVALID_TIMESTAMP", Fail, No),
    row(35, "UNSUPPORTED_VERSION", Fail, No),
    row(36, "TOPIC_ALREADY_EXISTS", Fail, No),
    row(37, "INVALID_PARTITIONS", Fail, No),
    row(38, "INVALID_REPLICATION_FACTOR", Fail, No),
    row(39, "INVALID_REPLICA_ASSIGNMENT", Fail, No),
    row(40, "INVALID_CONFIG", Fail, No),
    row(41, "NOT_CONTROLLER", Info, Refresh),
    row(42, "INVALID_REQUEST", Fail, No),
    row(43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", Fail, No),
    row(44, "POLICY_VIOLATION", Fail, No),
    row(45, "OUT_OF_ORDER_SEQUENCE_NUMBER", Info, No),
    row(46, "DUPLICATE_SEQUENCE_NUMBER", Info, No),
    row(47, "INVALID_PRODUCER_EPOCH", Info, No),
    row(54, "SECURITY_DISABLED", Fail, No),
    row(55, "OPERATION_NOT_ATTEMPTED", Fail, No),
    row(56, "KAFKA_STORAGE_ERROR", Info, Refresh),
    row(59, "UNKNOWN_PRODUCER_ID", Info, No),
    row(69, "GROUP_ID_NOT_FOUND", Fail, No),
    row(70, "FETCH_SESSION_ID_NOT_FOUND", Info, Yes),
    row(71, "INVALID_FETCH_SESSION_EPOCH", Info, Yes),
    row(74, "FENCED_LEADER_EPOCH", Info, Refresh),
    row(75, "UNKNOWN_LEADER_EPOCH", Info, Refresh),
    row(76, "UNSUPPORTED_COMPRESSION_TYPE", Fail, No),
    row(78, "OFFSET_NOT_AVAILABLE", Info, Yes),
    row(79, "MEMBER_ID_REQUIRED", Fail, Yes),
    row(81, "GROUP_MAX_SIZE_REACHED", Fail, No),
    row(82, "FENCED_INSTANCE_ID", Fail, No),
    row(87, "INVALID_RECORD", Fail, No),
    row(88, "UNSTABLE_OFFSET_COMMIT", Fail, Yes),
    row(89, "THROTTLING_QUOTA_EXCEEDED", Fail, Yes),
    row(100, "UNKNOWN_TOPIC_ID", Fail, Refresh),
    row(103, "INCONSISTENT_TOPIC_ID", Info, Refresh),
];

/// What the error code of an answer says about the attempt.
pub fn judge(kind: Kind, code: i16) -> Judged {
    let row = TABLE.binary_search_by_key(&code, |row| row.code).ok().map(|at| TABLE[at]);
    let row = row.unwrap_or(Row { code, name: "", write: Info, retry: No });
    let outcome = match kind {
        Kind::Read if code != 0 => Fail,
        _ if matches!(code, 6 | 7) && planted(Defect::PrNotleaderTreatedFail) => Fail,
        _ => row.write,
    };
    Judged { code, outcome, retry: row.retry }
}

/// What a failure without an answer says about the attempt.
pub fn judge_failure(kind: Kind, failure: Failure) -> Judged {
    let (code, write, retry) = match failure {
        Failure::NotSent => (NOT_SENT, Fail, Refresh),
        Failure::Reset => (RESET, Info, Refresh),
        Failure::TimedOut if planted(Defect::PrNotleaderTreatedFail) => (NO_ANSWER, Fail, Refresh),
        Failure::TimedOut => (NO_ANSWER, Info, Refresh),
        Failure::Garbled => (GARBLED, Info, Refresh),
        Failure::NoCommonVersion => (NO_COMMON_VERSION, Fail, No),
    };
    Judged { code, outcome: if kind == Kind::Read { Fail } else { write }, retry }
}

/// The outcome of a whole call: once any attempt was indefinite, the call cannot surely have failed.
pub fn overall(any_indefinite: bool, last: Outcome) -> Outcome {
    if any_indefinite && last == Fail { Info } else { last }
}

/// The outcome of a write that is given up because its time is over; `indefinite` says that an attempt is out, or ended
/// in doubt.
pub fn expired(indefinite: bool) -> Outcome {
    if indefinite && !planted(Defect::PrNotleaderTreatedFail) { Info } else { Fail }
}

/// Kafka's name of a code, or ours for a negative one; empty for a code this table does not know.
pub fn name(code: i16) -> &'static str {
    match code {
        NOT_SENT => "not sent",
        RESET => "connection lost",
        NO_ANSWER => "no answer in time",
        GARBLED => "answer unreadable",
        NO_COMMON_VERSION => "no common version",
        TRUNCATED => "log truncated",
        NO_OFFSET => "no committed offset",
        EXPIRED => "delivery timeout",
        BUFFER_FULL => "buffer full",
        CLOSED => "client closed",
        _ => TABLE.iter().find(|row| row.code == code).map_or("", |row| row.name),
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::error::ResponseError;

    use super::*;

    #[test]
    fn rows_are_sorted_and_named_as_kafka_names_them() {
        assert!(TABLE.windows(2).all(|pair| pair[0].code < pair[1].code));
        for row in TABLE.iter().filter(|row| row.code != 0) {
            let theirs = format!("{:?}", ResponseError::try_from_code(row.code).expect("a Kafka error"));
            let ours: String = row.name.split('_').map(|w| w[..1].to_owned() + &w[1..].to_lowercase()).collect();
            assert_eq!(theirs, ours, "code {}", row.code);
        }
    }

    /// Written out again on purpose: a change of the table must be meant twice.
    #[test]
    fn surely_not_happened_is_said_only_of_refusals_before_the_append() {
        let definite: Vec<i16> = TABLE.iter().filter(|row| row.write == Fail).map(|row| row.code).collect();
        let expected = [
            1, 2, 3, 10, 12, 14, 17, 18, 19, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 35, 36, 37, 38, 39, 40,
            42, 43, 44, 54, 55, 69, 76, 79, 81, 82, 87, 88, 89, 100,
        ];
        assert_eq!(definite, expected);
        for doubtful in [-1, 5, 6, 7, 13, 15, 16, 20, 56, 12345] {
            assert_eq!(judge(Kind::Write, doubtful).outcome, Info, "code {doubtful}");
        }
        assert_eq!(judge(Kind::Write, 0).outcome, Ok);
    }

    #[test]
    fn a_write_without_an_answer_is_in_doubt_unless_it_was_never_sent() {
        let of = |failure| judge_failure(Kind::Write, failure).outcome;
        assert_eq!(of(Failure::NotSent), Fail);
        assert_eq!(of(Failure::NoCommonVersion), Fail);
        assert_eq!([of(Failure::Reset), of(Failure::TimedOut), of(Failure::Garbled)], [Info; 3]);
    }

    #[test]
    fn a_read_that_ends_in_an_error_did_not_happen() {
        assert_eq!(judge(Kind::Read, 6).outcome, Fail);
        assert_eq!(judge_failure(Kind::Read, Failure::TimedOut).outcome, Fail);
        assert_eq!(judge(Kind::Read, 0).outcome, Ok);
    }

    #[test]
    fn one_indefinite_attempt_taints_the_whole_call() {
        assert_eq!(overall(true, Fail), Info);
        assert_eq!(overall(true, Ok), Ok);
        assert_eq!(overall(false, Fail), Fail);
    }
}
