//! Amounts as people write them: `500M`, `10TB`, `7d`, `10Gbit/s`, `70%`; and ranges of them: `400..600B`, `10x±20%`.

use super::show::BYTES;
use super::unit::Kind;

const COUNTS: &[(&str, f64)] = &[
    ("", 1.0),
    ("k", 1e3),
    ("K", 1e3),
    ("M", 1e6),
    ("million", 1e6),
    ("G", 1e9),
    ("bn", 1e9),
    ("billion", 1e9),
    ("T", 1e12),
    ("trillion", 1e12),
];
const BINARY: &[(&str, f64)] = &[
    ("KB", 1e3),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
    ("PiB", 1_125_899_906_842_624.0),
];
const BITS: &[(&str, f64)] =
    &[("kbit/s", 125.0), ("Mbit/s", 125e3), ("Gbit/s", 125e6), ("kbps", 125.0), ("Mbps", 125e3), ("Gbps", 125e6)];
const TIMES: &[(&str, f64)] = &[
    ("ms", 1e-3),
    ("s", 1.0),
    ("min", 60.0),
    ("m", 60.0),
    ("h", 3600.0),
    ("d", 86_400.0),
    ("day", 86_400.0),
    ("days", 86_400.0),
    ("w", 604_800.0),
];
const EACH: &[(&str, f64)] =
    &[("", 1.0), ("/s", 1.0), ("/min", 60.0), ("/h", 3600.0), ("/d", 86_400.0), ("/day", 86_400.0)];

/// Lowest, nominal and highest, of a range or of a single amount.
pub(super) fn range(kind: Kind, text: &str) -> Result<(f64, f64, f64), String> {
    let text = text.trim();
    if let Some((middle, percent)) = text.split_once('±').or_else(|| text.split_once("+-")) {
        let (middle, percent) = (amount(kind, middle)?, amount(Kind::Share, percent)?);
        if !(0.0..1.0).contains(&percent) {
            return Err("what it may be off by is below 100%".into());
        }
        return Ok((middle * (1.0 - percent), middle, middle * (1.0 + percent)));
    }
    let parts: Vec<&str> = text.split("..").map(str::trim).collect();
    // 4..6TB is four to six TB.
    let unit = parts.last().map_or("", |last| split(last).1);
    let part = |part: &str| amount(kind, &if split(part).1.is_empty() { format!("{part}{unit}") } else { part.into() });
    match parts.as_slice() {
        [one] => amount(kind, one).map(|one| (one, one, one)),
        [low, high] => Ok((part(low)?, f64::midpoint(part(low)?, part(high)?), part(high)?)),
        [low, nominal, high] => Ok((part(low)?, part(nominal)?, part(high)?)),
        _ => Err("a range is LOW..HIGH or LOW..NOMINAL..HIGH".into()),
    }
}

/// A single amount.
fn amount(kind: Kind, text: &str) -> Result<f64, String> {
    let (number, unit) = split(text.trim());
    if unit.starts_with(',') {
        return Err("a comma says nothing here: write 115_741, or 1.5".into());
    }
    let number: f64 = number.replace('_', "").parse().map_err(|_| "that is no number".to_string())?;
    let factor = factor(kind, unit).ok_or_else(|| match unit {
        "" => "it needs a unit".to_string(),
        unit => format!("'{unit}' is no unit of it"),
    })?;
    Ok(number * factor)
}

/// What one of this unit is; `None` if it is no unit of this kind.
fn factor(kind: Kind, unit: &str) -> Option<f64> {
    let find = |table: &[(&str, f64)]| table.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let bytes = |unit: &str| {
        let decimal = BYTES.iter().map(|(factor, name)| (*name, *factor));
        decimal.chain(BINARY.iter().copied()).find(|(name, _)| *name == unit).map(|(_, factor)| factor)
    };
    match kind {
        Kind::Count | Kind::Records => find(COUNTS),
        Kind::Times => matches!(unit, "" | "x" | "×").then_some(1.0),
        Kind::Share => find(&[("", 1.0), ("%", 0.01)]),
        Kind::Bytes => bytes(unit),
        Kind::BytesPerRecord => bytes(if unit.is_empty() { "B" } else { unit }),
        Kind::Seconds => find(TIMES),
        Kind::RecordsPerSecond => {
            let (count, each) = unit.split_at(unit.find('/').unwrap_or(unit.len()));
            let each = EACH.iter().find(|(name, _)| *name == each)?.1;
            COUNTS.iter().find(|(name, _)| *name == count.trim()).map(|(_, factor)| factor / each)
        }
        Kind::BytesPerSecond => find(BITS).or_else(|| bytes(unit.strip_suffix("/s")?)),
        Kind::Cores => matches!(unit, "" | "cores").then_some(1.0),
        Kind::CoreSecondsPerByte => matches!(unit, "" | "core-s/GB").then_some(1e-9),
        Kind::CoreSecondsPerRecord => matches!(unit, "" | "core-s/million").then_some(1e-6),
    }
}

