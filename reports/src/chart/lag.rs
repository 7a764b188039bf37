//! How far a group is behind in a burst.

use std::error::Error;

use plotters::prelude::*;

use super::{COLOURS, INLINE, NAMES};
use crate::capacity::Burst;
use crate::capacity::unit::{Amount, Kind};

/// How far a group is behind from the beginning of a burst until it has caught up; if it never does, for as long again.
pub fn lag(burst: &Burst) -> Result<String, Box<dyn Error>> {
    let (lasts, drain) = (burst.lasts.get(), burst.drain().get());
    let over = lasts + if drain.is_finite() { drain } else { lasts };
    let until = over * 1.05;
    let (unit, of) = *TIMES.iter().find(|(_, of)| until >= 2.0 * of).unwrap_or(&("s", 1.0));
    // Between these it is a straight line.
    let corners = [0.0, lasts, over, until].map(|t| (t / of, burst.lag_at(Amount::new(t)).get()));
    let most = corners.iter().map(|(_, lag)| *lag).fold(1.0, f64::max);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (INLINE, 180)).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(8)
            .margin_right(28)
            .x_label_area_size(24)
            .y_label_area_size(NAMES - 8)
            .build_cartesian_2d(0.0..until / of, 0.0..most * 1.1)?;
        chart
            .configure_mesh()
            .disable_mesh()
            .x_labels(5)
            .y_labels(4)
            .label_style(("sans-serif", 14))
            .x_label_formatter(&|t| format!("{} {unit}", Kind::Count.show(*t)))
            .y_label_formatter(&|lag| Kind::Records.show(*lag))
            .draw()?;
        chart.draw_series([PathElement::new(corners.to_vec(), COLOURS[1].stroke_width(2))])?;
        root.present()?;
    }
    Ok(svg)
}

/// Units of time on an axis, and how many seconds each has.
const TIMES: &[(&str, f64)] = &[("d", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_that_is_never_worked_off_is_drawn_all_the_same() {
        let [base, rate, pace] = [10.0, 100.0, 5.0].map(Amount::new);
        let never = Burst { base, rate, lasts: Amount::new(60.0), pace };
        for burst in [never, Burst { pace: Amount::new(50.0), ..never }, Burst { pace: Amount::new(500.0), ..never }] {
            let svg = lag(&burst).expect("a picture");
            assert!(svg.contains("polyline") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
