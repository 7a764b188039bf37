//! What each codec makes of somebody's own records: no generator's values compress as theirs do, and the size of a cluster
//! follows the ratio.

use std::fmt;
use std::io;

use bytes::Bytes;

use crate::limits::coding::{a_second, decoded, encoded};
use crate::outcome::grouped;
use crate::spec::Codec;
use crate::statistics::Spread;

/// What was measured of a sample.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Codecs {
    /// Where the records are from.
    pub sample: String,
    /// How many there are.
    pub records: usize,
    /// Bytes of them all.
    pub bytes: usize,
    /// `batch.size`: the larger, the better they compress.
    pub batch_bytes: usize,
    /// Each codec.
    pub codecs: Vec<Made>,
}

/// What one codec makes of it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Made {
    /// `compression.type`.
    pub codec: Codec,
    /// Bytes of records over bytes of the batches that they are in, headers and all: of the whole sample in the median, and of
    /// the batches that compress least and most.
    pub ratio: Spread,
    /// MB (10^6 bytes) of records a second that one core makes into batches.
    pub encode_mb: f64,
    /// MB of records a second that one core takes out of them.
    pub decode_mb: f64,
}

impl Codecs {
    /// Measures these codecs with batches of at most so many bytes of records. An error if there is no record, or one of them
    /// comes out otherwise than it went in.
    pub fn of(sample: String, records: &[Bytes], batch_bytes: usize, codecs: &[Codec]) -> io::Result<Self> {
        if records.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{sample} has no records")));
        }
        let batches = batches(records, batch_bytes);
        let codecs = codecs.iter().map(|codec| made(&batches, *codec)).collect::<io::Result<_>>()?;
        let bytes = records.iter().map(Bytes::len).sum();
        Ok(Self { sample, records: records.len(), bytes, batch_bytes, codecs })
    }
}

/// Records in order, as many to a batch as there is room for; one that is larger has its own.
fn batches(records: &[Bytes], batch_bytes: usize) -> Vec<&[Bytes]> {
    let (mut all, mut begin, mut bytes) = (Vec::new(), 0, 0);
    for (at, record) in records.iter().enumerate() {
        if bytes + record.len() > batch_bytes && at > begin {
            all.push(&records[begin..at]);
            (begin, bytes) = (at, 0);
        }
        bytes += record.len();
    }
    all.push(&records[begin..]);
    all
}

fn made(batches: &[&[Bytes]], codec: Codec) -> io::Result<Made> {
    let size = |batch: &[Bytes]| batch.iter().map(Bytes::len).sum::<usize>();
    let whole: usize = batches.iter().map(|batch| size(batch)).sum();
    let made: Vec<Bytes> = batches.iter().map(|batch| encoded(batch, codec.0)).collect();
    let each: Vec<f64> = batches.iter().zip(&made).map(|(batch, made)| over(size(batch), made.len())).collect();
    for (batch, made) in batches.iter().zip(&made) {
        let mut rest = batch.iter();
        let count = decoded(made.clone(), |value| rest.next().is_some_and(|record| record == value))?;
        if count != batch.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not every record came out again"));
        }
    }
    let all = || made.iter().zip(batches);
    let encode = a_second(whole, || Ok(batches.iter().map(|batch| encoded(batch, codec.0).len()).sum()))?;
    let decode = a_second(whole, || all().map(|(made, _)| decoded(made.clone(), |_| true)).sum())?;
    let ratio = Spread { median: over(whole, made.iter().map(Bytes::len).sum()), ..Spread::of(&each) };
    Ok(Made { codec, ratio, encode_mb: encode / 1e6, decode_mb: decode / 1e6 })
}

#[expect(clippy::cast_precision_loss, reason = "figures to read")]
fn over(one: usize, other: usize) -> f64 {
    one as f64 / other.max(1) as f64
}

/// Cuts what was read into records: lines, or pieces of so many bytes.
pub fn records(text: &Bytes, record_bytes: Option<usize>) -> Vec<Bytes> {
    let pieces: Vec<&[u8]> = match record_bytes {
        Some(bytes) => text.chunks(bytes.max(1)).collect(),
        None => text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect(),
    };
    pieces.into_iter().filter(|piece| !piece.is_empty()).map(|piece| text.slice_ref(piece)).collect()
}

impl fmt::Display for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (records, mb) = (grouped(over(self.records, 1)), over(self.bytes, 1_000_000));
        writeln!(f, "{}: {records} records, {mb:.1} MB, batches of {} KiB", self.sample, self.batch_bytes >> 10)?;
        writeln!(f, "{:8} {:>8} {:>16} {:>14} {:>14}", "", "ratio", "least..most", "encode MB/s", "decode MB/s")?;
        self.codecs.iter().try_for_each(|made| {
            let Made { codec, ratio, encode_mb, decode_mb } = made;
            let range = format!("{:.2}..{:.2}", ratio.least, ratio.most);
            let (encode, decode) = (grouped(*encode_mb), grouped(*decode_mb));
            writeln!(f, "{:8} {:>8.2} {range:>16} {encode:>14} {decode:>14}", codec.name(), ratio.median)
        })?;
        writeln!(f, "MB/s are of one core, before compression")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_compresses_and_comes_out_again() {
        let lines: String = (0..2000).map(|n| format!("{{\"user\": {}, \"event\": \"click\"}}\n", n * 7919)).collect();
        let all_records = records(&Bytes::from(lines), None);
        let measured = Codecs::of("clicks".into(), &all_records, 16 << 10, &Codec::all()).unwrap();
        assert_eq!(measured.records, 2000);
        let ratio = |name: &str| measured.codecs.iter().find(|made| made.codec.name() == name).unwrap().ratio;
        // Batches have headers, and records lengths.
        assert!(ratio("none").median < 1.0 && ratio("none").median > 0.7, "{measured}");
        for codec in ["gzip", "snappy", "lz4", "zstd"] {
            let ratio = ratio(codec);
            assert!(ratio.median > 1.5 && ratio.least <= ratio.median && ratio.median <= ratio.most, "{measured}");
        }
        assert!(measured.codecs.iter().all(|made| made.encode_mb > 0.0 && made.decode_mb > 0.0), "{measured}");
    }

    #[test]
    fn records_fill_batches_in_order() {
        let cut = records(&Bytes::from_static(b"abcdefghij"), Some(4));
        assert_eq!(cut, ["abcd", "efgh", "ij"]);
        assert_eq!(records(&Bytes::from_static(b"one\r\n\ntwo"), None), ["one", "two"]);
        let sizes = |batch_bytes| batches(&cut, batch_bytes).iter().map(|batch| batch.len()).collect::<Vec<_>>();
        assert_eq!((sizes(1), sizes(8), sizes(100)), (vec![1, 1, 1], vec![2, 1], vec![3]));
        assert!(Codecs::of("empty".into(), &[], 1024, &Codec::all()).is_err());
    }
}