/// The number and the unit behind it. An `e` is part of the number only before an exponent.
fn split(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let sign = |at: usize| matches!(bytes.get(at), Some(b'+' | b'-'));
    let in_number = |at: usize| match bytes[at] {
        b'0'..=b'9' | b'.' | b'_' => true,
        b'e' | b'E' => at > 0 && (is_digit(at + 1) || sign(at + 1) && is_digit(at + 2)),
        b'+' | b'-' => at == 0 || matches!(bytes[at - 1], b'e' | b'E'),
        _ => false,
    };
    let end = (0..bytes.len()).find(|at| !in_number(*at)).unwrap_or(bytes.len());
    (&text[..end], text[end..].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_as_people_write_them() {
        let written = [
            (Kind::Count, "500M", 5e8),
            (Kind::Count, "500_000_000", 5e8),
            (Kind::Count, "5e8", 5e8),
            (Kind::Count, "1.2 billion", 1.2e9),
            (Kind::Times, "10x", 10.0),
            (Kind::Share, "70%", 0.7),
            (Kind::Share, "0.7", 0.7),
            (Kind::Bytes, "10TB", 1e13),
            (Kind::Bytes, "2e3 GB", 2e12),
            (Kind::Bytes, "5EB", 5e18),
            (Kind::Bytes, "1 KiB", 1024.0),
            (Kind::BytesPerRecord, "500", 500.0),
            (Kind::Seconds, "7 days", 604_800.0),
            (Kind::RecordsPerSecond, "100k/s", 1e5),
            (Kind::RecordsPerSecond, "86400/day", 1.0),
            (Kind::RecordsPerSecond, "5e3", 5e3),
            (Kind::BytesPerSecond, "10Gbit/s", 1.25e9),
            (Kind::BytesPerSecond, "500 MB/s", 5e8),
            (Kind::CoreSecondsPerByte, "10", 1e-8),
        ];
        for (kind, text, value) in written {
            assert!((amount(kind, text).expect(text) - value).abs() <= value * 1e-12, "{text}");
        }
        let wrong = [
            (Kind::Count, ""),
            (Kind::Count, "NaN"),
            (Kind::Count, "inf"),
            (Kind::Count, "1,000"),
            (Kind::Count, "1.2.3"),
            (Kind::Bytes, "10"),
            (Kind::Bytes, "7d"),
            (Kind::Seconds, "7"),
            (Kind::BytesPerSecond, "10TB"),
            (Kind::RecordsPerSecond, "5k/w"),
            (Kind::Count, "5é"),
        ];
        for (kind, text) in wrong {
            assert!(amount(kind, text).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges() {
        assert_eq!(range(Kind::Bytes, "4..6TB"), Ok((4e12, 5e12, 6e12)));
        assert_eq!(range(Kind::Bytes, "500GB..1TB..4TB"), Ok((5e11, 1e12, 4e12)));
        assert_eq!(range(Kind::Times, "10x±20%"), Ok((8.0, 10.0, 12.0)));
        assert_eq!(range(Kind::Times, "10+-50%"), Ok((5.0, 10.0, 15.0)));
        assert_eq!(range(Kind::Times, "1.5..2.5"), Ok((1.5, 2.0, 2.5)));
        for wrong in ["..", "1..", "1..2..3..4", "10±100%", "10±", "1±-5%"] {
            assert!(range(Kind::Times, wrong).is_err(), "{wrong}");
        }
    }
}
