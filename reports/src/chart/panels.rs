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
/// Where bands are numbered.
const BANDS: i32 = 16;

/// A panel.
#[derive(Clone, Debug, Default)]
pub struct Panel {
    /// What it shows, with its unit.
    pub title: String,
    /// At most three: full, dashed, dotted.
    pub lines: Vec<Line>,
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
    /// Written above it, if there is room.
    pub name: String,
}

/// The panels, to `until` on the axis, whose numbers `show` writes.
pub fn panels(panels: &[Panel], bands: &[Band], until: f64, show: fn(f64) -> String) -> Result<String, Box<dyn Error>> {
    let above = if bands.is_empty() { 0 } else { BANDS };
    let bottom = above + PANEL * i32::try_from(panels.len())?;
    let x = |at: f64| LEFT + (f64::from(RIGHT - LEFT) * at / until.max(f64::MIN_POSITIVE)).round() as i32;
    picture((INLINE, (bottom + CLOCK).cast_unsigned()), |root| {
        let mut free = 0;
        for band in bands {
            let (from, to) = (x(band.from), x(band.to).max(x(band.from) + 1));
            for top in (above..bottom).step_by(usize::try_from(PANEL)?) {
                let corners = [(from, top + HEAD), (to, top + PANEL - 6)];
                root.draw(&Rectangle::new(corners, COLOURS[4].mix(0.3).filled()))?;
                root.draw(&PathElement::new(vec![corners[0], (from, corners[1].1)], COLOURS[4].stroke_width(1)))?;
            }
            let (middle, half) = (i32::midpoint(from, to), i32::try_from(band.name.len())? * LETTER / 2 + 2);
            if middle - half >= free {
                write(root, band.name.as_str(), (middle, BANDS / 2), HPos::Center)?;
                free = middle + half;
            }
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

fn one(root: &Area<'_>, panel: &Panel, top: i32, x: &dyn Fn(f64) -> i32) -> Drawn {
    let (high, low) = (top + HEAD, top + PANEL - 6);
    let values = panel.lines.iter().flat_map(|line| line.points.iter().filter_map(|(_, value)| *value));
    let most = values.fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let every = step(most, 3.0);
    let most = (most / every).ceil() * every;
    let y = |value: f64| low - (f64::from(low - high) * value / most).round() as i32;
    let mut at = 0.0;
    while at <= most * 1.001 {
        root.draw(&PathElement::new(vec![(LEFT, y(at)), (RIGHT, y(at))], COLOURS[5].mix(0.4)))?;
        write(root, Kind::Count.show(at), (LEFT - 6, y(at)), HPos::Right)?;
        at += every;
    }
    let title = cut(&panel.title, 260);
    write(root, title.as_str(), (0, top + 10), HPos::Left)?;
    let mut left = (i32::try_from(title.chars().count())? + 2) * LETTER;
    for (line, style) in panel.lines.iter().zip(0..) {
        if !line.name.is_empty() {
            draw(root, &[(left, top + 10), (left + 24, top + 10)], style)?;
            write(root, line.name.as_str(), (left + 28, top + 10), HPos::Left)?;
            left += 40 + i32::try_from(line.name.chars().count())? * LETTER;
        }
        for known in line.points.split(|(_, value)| value.is_none()) {
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
    fn a_line_is_broken_where_nothing_is_known_and_bands_that_meet_are_named_once() {
        let points = [Some(1.0), Some(2.0), None, Some(4.0), Some(3.0)];
        let points = points.into_iter().enumerate().map(|(at, value)| (at as f64, value)).collect();
        let panel = Panel { title: "a < b".into(), lines: vec![Line { name: String::new(), points }] };
        let band = |from, to, name: &str| Band { from, to, name: name.into() };
        let bands = [band(1.0, 1.2, "#10"), band(1.0, 1.3, "#11"), band(3.0, 4.0, "#2")];
        let svg = panels(&[panel], &bands, 4.0, super::super::seconds).expect("a picture");
        let lines = svg.matches("<polyline").filter(|_| true).count();
        assert!(svg.contains("a &lt; b") && svg.contains("#10") && !svg.contains("#11") && svg.contains("#2"), "{svg}");
        assert_eq!(svg.matches("stroke=\"#0072B2\"").count(), 2, "{lines} lines in {svg}");
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn nothing_at_all_is_drawn_all_the_same() {
        let svg = panels(&[Panel::default()], &[], 0.0, super::super::seconds).expect("a picture");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
