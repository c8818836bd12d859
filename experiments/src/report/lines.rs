//! Draws lines over two axes. Colours are those of Okabe and Ito, which survive colour blindness; each line has dots or
//! dashes of its own besides.

use anyhow::{Result, bail};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::prelude::*;

use super::block::{Axis, Series, number};

/// Width and height in user units. Small, so that letters can be read on a phone.
const SIZE: (u32, u32) = (560, 360);

/// The size of letters as `plotters` is told it; what it writes is four fifths of that.
pub const LETTERS: i32 = 15;

/// Okabe, Ito 2008: Color Universal Design.
pub const PALETTE: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(120, 120, 120),
];

/// Draws the lines as SVG.
///
/// # Errors
/// There is no point, or one that the axes cannot show.
pub fn draw(x: &Axis, y: &Axis, series: &[Series]) -> Result<String> {
    let points = || series.iter().flat_map(|line| line.points.iter().copied());
    if points().next().is_none() {
        bail!("a plot of {} over {} has no point", y.label, x.label);
    }
    let xs = bounds(x, points().map(|point| point.0))?;
    let ys = bounds(y, points().map(|point| point.1))?;
    let ys = (ys.0, above_legend(x, xs, y, ys, series));
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        let labels = (x.label.as_str(), y.label.as_str());
        match (x.logarithmic, y.logarithmic) {
            (false, false) => chart(&area, xs.0..xs.1, ys.0..ys.1, labels, series)?,
            (true, false) => chart(&area, (xs.0..xs.1).log_scale(), ys.0..ys.1, labels, series)?,
            (false, true) => chart(&area, xs.0..xs.1, (ys.0..ys.1).log_scale(), labels, series)?,
            (true, true) => {
                chart(&area, (xs.0..xs.1).log_scale(), (ys.0..ys.1).log_scale(), labels, series)?
            }
        }
        area.present()?;
    }
    Ok(text)
}

/// From where to where an axis goes, with a little room.
fn bounds(axis: &Axis, values: impl Iterator<Item = f64>) -> Result<(f64, f64)> {
    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        if !value.is_finite() || (axis.logarithmic && value <= 0.0) {
            bail!("the axis '{}' cannot show {value}", axis.label);
        }
        least = least.min(value);
        most = most.max(value);
    }
    Ok(match axis.logarithmic {
        true => (least / 1.2, most * 1.3),
        false if least >= 0.0 => (0.0, if most > 0.0 { most * 1.08 } else { 1.0 }),
        false => (least * 1.08, (most * 1.08).max(0.0)),
    })
}

/// Where the axis at the left must end, so that the legend in the upper left covers no point.
fn above_legend(x: &Axis, xs: (f64, f64), y: &Axis, ys: (f64, f64), series: &[Series]) -> f64 {
    let legend = (18.0 * series.len() as f64 + 14.0) / 290.0;
    let place = |axis: &Axis, (low, high): (f64, f64), value: f64| match axis.logarithmic {
        true => (value / low).ln() / (high / low).ln(),
        false => (value - low) / (high - low),
    };
    let left = |point: &&(f64, f64)| place(x, xs, point.0) < 0.45;
    let points = series.iter().flat_map(|line| &line.points).filter(left);
    let highest = points.map(|point| place(y, ys, point.1)).fold(0.0, f64::max);
    if series.len() < 2 || legend > 0.6 || highest < 1.0 - legend {
        return ys.1;
    }
    let stretch = highest / (1.0 - legend);
    match y.logarithmic {
        true => ys.0 * (ys.1 / ys.0).powf(stretch),
        false => ys.0 + (ys.1 - ys.0) * stretch,
    }
}

fn chart<X, Y, XS, YS>(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    xs: XS,
    ys: YS,
    labels: (&str, &str),
    series: &[Series],
) -> Result<()>
where
    XS: plotters::coord::ranged1d::AsRangedCoord<CoordDescType = X, Value = f64>,
    YS: plotters::coord::ranged1d::AsRangedCoord<CoordDescType = Y, Value = f64>,
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .margin_right(20)
        .x_label_area_size(40)
        .y_label_area_size(66)
        .build_cartesian_2d(xs, ys)?;
    let format = |value: &f64| number(*value);
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .axis_style(BLACK.mix(0.6))
        .x_desc(labels.0)
        .y_desc(labels.1)
        .x_labels(6)
        .y_labels(7)
        .x_label_formatter(&format)
        .y_label_formatter(&format)
        .label_style(("sans-serif", LETTERS))
        .axis_desc_style(("sans-serif", LETTERS))
        .draw()?;
    for (at, line) in series.iter().enumerate() {
        let colour = PALETTE[at % PALETTE.len()];
        let style = colour.stroke_width(2);
        let points = line.points.clone();
        let drawn = match at % 3 {
            0 => chart.draw_series(LineSeries::new(points.clone(), style))?,
            dash => chart.draw_series(DashedLineSeries::new(
                points.clone(),
                9 / dash as u32,
                4,
                style,
            ))?,
        };
        drawn
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
        if points.len() <= 40 {
            chart.draw_series(
                points.into_iter().map(|point| Circle::new(point, 3, colour.filled())),
            )?;
        }
    }
    if series.len() > 1 {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .label_font(("sans-serif", LETTERS))
            .border_style(TRANSPARENT)
            .draw()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_legend_covers_no_point() {
        let line = |name: &str, points: &[(f64, f64)]| Series {
            name: name.to_owned(),
            points: points.to_vec(),
        };
        let (x, ends) = (Axis::logarithmic("n"), (1.0, 100.0));
        let falling = [line("a", &[(1.0, 90.0), (100.0, 1.0)]), line("b", &[(1.0, 2.0)])];
        let rising = [line("a", &[(1.0, 1.0), (100.0, 90.0)]), line("b", &[(1.0, 2.0)])];
        for y in [Axis::logarithmic("ms"), Axis::linear("ms")] {
            let top = |series: &[Series]| above_legend(&x, ends, &y, (1.0, 100.0), series);
            assert!(top(&falling) > 105.0, "{}", top(&falling));
            assert_eq!(top(&rising), 100.0);
            assert_eq!(top(&falling[..1]), 100.0);
        }
    }

    #[test]
    fn what_an_axis_cannot_show_is_told() {
        let series = [Series { name: "a".to_owned(), points: vec![(0.0, 1.0)] }];
        let fault =
            draw(&Axis::logarithmic("n"), &Axis::linear("ms"), &series).expect_err("refused");
        assert_eq!(fault.to_string(), "the axis 'n' cannot show 0");
        assert!(draw(&Axis::linear("n"), &Axis::linear("ms"), &[]).is_err());
        let svg = draw(&Axis::linear("n"), &Axis::logarithmic("ms"), &series).expect("drawn");
        assert!(svg.contains("<svg") && svg.contains(">\nn\n<"));
    }
}
