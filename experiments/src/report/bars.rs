//! Draws lying bars in groups, each with its value at its end.

use anyhow::{Result, bail};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::block::number;
use super::lines::{LETTERS, PALETTE};

/// All in user units.
const WIDTH: i32 = 560;
const LABELS: i32 = 170;
const VALUES: i32 = 60;
const BAR: i32 = 15;
const GAP: i32 = 9;
const LEGEND_ROW: i32 = 18;

/// Draws the bars as SVG.
///
/// # Errors
/// There is none, or a value is below zero or not finite.
pub fn draw(unit: &str, series: &[String], groups: &[(String, Vec<f64>)]) -> Result<String> {
    let values = || groups.iter().flat_map(|(_, values)| values.iter().copied());
    if let Some(value) = values().find(|value| !value.is_finite() || *value < 0.0) {
        bail!("bars of {unit} cannot show {value}");
    }
    if groups.is_empty() {
        bail!("there are no bars of {unit}");
    }
    let most = values().fold(f64::MIN_POSITIVE, f64::max);
    let legend = if series.len() > 1 { LEGEND_ROW * i32::try_from(series.len())? } else { 0 };
    let bars: usize = groups.iter().map(|(_, values)| values.len()).sum();
    let height = legend + 28 + BAR * i32::try_from(bars)? + GAP * i32::try_from(groups.len())?;

    let mut text = String::new();
    {
        let area =
            SVGBackend::with_string(&mut text, (WIDTH as u32, height as u32)).into_drawing_area();
        let font = || ("sans-serif", LETTERS).into_font().color(&BLACK);
        let left = || font().pos(Pos::new(HPos::Left, VPos::Center));
        let right = || font().pos(Pos::new(HPos::Right, VPos::Center));
        area.draw(&Text::new(unit.to_owned(), (LABELS, 10), left()))?;
        let mut top = 20;
        if series.len() > 1 {
            for (at, name) in series.iter().enumerate() {
                let middle = top + LEGEND_ROW / 2;
                let colour = PALETTE[at % PALETTE.len()];
                area.draw(&Rectangle::new(
                    [(LABELS, middle - 5), (LABELS + 12, middle + 5)],
                    colour.filled(),
                ))?;
                area.draw(&Text::new(name.clone(), (LABELS + 18, middle), left()))?;
                top += LEGEND_ROW;
            }
        }
        for (label, values) in groups {
            top += GAP;
            let middle = top + BAR * i32::try_from(values.len())? / 2;
            area.draw(&Text::new(label.clone(), (LABELS - 8, middle), right()))?;
            for (at, &value) in values.iter().enumerate() {
                let length = (f64::from(WIDTH - LABELS - VALUES) * value / most).round() as i32;
                let colour = PALETTE[at % PALETTE.len()];
                area.draw(&Rectangle::new(
                    [(LABELS, top + 1), (LABELS + length, top + BAR - 1)],
                    colour.filled(),
                ))?;
                area.draw(&Text::new(number(value), (LABELS + length + 5, top + BAR / 2), left()))?;
                top += BAR;
            }
        }
        area.present()?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bar_says_its_value() {
        let series = ["floe".to_owned(), "ninja".to_owned()];
        let svg = draw("ms", &series, &[("null".to_owned(), vec![4.0, 130.7])]).expect("drawn");
        for said in ["null", "floe", "ninja", ">\n4\n<", ">\n131\n<"] {
            assert!(svg.contains(said), "{said} in {svg}");
        }
        assert!(draw("ms", &series, &[("null".to_owned(), vec![-1.0])]).is_err());
    }
}
