//! Draws a table of `growth`: processor time for each derivation over the size of the graph. A line that stays level is
//! linear growth. Measures nothing.

use std::error::Error;
use std::fs;

use plotters::prelude::*;

/// Columns, each with its colour: of Okabe and Ito's palette, which survives colour blindness.
const COLUMNS: [(&str, RGBColor); 7] = [
    ("evaluated", RGBColor(0, 114, 178)),
    ("engine", RGBColor(213, 94, 0)),
    ("children", RGBColor(0, 158, 115)),
    ("shell", RGBColor(0, 0, 0)),
    ("null", RGBColor(204, 121, 167)),
    ("own", RGBColor(230, 159, 0)),
    ("set-up", RGBColor(86, 180, 233)),
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(table), Some(picture)) = (args.next(), args.next()) else {
        return Err("usage: plot TABLE SVG".into());
    };
    let text = fs::read_to_string(&table)?;
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let rows = lines.map(|line| line.split('\t').map(str::parse).collect());
    let rows: Vec<Vec<f64>> = rows.collect::<Result<_, _>>()?;
    if rows.is_empty() || rows.iter().any(|row| row.len() != names.len() || row[0] < 1.0) {
        return Err(format!("{table} is no table of growth's").into());
    }
    let most = rows.iter().flat_map(|row| &row[1..]).fold(0.0, |most: f64, &ms| most.max(ms));
    let counts = rows.iter().map(|row| row[0]);
    let (least, largest) =
        counts.fold((f64::MAX, 0.0), |(a, b): (f64, f64), n| (a.min(n), b.max(n)));

    let area = SVGBackend::new(&picture, (720, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("Processor time for each derivation", ("sans-serif", 20))
        .margin(12)
        .margin_right(32)
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d((least..largest).log_scale(), 0.0..most * 1.15)?;
    chart
        .configure_mesh()
        .x_desc("derivations")
        .y_desc("ms")
        .x_label_formatter(&|count| format!("{count:.0}"))
        .draw()?;
    for (at, name) in names.iter().enumerate().skip(1) {
        let known = COLUMNS.iter().find(|(column, _)| column == name);
        let colour = known.map_or(BLACK, |(_, colour)| *colour);
        let points: Vec<(f64, f64)> = rows.iter().map(|row| (row[0], row[at])).collect();
        chart
            .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart
            .draw_series(points.into_iter().map(|point| Circle::new(point, 3, colour.filled())))?;
    }
    chart.configure_series_labels().border_style(BLACK).background_style(WHITE).draw()?;
    area.present()?;
    Ok(())
}
