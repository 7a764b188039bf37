//! The topic settings clients may ask for: Kafka 4.1's, each with its type, its default, and what this broker does
//! with it (`TopicConfig.java`, `LogConfig.java`).

/// A setting's type, as DescribeConfigs numbers it (KIP-226).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Kind {
    /// `true` or `false`.
    Boolean = 1,
    /// Text.
    String = 2,
    /// 32 bits.
    Int = 3,
    /// 64 bits.
    Long = 5,
    /// A number with a fraction.
    Double = 6,
    /// Comma-separated.
    List = 7,
}

/// Which values are accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// A whole number of this range.
    Number(i64, i64),
    /// A fraction of this range.
    Fraction(f64, f64),
    /// Any text.
    Free,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Nothing but the default: this broker does not do what another value asks for.
    OnlyDefault,
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Kafka's name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Kafka's default.
    pub default: &'static str,
    /// The values accepted.
    pub rule: Rule,
    /// What it does here.
    pub doc: &'static str,
}

const INT: i64 = i32::MAX as i64;
const LONG: i64 = i64::MAX;
const NO_REPLICATION: &str = "Throttles replication; stored, without effect while there is one replica.";
const NO_TIERS: &str = "Governs tiered storage, which this broker does not have.";
const NO_RECOMPRESSION: &str = "Batches are stored as the producer compressed them.";

const fn row(name: &'static str, kind: Kind, default: &'static str, rule: Rule, doc: &'static str) -> Setting {
    Setting { name, kind, default, rule, doc }
}

/// Every topic setting, by name.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    row("cleanup.policy", Kind::List, "delete", Rule::OneOf(&["compact", "delete"]), "Old segments go (delete), of each key only the latest record stays (compact), or both."),
    row("compression.gzip.level", Kind::Int, "-1", Rule::OnlyDefault, NO_RECOMPRESSION),
    row("compression.lz4.level", Kind::Int, "9", Rule::OnlyDefault, NO_RECOMPRESSION),
    row("compression.type", Kind::String, "producer", Rule::OneOf(&["producer"]), NO_RECOMPRESSION),
    row("compression.zstd.level", Kind::Int, "3", Rule::OnlyDefault, NO_RECOMPRESSION),
    row("delete.retention.ms", Kind::Long, "86400000", Rule::Number(0, LONG), "How long a tombstone stays once compaction has removed all that it deletes."),
    row("file.delete.delay.ms", Kind::Long, "60000", Rule::Number(0, LONG), "Stored, without effect: files go at once."),
    row("flush.messages", Kind::Long, "9223372036854775807", Rule::Number(1, LONG), "Sync after so many records; 1 syncs before every acknowledgement."),
    row("flush.ms", Kind::Long, "9223372036854775807", Rule::Number(0, LONG), "Sync within so many milliseconds of an append."),
    row("follower.replication.throttled.replicas", Kind::List, "", Rule::Free, NO_REPLICATION),
    row("index.interval.bytes", Kind::Int, "4096", Rule::Number(0, INT), "At most so many bytes of log between two index entries."),
    row("leader.replication.throttled.replicas", Kind::List, "", Rule::Free, NO_REPLICATION),
    row("local.retention.bytes", Kind::Long, "-2", Rule::OnlyDefault, NO_TIERS),
    row("local.retention.ms", Kind::Long, "-2", Rule::OnlyDefault, NO_TIERS),
    row("max.compaction.lag.ms", Kind::Long, "9223372036854775807", Rule::Number(1, LONG), "A log with older records that were not compacted is compacted, whatever its dirty ratio; a segment is closed at that age."),
    row("max.message.bytes", Kind::Int, "1048588", Rule::Number(0, INT), "The largest record batch accepted."),
    row("message.timestamp.after.max.ms", Kind::Long, "9223372036854775807", Rule::OnlyDefault, "Timestamps are not bounded."),
    row("message.timestamp.before.max.ms", Kind::Long, "9223372036854775807", Rule::OnlyDefault, "Timestamps are not bounded."),
    row("message.timestamp.type", Kind::String, "CreateTime", Rule::OneOf(&["CreateTime", "LogAppendTime"]), "Whose clock stamps records: the producer's or the broker's."),
    row("min.cleanable.dirty.ratio", Kind::Double, "0.5", Rule::Fraction(0.0, 1.0), "A log is compacted when so much of it, in bytes, has not been."),
    row("min.compaction.lag.ms", Kind::Long, "0", Rule::Number(0, LONG), "A segment with younger records is not compacted."),
    row("min.insync.replicas", Kind::Int, "1", Rule::Number(1, INT), "In-sync replicas needed to accept acks=all."),
    row("preallocate", Kind::Boolean, "false", Rule::OnlyDefault, "Segments grow as they are written."),
    row("remote.log.copy.disable", Kind::Boolean, "false", Rule::OnlyDefault, NO_TIERS),
    row("remote.log.delete.on.disable", Kind::Boolean, "false", Rule::OnlyDefault, NO_TIERS),
    row("remote.storage.enable", Kind::Boolean, "false", Rule::OnlyDefault, NO_TIERS),
    row("retention.bytes", Kind::Long, "-1", Rule::Number(-1, LONG), "Old segments go while the partition is larger than this; -1: never."),
    row("retention.ms", Kind::Long, "604800000", Rule::Number(-1, LONG), "Segments go when their last record is older than this; -1: never."),
    row("segment.bytes", Kind::Int, "1073741824", Rule::Number(14, INT), "A segment that would grow past this is closed first."),
    row("segment.index.bytes", Kind::Int, "10485760", Rule::Number(4, INT), "Stored, without effect: indexes grow as needed."),
    row("segment.jitter.ms", Kind::Long, "0", Rule::OnlyDefault, "Segments roll without jitter."),
    row("segment.ms", Kind::Long, "604800000", Rule::Number(1, LONG), "A segment with an older first record is closed."),
    row("unclean.leader.election.enable", Kind::Boolean, "false", Rule::OneOf(&["false", "true"]), "Whether a replica that lacks committed records leads if no other can."),
];

/// The setting of that name.
pub fn setting(name: &str) -> Option<&'static Setting> {
    SETTINGS.binary_search_by(|s| s.name.cmp(name)).ok().map(|at| &SETTINGS[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_as_its_search_needs() {
        assert!(SETTINGS.is_sorted_by(|a, b| a.name < b.name));
        assert!(setting("retention.ms").is_some());
        assert!(setting("retention").is_none());
    }
}
