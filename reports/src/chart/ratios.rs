//! Ratios beside 1, in groups: on a logarithmic scale, so that half and twice are as far from 1.

use std::error::Error;

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::bars::{BAR, range};
use super::{Bar, COLOURS, INLINE, NAMES, cut, names, picture, pixels, write};

/// Bars from 1 to each ratio, below the name of their group, with the number at the right and a line over its range. Of ratios
/// above 0.
pub fn ratios(groups: &[(&str, Vec<Bar>)]) -> Result<String, Box<dyn Error>> {
    let all = || groups.iter().flat_map(|(_, bars)| bars);
    let rows = all().count() + groups.len();
    let height = BAR * u32::try_from(rows)?;
    let longest = |of: fn(&Bar) -> &str| all().map(|bar| of(bar).chars().count()).max().unwrap_or(0);
    let left = names(longest(|bar| &bar.name), NAMES.cast_signed());
    let right = INLINE.cast_signed() - pixels(longest(|bar| &bar.says)).saturating_add(10).clamp(60, 170);
    // Something is on either side of 1, so that one sees which side a ratio is on.
    let least = all().map(|bar| bar.range.0.min(bar.value)).fold(0.5, f64::min).max(f64::MIN_POSITIVE);
    let most = all().map(|bar| bar.range.1.max(bar.value)).fold(2.0, f64::max);
    let wide = f64::from(right - left) / (most / least).ln();
    let x = |value: f64| left + (wide * (value.max(least) / least).ln()).round() as i32;
    picture((INLINE, height), |root| {
        let one = x(1.0);
        root.draw(&PathElement::new(vec![(one, 0), (one, height.cast_signed())], BLACK.mix(0.4).stroke_width(1)))?;
        let mut top = 0;
        for (group, bars) in groups {
            // Beside the line, not on it.
            write(root, cut(group, one - 8), (0, top + 13), HPos::Left)?;
            for bar in bars {
                top += BAR.cast_signed();
                let (colour, middle) = (if bar.main { COLOURS[0] } else { COLOURS[1] }, top + 12);
                write(root, cut(&bar.name, left - 8), (left - 8, middle), HPos::Right)?;
                let ends = (x(bar.value).min(one), x(bar.value).max(one).max(one + 1));
                root.draw(&Rectangle::new([(ends.0, top + 3), (ends.1, top + 21)], colour.filled()))?;
                range(root, (x(bar.range.0), x(bar.range.1)), middle)?;
                write(root, bar.says.as_str(), (right + 8, middle), HPos::Left)?;
            }
            top += BAR.cast_signed();
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_and_twice_are_as_far_from_one() {
        let bars = [0.5, 2.0].map(|ratio| Bar::new("peer", ratio, format!("{ratio:.2}"))).to_vec();
        let svg = ratios(&[("append", bars)]).expect("a picture");
        let widths: Vec<i32> = svg
            .lines()
            .filter(|line| line.starts_with("<rect") && line.contains("#0072B2"))
            .filter_map(|line| line.split("width=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        assert!(widths.len() == 2 && (widths[0] - widths[1]).abs() <= 1 && widths[0] > 20, "{widths:?}\n{svg}");
        assert!(svg.contains("append") && svg.contains("0.50") && svg.contains("2.00"));
    }

    #[test]
    fn nothing_and_extremes_are_drawn() {
        assert!(ratios(&[]).is_ok());
        let bars = vec![Bar::new("a", 1e-9, "0"), Bar::new("b", 1e9, "1"), Bar::new("c", 1.0, "1")];
        assert!(!ratios(&[("all", bars)]).expect("a picture").contains("NaN"));
    }
}
