//! Which partition a record goes to: Kafka's default partitioner, bit for bit, so that keys land where other people's
//! clients put them.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Kafka's 32-bit murmur2 (`org.apache.kafka.common.utils.Utils.murmur2`), seed `0x9747b28c`.
pub fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    let length = u32::try_from(key.len()).expect("a key is shorter than 4 GiB");
    let mut hash = 0x9747_b28c ^ length;
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes(word.try_into().expect("chunks of four")).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (at, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * at);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition of `key` among `partitions` (at least 1).
pub fn for_key(key: &[u8], partitions: u32) -> i32 {
    let positive = murmur2(key) & 0x7fff_ffff;
    i32::try_from(positive % partitions).expect("31 bits")
}

/// Chooses partitions for records without a key: one partition until its batch is done, then another (KIP-480), so
/// that batches fill.
#[derive(Debug, Default)]
pub struct Sticky {
    current: BTreeMap<Arc<str>, i32>,
}

impl Sticky {
    /// The partition that `topic` sticks to, of `partitions` (at least 1); `drawn` is a random number for a first choice.
    pub fn partition(&mut self, topic: &Arc<str>, partitions: u32, drawn: u64) -> i32 {
        match self.current.get(topic) {
            Some(chosen) if chosen.cast_unsigned() < partitions => *chosen,
            _ => self.choose(topic, any(drawn, partitions)),
        }
    }

    /// The batch of `from` is done: moves to another of `partitions`, if there is another.
    pub fn moved_on(&mut self, topic: &Arc<str>, from: i32, partitions: u32, drawn: u64) -> i32 {
        if partitions < 2 {
            return self.choose(topic, 0);
        }
        let other = any(drawn, partitions - 1);
        self.choose(topic, if other >= from { other + 1 } else { other })
    }

    fn choose(&mut self, topic: &Arc<str>, chosen: i32) -> i32 {
        self.current.insert(topic.clone(), chosen);
        chosen
    }
}

fn any(drawn: u64, partitions: u32) -> i32 {
    i32::try_from(drawn % u64::from(partitions)).expect("Kafka counts partitions in 31 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn hashes_as_kafka_does() {
        let vectors: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, hash) in vectors {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn a_key_keeps_its_partition_and_stays_in_range() {
        for n in 1..50 {
            for key in 0..100_u32 {
                let at = for_key(&key.to_be_bytes(), n);
                assert!((0..n.cast_signed()).contains(&at));
                assert_eq!(at, for_key(&key.to_be_bytes(), n));
            }
        }
    }

    #[test]
    fn without_a_key_it_sticks_until_moved_and_then_goes_elsewhere() {
        let topic: Arc<str> = "t".into();
        let mut sticky = Sticky::default();
        let first = sticky.partition(&topic, 4, 6);
        assert_eq!(first, 2);
        assert_eq!(sticky.partition(&topic, 4, 1), 2);
        for drawn in 0..30 {
            let before = sticky.partition(&topic, 4, 0);
            let after = sticky.moved_on(&topic, before, 4, drawn);
            assert_ne!(before, after);
            assert!((0..4).contains(&after));
        }
        assert_eq!(sticky.moved_on(&topic, 3, 1, 9), 0);
    }
}
