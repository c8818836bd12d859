//! Draws lines over two axes. Colours are those of Okabe and Ito, which survive colour blindness; each line has dots or
//! dashes of its own besides.

use anyhow::{Result, bail};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::block::{Axis, Series, number};

/// Width and height of what is below the legend, in user units. Small, so that letters can be read on a phone.
const SIZE: (u32, u32) = (560, 340);

/// The legend stands above the plot in two columns, so that it covers nothing.
const LEGEND_COLUMNS: [i32; 2] = [66, 316];
const LEGEND_ROW: i32 = 18;
const LEGEND_LINE: i32 = 34;

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
    let legend = match series.len() {
        0 | 1 => 0,
        count => LEGEND_ROW * i32::try_from(count.div_ceil(LEGEND_COLUMNS.len()))? + 8,
    };
    let mut text = String::new();
    {
        let size = (SIZE.0, SIZE.1 + legend as u32);
        let whole = SVGBackend::with_string(&mut text, size).into_drawing_area();
        let (strip, area) = whole.split_vertically(legend);
        if legend > 0 {
            explain(&strip, series)?;
        }
        let labels = (x.label.as_str(), y.label.as_str());
        match (x.logarithmic, y.logarithmic) {
            (false, false) => chart(&area, xs.0..xs.1, ys.0..ys.1, labels, series)?,
            (true, false) => chart(&area, (xs.0..xs.1).log_scale(), ys.0..ys.1, labels, series)?,
            (false, true) => chart(&area, xs.0..xs.1, (ys.0..ys.1).log_scale(), labels, series)?,
            (true, true) => {
                chart(&area, (xs.0..xs.1).log_scale(), (ys.0..ys.1).log_scale(), labels, series)?
            }
        }
        whole.present()?;
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

/// The dash and the gap of a line in user units, unless it is drawn through.
fn dash(at: usize) -> Option<(i32, i32)> {
    [None, Some((9, 4)), Some((4, 4))][at % 3]
}

/// Says which line is which.
fn explain(strip: &DrawingArea<SVGBackend<'_>, Shift>, series: &[Series]) -> Result<()> {
    let font = ("sans-serif", LETTERS).into_font().color(&BLACK);
    let font = font.pos(Pos::new(HPos::Left, VPos::Center));
    for (at, line) in series.iter().enumerate() {
        let left = LEGEND_COLUMNS[at % LEGEND_COLUMNS.len()];
        let row = i32::try_from(at / LEGEND_COLUMNS.len())?;
        let middle = 8 + LEGEND_ROW * row + LEGEND_ROW / 2;
        let style = PALETTE[at % PALETTE.len()].stroke_width(3);
        let (drawn, gap) = dash(at).unwrap_or((LEGEND_LINE, 0));
        let end = left + LEGEND_LINE;
        let mut from = left;
        while from < end {
            let to = (from + drawn).min(end);
            strip.draw(&PathElement::new([(from, middle), (to, middle)], style))?;
            from = to + gap;
        }
        strip.draw(&Text::new(line.name.clone(), (end + 8, middle), font.clone()))?;
    }
    Ok(())
}

/// A number beside an axis.
fn tick(value: f64) -> String {
    let text = number(value);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
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
        .y_label_area_size(78)
        .build_cartesian_2d(xs, ys)?;
    let format = |value: &f64| tick(*value);
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
        match dash(at) {
            None => chart.draw_series(LineSeries::new(points.clone(), style))?,
            Some((drawn, gap)) => {
                let points = points.clone();
                chart.draw_series(DashedLineSeries::new(points, drawn as u32, gap as u32, style))?
            }
        };
        if points.len() <= 40 {
            chart.draw_series(
                points.into_iter().map(|point| Circle::new(point, 3, colour.filled())),
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_several_lines_is_named_above_the_plot() {
        let line = |name: &str| Series { name: name.to_owned(), points: vec![(1.0, 2.0)] };
        let series = ["first", "second", "third"].map(line);
        let draw = |series| draw(&Axis::linear("n"), &Axis::linear("ms"), series).expect("drawn");
        let height = |svg: &str| {
            svg.split_once("height=\"")
                .expect("a height")
                .1
                .split('"')
                .next()
                .expect("an end")
                .to_owned()
        };
        assert_eq!(height(&draw(&series[..1])), "340");
        let svg = draw(&series);
        assert_eq!(height(&svg), "384");
        assert!(series.iter().all(|line| svg.contains(&format!(">\n{}\n<", line.name))), "{svg}");
    }

    #[test]
    fn ticks_have_no_needless_digits() {
        assert_eq!(
            [0.0, 0.2, 0.5, 1.0, 1.5, 10_000.0].map(tick),
            ["0", "0.2", "0.5", "1", "1.5", "10,000"]
        );
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
