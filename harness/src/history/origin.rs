//! The record that an application acts upon, and its form in a header of what the application sends about it.

use broker::ids::Offset;

use super::{RecordId, TpId};

/// The record that an application acts upon, where it met it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Origin {
    /// Its partition.
    pub tp: TpId,
    /// Its offset there.
    pub offset: Offset,
    /// Which record.
    pub id: RecordId,
    /// A number of its key, if it has one.
    pub key: Option<u32>,
}

impl Origin {
    /// As bytes, big-endian: partition u32, offset i64, producer u32, incarnation u16, seq u64; the key u32, if there is one.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.tp.0.to_be_bytes());
        bytes.extend(self.offset.to_be_bytes());
        bytes.extend(self.id.producer.to_be_bytes());
        bytes.extend(self.id.incarnation.to_be_bytes());
        bytes.extend(self.id.seq.to_be_bytes());
        bytes.extend(self.key.iter().flat_map(|key| key.to_be_bytes()));
        bytes
    }

    /// What such bytes say; `None` if they are too few.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let tp = TpId(u32::from_be_bytes(*take(&mut rest)?));
        let offset = i64::from_be_bytes(*take(&mut rest)?);
        let producer = u32::from_be_bytes(*take(&mut rest)?);
        let incarnation = u16::from_be_bytes(*take(&mut rest)?);
        let seq = u64::from_be_bytes(*take(&mut rest)?);
        let key = take(&mut rest).map(|key| u32::from_be_bytes(*key));
        Some(Self { tp, offset, id: RecordId { producer, incarnation, seq }, key })
    }
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_travels_in_a_header() {
        let id = RecordId { producer: 7, incarnation: 300, seq: 1 << 40 };
        for key in [None, Some(9)] {
            let of = Origin { tp: TpId(3), offset: 12, id, key };
            assert_eq!(Origin::from_bytes(&of.to_bytes()), Some(of));
        }
        assert_eq!(Origin::from_bytes(&[0; 25]), None);
    }
}
