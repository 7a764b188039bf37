//! What a record's value carries: which record it is and when it was meant to be sent, then filler that compresses as asked.

use bytes::{BufMut, Bytes, BytesMut};
use harness::seed::Seed;

/// Bytes of a stamp: the run's mark, the producer, its record's number, and the intended time.
pub const LEAST: usize = 4 + 4 + 8 + 8;
/// Values are cut from pieces of this size.
const PIECE: usize = 256 << 10;
/// Bytes of filler to choose from, beyond a value's own: a batch's, so that no codec finds one value in another.
const POOL: usize = 1 << 20;

/// Which record it is, and when it was meant to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Which run it belongs to: others may write to the same topic.
    pub run: u32,
    /// Its producer.
    pub producer: u32,
    /// Its number among that producer's, from 0.
    pub seq: u64,
    /// When it was meant to be sent, in nanoseconds of the generator's clock.
    pub intended: u64,
}

impl Stamp {
    /// The stamp of a value; `None` if it has none.
    pub fn read(value: &[u8]) -> Option<Self> {
        let (run, rest) = value.split_first_chunk()?;
        let (producer, rest) = rest.split_first_chunk()?;
        let (seq, rest) = rest.split_first_chunk()?;
        let (intended, _) = rest.split_first_chunk()?;
        Some(Self {
            run: u32::from_le_bytes(*run),
            producer: u32::from_le_bytes(*producer),
            seq: u64::from_le_bytes(*seq),
            intended: u64::from_le_bytes(*intended),
        })
    }
}

/// Makes values of one size.
pub struct Values {
    size: usize,
    filler: Vec<u8>,
    piece: BytesMut,
}

impl Values {
    /// Values of `size` bytes, of which so many percent are random.
    pub fn new(size: usize, random_percent: u8, seed: Seed) -> Self {
        let mut draw = seed.split("filler", 0).draw();
        // In stretches of 100 bytes, so that every value has its share wherever it is cut from.
        let filler = (0..size + POOL).map(|at| {
            let random = at % 100 < usize::from(random_percent);
            if random { draw.number().to_le_bytes()[0] } else { b'.' }
        });
        Self { size, filler: filler.collect(), piece: BytesMut::new() }
    }

    /// The value of one record.
    pub fn make(&mut self, stamp: Stamp) -> Bytes {
        if self.piece.capacity() < self.size {
            self.piece = BytesMut::with_capacity(PIECE.max(self.size));
        }
        self.piece.put_u32_le(stamp.run);
        self.piece.put_u32_le(stamp.producer);
        self.piece.put_u64_le(stamp.seq);
        self.piece.put_u64_le(stamp.intended);
        let size = self.size as u64;
        let from = usize::try_from(stamp.seq.wrapping_mul(size) % POOL as u64).unwrap_or(0);
        self.piece.put_slice(&self.filler[from..from + self.size.saturating_sub(LEAST)]);
        self.piece.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_back_and_its_value_has_the_size_asked_for() {
        for size in [LEAST, 100, 1024, 1 << 20] {
            let mut values = Values::new(size, 50, Seed::new(1));
            for seq in 0..300 {
                let stamp = Stamp { run: 7, producer: 3, seq, intended: seq << 40 };
                let value = values.make(stamp);
                assert_eq!((value.len(), Stamp::read(&value)), (size, Some(stamp)));
            }
        }
        assert_eq!(Stamp::read(&[0; LEAST - 1]), None);
    }

    #[test]
    fn less_random_values_compress_better() {
        let packed = |random_percent| {
            let mut values = Values::new(1000, random_percent, Seed::new(1));
            let mut builder = broker::record::BatchBuilder::new();
            for seq in 0..100 {
                let value = values.make(Stamp { run: 1, producer: 1, seq, intended: seq });
                builder.append(0, None, Some(&value), std::iter::empty::<(&[u8], Option<&[u8]>)>());
            }
            builder.finish(broker::record::Compression::Zstd).len()
        };
        let (none, half, all) = (packed(0), packed(50), packed(100));
        assert!(none < half / 5 && half < all * 3 / 4 && all > 95_000, "{none} {half} {all}");
    }
}
