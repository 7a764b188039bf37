//! An interval log as HdrHistogram's own tools read it (`HistogramLogProcessor`, hdr-plot): a line for each interval and tag.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::recorder::{INTERVAL, Recorder, Timed};

/// Writes what was recorded; `started`: when the generator's clock began. Values are microseconds, and so is the log's
/// greatest one.
pub fn write(recorder: &Recorder, started: SystemTime, to: &mut impl Write) -> io::Result<()> {
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("latencies in microseconds")
        .with_start_time(started)
        .with_base_time(started)
        .with_max_value_divisor(1.0)
        .begin_log_with(to, &mut serializer)?;
    let length = Duration::from_nanos(INTERVAL);
    for (at, interval) in (0..).zip(recorder.intervals()) {
        for what in Timed::ALL {
            let (all, tag) = (interval.of(what), Tag::new(what.tag()));
            if !all.is_empty() {
                log.write_histogram(all, length * at, length, tag).map_err(|e| io::Error::other(format!("{e:?}")))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;
    use crate::recorder::Measured;

    #[test]
    fn a_log_is_read_back_whole() {
        let (mut recorder, measured) = (Recorder::default(), Measured::default());
        for n in 1..=1000 {
            recorder.record(Timed::Publish, 0, n * 1_000_000, &measured);
            recorder.record(Timed::Delay, 0, n * 1_000_000, &measured);
        }
        let mut bytes = Vec::new();
        write(&recorder, SystemTime::UNIX_EPOCH + Duration::from_secs(9), &mut bytes).unwrap();
        let (mut count, mut tags) = (0, Vec::new());
        for entry in IntervalLogIterator::new(&bytes) {
            let LogEntry::Interval(line) = entry.unwrap() else { continue };
            tags.push(line.tag().unwrap().as_str().to_owned());
            let raw = base64(line.encoded_histogram());
            count += Deserializer::new().deserialize::<u64, _>(&mut raw.as_slice()).unwrap().len();
        }
        assert_eq!((count, tags.len()), (2000, 6), "{tags:?}");
    }

    fn base64(text: &str) -> Vec<u8> {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let bits = text.bytes().filter(|byte| *byte != b'=');
        let (mut out, mut held, mut count) = (Vec::new(), 0u32, 0);
        for byte in bits {
            held = held << 6 | u32::try_from(alphabet.iter().position(|of| *of == byte).unwrap()).unwrap();
            count += 6;
            if count >= 8 {
                count -= 8;
                out.push(u8::try_from(held >> count & 255).unwrap());
            }
        }
        out
    }
}
