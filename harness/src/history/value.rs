//! Self-identifying record values: a value says which record it is, and proves that it is whole, so that what a consumer
//! reads can be looked up in an array instead of being searched for.
//!
//! Layout, big-endian: magic `LQ1`, a zero byte; producer u32; incarnation u16; seq u64; the partition's
//! number in the run u32; CRC-32C u32 over everything else; then filler, which follows from the identity.

use broker::ids::Timestamp;
use bytes::{BufMut, Bytes, BytesMut};

use super::{RecordId, TpId};

const MAGIC: &[u8; 4] = b"LQ1\0";

/// The key, by number, of a record of a compacted topic with that sequence number: every second record has the first key,
/// every fourth the next, and so on, so that there are keys that are written all the time and some that are written once.
pub fn key_of(seq: u64) -> u64 {
    u64::from(seq.wrapping_add(1).trailing_zeros())
}

/// Bytes before the filler: the smallest value.
pub const HEADER: usize = 26;

/// Where the checksum stands.
const CRC: std::ops::Range<usize> = 22..26;

/// What a value says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Which record it is.
    pub id: RecordId,
    /// Where it was sent.
    pub tp: TpId,
}

/// The value of a record, `len` bytes long but never shorter than [`HEADER`].
pub fn encode(id: RecordId, tp: TpId, len: usize) -> Bytes {
    let len = len.max(HEADER);
    let mut value = BytesMut::with_capacity(len);
    value.put_slice(MAGIC);
    value.put_u32(id.producer);
    value.put_u16(id.incarnation);
    value.put_u64(id.seq);
    value.put_u32(tp.0);
    value.put_u32(0);
    fill(&mut value, id, len);
    let crc = sum(&value);
    value[CRC].copy_from_slice(&crc.to_be_bytes());
    value.freeze()
}

/// Filler that differs from record to record and does not compress to nothing: xorshift from the identity.
fn fill(value: &mut BytesMut, id: RecordId, len: usize) {
    let mut state = (u64::from(id.producer) << 32 ^ u64::from(id.incarnation) << 16 ^ id.seq) | 1 << 63;
    while value.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let word = state.to_be_bytes();
        // Half of each word repeats, so that compression has something to do.
        let piece = [word[0], word[1], word[2], word[3], b'l', b'o', b'g', b'q'];
        value.put_slice(&piece[..piece.len().min(len - value.len())]);
    }
}

fn sum(value: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&value[..CRC.start]), &value[CRC.end..])
}

/// Which record a value says it is; `None` if it is not one of ours or is damaged.
pub fn decode(value: &[u8]) -> Option<RecordId> {
    identify(value).map(|identity| identity.id)
}

/// All that a value says of itself; `None` if it is not one of ours or is damaged.
pub fn identify(value: &[u8]) -> Option<Identity> {
    fn at<const N: usize>(value: &[u8], from: usize) -> Option<[u8; N]> {
        value.get(from..from + N)?.try_into().ok()
    }
    if value.len() < HEADER || &value[..4] != MAGIC || at(value, CRC.start).map(u32::from_be_bytes)? != sum(value) {
        return None;
    }
    let producer = at(value, 4).map(u32::from_be_bytes)?;
    let incarnation = at(value, 8).map(u16::from_be_bytes)?;
    let seq = at(value, 10).map(u64::from_be_bytes)?;
    let tp = TpId(at(value, 18).map(u32::from_be_bytes)?);
    Some(Identity { id: RecordId { producer, incarnation, seq }, tp })
}

/// CRC-32C over everything of a record that must come back as it was sent. Lengths are part of it, so that moving a byte
/// from one field to the next shows; a missing key or value differs from an empty one.
pub fn checksum<'a>(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
    timestamp: Timestamp,
) -> u32 {
    let field = |crc: u32, bytes: Option<&[u8]>| {
        let len = bytes.map_or(-1, |b| i64::try_from(b.len()).unwrap_or(i64::MAX));
        crc32c::crc32c_append(crc32c::crc32c_append(crc, &len.to_be_bytes()), bytes.unwrap_or_default())
    };
    let crc = field(field(crc32c::crc32c(&timestamp.to_be_bytes()), key), value);
    headers.into_iter().fold(crc, |crc, (name, value)| field(field(crc, Some(name.as_bytes())), value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_identifies_itself_and_shows_any_damage(
            (producer, incarnation, seq, tp) in any::<(u32, u16, u64, u32)>(),
            len in 0usize..300, flip in any::<prop::sample::Index>(), bit in 0u8..8,
        ) {
            let (id, tp) = (RecordId { producer, incarnation, seq }, TpId(tp));
            let value = encode(id, tp, len);
            prop_assert_eq!(value.len(), len.max(HEADER));
            prop_assert_eq!(identify(&value), Some(Identity { id, tp }));
            prop_assert_eq!(decode(&value), Some(id));
            let mut damaged = value.to_vec();
            damaged[flip.index(value.len())] ^= 1 << bit;
            prop_assert_eq!(decode(&damaged), None);
            prop_assert_eq!(decode(&value[..flip.index(value.len())]), None);
        }

        #[test]
        fn bytes_that_are_none_of_ours(value in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(decode(&value), None);
        }
    }

    #[test]
    fn the_checksum_sees_every_field_and_its_borders() {
        let header = |n: &'static str, v: Option<&'static [u8]>| vec![(n, v)];
        let sums = [
            checksum(Some(b"k"), Some(b"v"), [], 1),
            checksum(Some(b"kv"), Some(b""), [], 1),
            checksum(Some(b""), Some(b"kv"), [], 1),
            checksum(None, Some(b"kv"), [], 1),
            checksum(Some(b"kv"), None, [], 1),
            checksum(Some(b"k"), Some(b"v"), [], 2),
            checksum(Some(b"k"), Some(b"v"), header("h", Some(b"x")), 1),
            checksum(Some(b"k"), Some(b"v"), header("hx", Some(b"")), 1),
            checksum(Some(b"k"), Some(b"v"), header("h", None), 1),
        ];
        let distinct: std::collections::BTreeSet<_> = sums.into_iter().collect();
        assert_eq!(distinct.len(), sums.len());
    }
}
