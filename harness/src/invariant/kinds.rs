//! Kinds of events as a mask: an event visits only the invariants that want its kind.

use broker::fact::Fact;

use crate::history::{Call, Kind};

/// A set of event kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u64);

macro_rules! kinds {
    ($($bit:literal $name:ident $about:literal;)*) => {
        impl Kinds {
            $(#[doc = $about] pub const $name: Kinds = Kinds(1 << $bit);)*
            /// How many kinds there are.
            pub const COUNT: usize = [$($bit),*].len();
        }
    };
}

kinds! {
    0 SEND "Calls that send a record.";
    1 POLL "Calls that fetch.";
    2 ASSIGN "Calls that begin to read, or seek.";
    3 LIST "ListOffsets calls.";
    4 DELETE "DeleteRecords calls.";
    5 ADMIN "Other administrative calls.";
    6 RETURN "Returns of any call.";
    7 DELIVER "Records handed to an application.";
    8 STARTED "Facts: a node started.";
    9 RECOVERED "Facts: a log was recovered.";
    10 APPENDED "Facts: a batch was appended.";
    11 FLUSHED "Facts: an fsync returned.";
    12 ACKED "Facts: a produce request was acknowledged.";
    13 WATERMARKS "Facts: offsets moved.";
    14 SERVED "Facts: a fetch was answered with records.";
    15 ROLLED "Facts: a segment was rolled.";
    16 TRIMMED "Facts: a log's start moved.";
    17 TRUNCATED "Facts: a log's end was cut.";
    18 DELETED "Facts: a topic was deleted.";
    19 AUDITED "Facts: a stopped node's files were read.";
    20 DOWN "A process ended.";
    21 UP "A process began.";
    22 QUIT "A client ended.";
    23 STRIKE "A fault struck.";
    24 HEAL "A fault was cured.";
    25 PHASE "A phase began.";
    26 LEADS "Facts: a node leads a partition.";
    27 FOLLOWS "Facts: a node follows a partition.";
    28 REPLICATED "Facts: a follower appended a batch.";
    29 IN_SYNC "Facts: a leader's in-sync set changed.";
    30 DECIDED "Facts: the controller decided on a partition.";
    31 QUORUM_LEADS "Facts: a node leads the metadata quorum.";
    32 REGISTERED "Facts: a broker's registration is committed.";
    33 WIPED "A host's disk was taken away.";
    34 DROPPED "Facts: a node holds no replica of a partition any more.";
    35 SEQUENCED "Facts: a batch of an idempotent producer was appended.";
    36 PRODUCERS "Facts: what is known of idempotent producers.";
    37 HOLDS "Facts: a node holds a replica of a partition of one topic.";
    38 SNAPSHOT "Facts: a node has a snapshot of the metadata.";
    39 CLEANED "Facts: compaction has put another file in a segment's place.";
    40 COMMIT "Calls that commit a group's offset.";
    41 FETCH_OFFSET "Calls that ask for a group's offset.";
    42 GROUP "Something happened to a member of a group.";
    43 APP "An application states what it has done.";
}

impl Kinds {
    /// None.
    pub const NONE: Kinds = Kinds(0);
    /// All of them.
    pub const ALL: Kinds = Kinds((1 << Self::COUNT) - 1);
    /// Every call.
    pub const CALLS: Kinds = Self::SEND
        .and(Self::POLL)
        .and(Self::ASSIGN)
        .and(Self::LIST)
        .and(Self::DELETE)
        .and(Self::ADMIN)
        .and(Self::COMMIT)
        .and(Self::FETCH_OFFSET);

    /// This and that.
    pub const fn and(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }

    /// Whether the kind with number `bit` is among them.
    pub const fn has(self, bit: usize) -> bool {
        self.0 & (1 << bit) != 0
    }

    /// The number of an event's kind, below [`Kinds::COUNT`].
    pub fn number(kind: &Kind) -> usize {
        let one = match kind {
            Kind::Call { call, .. } => match call {
                Call::Send { .. } => Self::SEND,
                Call::Poll { .. } => Self::POLL,
                Call::Assign { .. } => Self::ASSIGN,
                Call::ListOffsets { .. } => Self::LIST,
                Call::DeleteRecords { .. } => Self::DELETE,
                Call::Admin { .. } => Self::ADMIN,
                Call::Commit { .. } => Self::COMMIT,
                Call::FetchOffset { .. } => Self::FETCH_OFFSET,
            },
            Kind::Group(_) => Self::GROUP,
            Kind::Return { .. } => Self::RETURN,
            Kind::Deliver(_) => Self::DELIVER,
            Kind::Fact { fact, .. } => Self::of_fact(fact),
            Kind::Down { .. } => Self::DOWN,
            Kind::Up { .. } => Self::UP,
            Kind::Wiped { .. } => Self::WIPED,
            Kind::Quit { .. } => Self::QUIT,
            Kind::Strike { .. } => Self::STRIKE,
            Kind::Heal { .. } => Self::HEAL,
            Kind::Phase { .. } => Self::PHASE,
            Kind::App { .. } => Self::APP,
        };
        one.0.trailing_zeros() as usize
    }

    fn of_fact(fact: &Fact) -> Kinds {
        match fact {
            Fact::Started { .. } => Self::STARTED,
            Fact::Recovered { .. } => Self::RECOVERED,
            Fact::Appended { .. } => Self::APPENDED,
            Fact::Sequenced { .. } => Self::SEQUENCED,
            Fact::Producers { .. } => Self::PRODUCERS,
            Fact::Flushed { .. } => Self::FLUSHED,
            Fact::Acked { .. } => Self::ACKED,
            Fact::Watermarks { .. } => Self::WATERMARKS,
            Fact::Served { .. } => Self::SERVED,
            Fact::Rolled { .. } => Self::ROLLED,
            Fact::Trimmed { .. } => Self::TRIMMED,
            Fact::Truncated { .. } => Self::TRUNCATED,
            Fact::Cleaned { .. } => Self::CLEANED,
            Fact::Deleted { .. } => Self::DELETED,
            Fact::Audited { .. } => Self::AUDITED,
            Fact::Holds { .. } => Self::HOLDS,
            Fact::Leads { .. } => Self::LEADS,
            Fact::Follows { .. } => Self::FOLLOWS,
            Fact::Replicated { .. } => Self::REPLICATED,
            Fact::InSync { .. } => Self::IN_SYNC,
            Fact::Decided { .. } => Self::DECIDED,
            Fact::QuorumLeads { .. } => Self::QUORUM_LEADS,
            Fact::Registered { .. } => Self::REGISTERED,
            Fact::Dropped { .. } => Self::DROPPED,
            Fact::Snapshot { .. } => Self::SNAPSHOT,
        }
    }
}
