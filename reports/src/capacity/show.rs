//! Amounts as people read them: four digits that count, decimal units, thousands set apart.

use super::unit::Kind;

/// Digits that count.
const DIGITS: i32 = 4;
/// From here on large counts are written in words.
const WORDS: &[(f64, &str)] = &[(1e15, "quadrillion"), (1e12, "trillion"), (1e9, "billion"), (1e6, "million")];
/// Decimal units of bytes.
pub(super) const BYTES: &[(f64, &str)] =
    &[(1e18, "EB"), (1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")];

impl Kind {
    /// `value` in this unit, as people read it.
    pub fn show(self, value: f64) -> String {
        match self {
            Kind::Count | Kind::Records => count(value),
            Kind::Times => format!("{}×", number(value)),
            Kind::Share => format!("{} %", number(value * 100.0)),
            Kind::Bytes => bytes(value),
            Kind::BytesPerRecord => bytes(value),
            Kind::Seconds => seconds(value),
            Kind::RecordsPerSecond => format!("{}/s", count(value)),
            Kind::BytesPerSecond => format!("{}/s", bytes(value)),
            Kind::Cores => format!("{} cores", number(value)),
            Kind::CoreSecondsPerByte => format!("{} core-s/GB", number(value * 1e9)),
            Kind::CoreSecondsPerRecord => format!("{} core-s/million", number(value * 1e6)),
        }
    }
}

/// In the largest unit of which there is at least one, after rounding.
fn in_units(value: f64, units: &[(f64, &str)]) -> Option<String> {
    let rounded = round(value);
    let (size, unit) = units.iter().find(|(size, _)| rounded >= *size)?;
    Some(format!("{} {unit}", number(value / size)))
}

fn count(value: f64) -> String {
    in_units(value, WORDS).unwrap_or_else(|| number(value))
}

fn bytes(value: f64) -> String {
    in_units(value, BYTES).unwrap_or_else(|| format!("{} B", number(value)))
}

fn seconds(value: f64) -> String {
    match value {
        v if v.is_infinite() => "never".into(),
        v if v < 120.0 => format!("{} s", number(v)),
        v if v < 3600.0 => format!("{} min", number(v / 60.0)),
        v if v < 172_800.0 => format!("{} h", number(v / 3600.0)),
        v => format!("{} d", number(v / 86_400.0)),
    }
}

/// To [`DIGITS`] digits that count; whole numbers below a million stay as they are.
fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() || (value.abs() >= 1000.0 && value.abs() < 1e6) {
        return if value.is_finite() { value.round() } else { value };
    }
    let digits = DIGITS - 1 - value.abs().log10().floor() as i32;
    // Powers of ten that are whole numbers are exact.
    let power = 10f64.powi(digits.abs());
    match digits {
        0.. if power.is_finite() => (value * power).round() / power,
        ..0 => (value / power).round() * power,
        _ => value,
    }
}

/// From the one to the other; a unit that they share is said once.
pub(super) fn range(kind: Kind, low: f64, high: f64) -> String {
    let (low, high) = (kind.show(low), kind.show(high));
    let unit = |text: &str| text.find(|c: char| !matches!(c, '0'..='9' | '.' | ',' | '-')).unwrap_or(text.len());
    let (number, of) = low.split_at(unit(&low));
    if of == &high[unit(&high)..] { format!("{number}..{high}") } else { format!("{low}..{high}") }
}

/// Rounded, thousands set apart, without noughts at the end.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "without end".into();
    }
    let rounded = round(value);
    if rounded.abs() >= 1e15 || (rounded != 0.0 && rounded.abs() < 1e-6) {
        return format!("{rounded:e}");
    }
    let plain = format!("{rounded}");
    let (whole, rest) = plain.split_once('.').unwrap_or((&plain, ""));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut text = String::from(sign);
    for (n, digit) in whole.chars().enumerate() {
        if n > 0 && (whole.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if rest.is_empty() { text } else { format!("{text}.{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_as_people_read_them() {
        let shown = [
            (Kind::RecordsPerSecond, 115_740.740_740, "115,741/s"),
            (Kind::RecordsPerSecond, 1_157_407.4, "1.157 million/s"),
            (Kind::Records, 1e10, "10 billion"),
            (Kind::Count, 116.0, "116"),
            (Kind::Count, 999_999.7, "1 million"),
            (Kind::RecordsPerSecond, 1e12, "1 trillion/s"),
            (Kind::Bytes, 5e12, "5 TB"),
            (Kind::Bytes, 999_950_000_000.0, "1 TB"),
            (Kind::Bytes, 0.0, "0 B"),
            (Kind::BytesPerRecord, 500.0, "500 B"),
            (Kind::BytesPerSecond, 57_870_370.0, "57.87 MB/s"),
            (Kind::Times, 10.0, "10×"),
            (Kind::Share, 0.7, "70 %"),
            (Kind::Seconds, 604_800.0, "7 d"),
            (Kind::Seconds, 5400.0, "1.5 h"),
            (Kind::Seconds, 0.25, "0.25 s"),
            (Kind::Seconds, f64::INFINITY, "never"),
            (Kind::Cores, 34.722_222, "34.72 cores"),
            (Kind::CoreSecondsPerByte, 1e-8, "10 core-s/GB"),
            (Kind::CoreSecondsPerRecord, 5e-7, "0.5 core-s/million"),
        ];
        for (kind, value, text) in shown {
            assert_eq!(kind.show(value), text);
        }
    }

    #[test]
    fn a_unit_is_said_once_if_it_is_one() {
        assert_eq!(range(Kind::Bytes, 29.03e12, 130.6e12), "29.03..130.6 TB");
        assert_eq!(range(Kind::Bytes, 800.0, 1200.0), "800 B..1.2 kB");
        assert_eq!(range(Kind::RecordsPerSecond, 8e4, 1.2e5), "80,000..120,000/s");
        assert_eq!(range(Kind::Count, 8.0, 29.0), "8..29");
        assert_eq!(range(Kind::Seconds, 60.0, f64::INFINITY), "60 s..never");
    }
}
