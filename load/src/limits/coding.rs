//! What a core does of the work that clients have with each record: a broker that appends bytes as they come has none, so that
//! the clients are what limits small records and codecs.

#![expect(clippy::disallowed_methods, reason = "measures the machine, by the real clock")]

use std::io;
use std::time::{Duration, Instant};

use broker::record::{BatchBuilder, Compression, Unpacked};
use bytes::Bytes;
use harness::seed::Seed;

use super::number;
use crate::spec::{Codec, Spec};
use crate::stamp::{Stamp, Values};

/// How long each half of the probe takes, about.
const TIME: Duration = Duration::from_millis(200);

/// What one core does with records as those of a run, in full batches.
#[derive(Clone, Copy, Debug)]
pub struct Coding {
    /// Records a second made into batches: compressed, with their CRC.
    pub encode: f64,
    /// Records a second taken out of batches: CRC checked, inflated, each looked at.
    pub decode: f64,
    /// Bytes of a record on the wire.
    pub bytes: f64,
}

impl Coding {
    /// Measures it. An error if what was encoded cannot be decoded.
    pub fn probe(spec: &Spec) -> io::Result<Self> {
        let mut values = Values::new(spec.record_bytes, spec.random_percent, Seed::new(1));
        let count = (spec.batch_bytes / spec.record_bytes).max(1);
        let values: Vec<Bytes> =
            (0..count as u64).map(|seq| values.make(Stamp { run: 1, producer: 0, seq, intended: seq })).collect();
        let Codec(codec) = spec.compression;
        let batch = encoded(&values, codec);
        let encode = a_second(count, || Ok(encoded(&values, codec).len()))?;
        let decode = a_second(count, || decoded(batch.clone(), |value| Stamp::read(value).is_some()))?;
        Ok(Self { encode, decode, bytes: number(batch.len()) / number(count) })
    }
}

/// One batch of records without keys.
pub(crate) fn encoded(values: &[Bytes], codec: Compression) -> Bytes {
    let mut builder = BatchBuilder::new();
    for value in values {
        builder.append::<&[u8], &[u8]>(0, None, Some(value), []);
    }
    builder.finish(codec)
}

/// Takes the records out, and returns how many there were. An error if there is one that is not as it was.
pub(crate) fn decoded(mut batch: Bytes, mut is_whole: impl FnMut(&[u8]) -> bool) -> io::Result<usize> {
    let wrong = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let batch = Unpacked::take(&mut batch, usize::MAX).map_err(|why| wrong(format!("{why:?}")))?;
    let mut count = 0;
    for record in batch.records() {
        let value = record.map_err(|why| wrong(format!("{why:?}")))?.value;
        if !value.is_some_and(&mut is_whole) {
            return Err(wrong("a record that is not as it was".into()));
        }
        count += 1;
    }
    Ok(count)
}

/// How many a second there are of what `one` does `count` of.
pub(crate) fn a_second(count: usize, mut one: impl FnMut() -> io::Result<usize>) -> io::Result<f64> {
    let (begun, mut done) = (Instant::now(), 0);
    while begun.elapsed() < TIME {
        std::hint::black_box(one()?);
        done += count;
    }
    Ok(number(done) / begun.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_compresses_takes_fewer_bytes_and_more_time() {
        let spec = Spec { random_percent: 25, ..Spec::default() };
        let plain = Coding::probe(&spec).unwrap();
        assert!(plain.bytes > 1024.0 && plain.bytes < 1100.0 && plain.decode > 0.0, "{plain:?}");
        let gzip = Coding::probe(&Spec { compression: Codec(Compression::Gzip), ..spec }).unwrap();
        assert!(gzip.bytes < 512.0 && gzip.encode < plain.encode, "{gzip:?} beside {plain:?}");
    }

    #[test]
    fn every_record_is_taken_out() {
        let value = Values::new(100, 50, Seed::new(3)).make(Stamp { run: 1, producer: 0, seq: 7, intended: 0 });
        for codec in [Compression::None, Compression::Lz4] {
            assert_eq!(decoded(encoded(&vec![value.clone(); 9], codec), |got| got == value).unwrap(), 9);
        }
        let short = encoded(&[Bytes::from_static(b"short")], Compression::None);
        assert!(decoded(short, |got| got == value).is_err());
    }
}
