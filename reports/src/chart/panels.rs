//! Lines over a common axis, in panels one below the other, before bands that go through all of them.

use std::error::Error;

use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{Area, COLOURS, Drawn, INLINE, LETTER, cut, picture, step, write};
use crate::capacity::unit::Kind;

/// Height of a panel.
const PANEL: i32 = 132;
/// Its headline and legend.
const HEAD: i32 = 22;
/// Below the last one.
const CLOCK: i32 = 26;
/// Left of the panels: numbers.
const LEFT: i32 = 60;
/// The right edge of the panels.
const RIGHT: i32 = INLINE.cast_signed() - 16;
/// Height of a row in which bands are named.
const BANDS: i32 = 16;

/// A panel.
#[derive(Clone, Debug, Default)]
pub struct Panel {
    /// What it shows, with its unit.
    pub title: String,
    /// At most three: full, dashed, dotted.
    pub lines: Vec<Line>,
    /// Whether each step up is ten times as much: what is not above zero is not known there.
    pub log: bool,
}

impl Panel {
    /// A panel that begins at zero.
    pub fn new(title: impl Into<String>, lines: Vec<Line>) -> Self {
        Self { title: title.into(), lines, log: false }
    }

    /// One on which each step up is ten times as much.
    pub fn log(title: impl Into<String>, lines: Vec<Line>) -> Self {
        Self { log: true, ..Self::new(title, lines) }
    }

    /// What there is to be shown.
    fn shows(&self, value: Option<f64>) -> Option<f64> {
        value.filter(|value| !self.log || *value > 0.0)
    }

    /// Where its axis begins and ends, and where its numbers stand, from 0 to 1.
    fn axis(&self) -> (Box<dyn Fn(f64) -> f64>, Vec<f64>) {
        let values = self.lines.iter().flat_map(|line| line.points.iter().filter_map(|(_, value)| self.shows(*value)));
        if !self.log {
            let most = values.fold(0.0, f64::max).max(f64::MIN_POSITIVE);
            let every = step(most, 3.0);
            let steps = (most / every * 0.999).ceil().max(1.0);
            let most = steps * every;
            return (Box::new(move |value| value / most), (0..=steps as u32).map(|n| f64::from(n) * every).collect());
        }
        let (least, most) = values.fold((f64::MAX, f64::MIN_POSITIVE), |(a, b), value| (value.min(a), value.max(b)));
        let low = least.min(most).log10().floor();
        let high = (most.log10() * 0.999).ceil().max(low + 1.0);
        let every = ((high - low) / 4.0).ceil().max(1.0);
        let numbers = (0..).map(|n| low + f64::from(n) * every).take_while(|power| *power <= high);
        (Box::new(move |value: f64| (value.log10() - low) / (high - low)), numbers.map(|p| 10f64.powf(p)).collect())
    }
}

/// A line, from the left to the right. Where nothing is known, it is broken.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// What it is; may be empty if it is alone.
    pub name: String,
    /// Where it goes.
    pub points: Vec<(f64, Option<f64>)>,
}

/// A band behind the panels.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    /// From there on the axis.
    pub from: f64,
    /// To there.
    pub to: f64,
    /// Written above it.
    pub name: String,
}

/// The panels, to `until` on the axis, whose numbers `show` writes.
pub fn panels(panels: &[Panel], bands: &[Band], until: f64, show: fn(f64) -> String) -> Result<String, Box<dyn Error>> {
    let x = |at: f64| LEFT + (f64::from(RIGHT - LEFT) * at / until.max(f64::MIN_POSITIVE)).round() as i32;
    let (names, above) = named(bands, &x);
    let bottom = above + PANEL * i32::try_from(panels.len())?;
    picture((INLINE, (bottom + CLOCK).cast_unsigned()), |root| {
        for band in bands {
            let (from, to) = (x(band.from), x(band.to).max(x(band.from) + 1));
            for top in (above..bottom).step_by(usize::try_from(PANEL)?) {
                let corners = [(from, top + HEAD), (to, top + PANEL - 6)];
                root.draw(&Rectangle::new(corners, COLOURS[4].mix(0.3).filled()))?;
                root.draw(&PathElement::new(vec![corners[0], (from, corners[1].1)], COLOURS[4].stroke_width(1)))?;
            }
        }
        for (name, at) in names {
            write(root, name, at, HPos::Center)?;
        }
        for (panel, top) in panels.iter().zip((above..).step_by(usize::try_from(PANEL)?)) {
            one(root, panel, top, &x)?;
        }
        let every = step(until, 6.0);
        let mut at = 0.0;
        while at <= until * 1.001 {
            root.draw(&PathElement::new(vec![(x(at), bottom - 6), (x(at), bottom - 2)], BLACK))?;
            write(root, show(at), (x(at), bottom + 10), HPos::Center)?;
            at += every;
        }
        Ok(())
    })
}

/// A name, and where its middle is.
type Named<'a> = (&'a str, (i32, i32));

/// Where the names of bands stand, in as few rows as have room for them, and how high those are.
fn named<'a>(bands: &'a [Band], x: &dyn Fn(f64) -> i32) -> (Vec<Named<'a>>, i32) {
    let mut rows: Vec<i32> = Vec::new();
    let mut sorted: Vec<&Band> = bands.iter().collect();
    sorted.sort_by(|a, b| a.from.total_cmp(&b.from));
    let place = |band: &'a Band| {
        let half = i32::try_from(band.name.chars().count()).unwrap_or(0) * LETTER / 2 + 3;
        let middle = i32::midpoint(x(band.from), x(band.to));
        let free = rows.iter().position(|free| *free <= middle - half);
        let row = free.unwrap_or_else(|| {
            rows.push(0);
            rows.len() - 1
        });
        rows[row] = middle + half;
        (band.name.as_str(), (middle, BANDS * i32::try_from(row).unwrap_or(0) + BANDS / 2))
    };
    let names = sorted.into_iter().map(place).collect();
    (names, BANDS * i32::try_from(rows.len()).unwrap_or(0))
}

fn one(root: &Area<'_>, panel: &Panel, top: i32, x: &dyn Fn(f64) -> i32) -> Drawn {
    let (high, low) = (top + HEAD, top + PANEL - 6);
    let (place, numbers) = panel.axis();
    let y = |value: f64| low - (f64::from(low - high) * place(value)).round() as i32;
    for at in numbers {
        root.draw(&PathElement::new(vec![(LEFT, y(at)), (RIGHT, y(at))], COLOURS[5].mix(0.4)))?;
        write(root, Kind::Count.show(at), (LEFT - 6, y(at)), HPos::Right)?;
    }
    let room = if panel.lines.iter().any(|line| !line.name.is_empty()) { 260 } else { RIGHT };
    let title = cut(&panel.title, room);
    write(root, title.as_str(), (0, top + 10), HPos::Left)?;
    let mut left = (i32::try_from(title.chars().count())? + 2) * LETTER;
    for (line, style) in panel.lines.iter().zip(0..) {
        if !line.name.is_empty() {
            draw(root, &[(left, top + 10), (left + 24, top + 10)], style)?;
            write(root, line.name.as_str(), (left + 28, top + 10), HPos::Left)?;
            left += 40 + i32::try_from(line.name.chars().count())? * LETTER;
        }
        for known in line.points.split(|(_, value)| panel.shows(*value).is_none()) {
            let points: Vec<(i32, i32)> = known.iter().filter_map(|(at, value)| Some((x(*at), y((*value)?)))).collect();
            draw(root, &points, style)?;
        }
    }
    Ok(())
}

/// A line in the first, second or third style.
fn draw(root: &Area<'_>, points: &[(i32, i32)], style: usize) -> Drawn {
    let colour = [COLOURS[1], COLOURS[0], COLOURS[2]][style % 3].stroke_width(2);
    match (points, style) {
        ([], _) => {}
        // A single known place would be no line.
        ([(x, y)], _) => root.draw(&Circle::new((*x, *y), 2, colour.filled()))?,
        (_, 0) => root.draw(&PathElement::new(points.to_vec(), colour))?,
        (_, 1) => root.draw(&DashedPathElement::new(points.to_vec(), 6, 3, colour))?,
        (_, _) => root.draw(&DashedPathElement::new(points.to_vec(), 2, 3, colour))?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_where_nothing_is_known_and_every_band_is_named() {
        let points = [Some(1.0), Some(2.0), None, Some(4.0), Some(3.0)];
        let points = points.into_iter().enumerate().map(|(at, value)| (at as f64, value)).collect();
        let panel = Panel::new("a < b", vec![Line { name: String::new(), points }]);
        let band = |from, to, name: &str| Band { from, to, name: name.into() };
        let bands = [band(1.0, 1.2, "#10"), band(1.0, 1.3, "#11"), band(3.0, 4.0, "#2")];
        let svg = panels(&[panel], &bands, 4.0, super::super::seconds).expect("a picture");
        assert!(["a &lt; b", "#10", "#11", "#2"].iter().all(|word| svg.contains(word)), "{svg}");
        assert_eq!(svg.matches("stroke=\"#0072B2\"").count(), 2, "{svg}");
        let (places, high) = named(&bands, &|at| (at * 100.0) as i32);
        assert_eq!(
            (places[0].1.1, places[1].1.1, places[2].1.1, high),
            (8, 24, 8, 32),
            "the second has no room in the first row"
        );
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn a_step_up_is_ten_times_as_much() {
        let points = [(0.0, Some(20.0)), (1.0, Some(0.0)), (2.0, Some(20_000.0))];
        let panel = Panel::log("us", vec![Line { name: String::new(), points: points.into() }]);
        let (place, numbers) = panel.axis();
        assert_eq!(numbers, [10.0, 100.0, 1000.0, 10_000.0, 100_000.0]);
        assert!((place(1000.0) - 0.5).abs() < 1e-9 && place(10.0).abs() < 1e-9);
        let svg = panels(&[panel], &[], 2.0, super::super::seconds).expect("a picture");
        assert_eq!(svg.matches("<circle").count(), 2, "nothing joins them: {svg}");
        let (place, numbers) = Panel::new("", vec![Line { name: String::new(), points: points.into() }]).axis();
        assert_eq!((place(20_000.0), numbers.last()), (1.0, Some(&20_000.0)));
    }

    #[test]
    fn nothing_at_all_is_drawn_all_the_same() {
        let log = panels(&[Panel::log("", Vec::new())], &[], 0.0, super::super::seconds).expect("a picture");
        assert!(!log.contains("NaN") && !log.contains("inf"), "{log}");
        let svg = panels(&[Panel::default()], &[], 0.0, super::super::seconds).expect("a picture");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
