//! What a section of the report is made of. Says what there is to see, not how it looks.

use anyhow::Result;

/// What the report says of a study.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Section {
    /// What a reader should take away, most interesting first: a sentence each, in Markdown.
    pub findings: Vec<String>,
    /// Figures for the README, by name: Markdown.
    pub headlines: Vec<(String, String)>,
    /// Everything else, in order.
    pub blocks: Vec<Block>,
}

impl Section {
    /// Adds a paragraph of Markdown.
    pub fn text(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Text(text.into()));
    }

    /// Adds a heading below the study's own.
    pub fn heading(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Heading(text.into()));
    }

    /// Adds a table.
    pub fn table(&mut self, table: Table) {
        self.blocks.push(Block::Table(table));
    }

    /// Adds a drawing.
    pub fn figure(&mut self, figure: Figure) {
        self.blocks.push(Block::Figure(figure));
    }

    /// Its drawings, in order.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Figure(figure) => Some(figure),
            _ => None,
        })
    }
}

/// A part of a section.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A heading below the study's.
    Heading(String),
    /// A paragraph of Markdown.
    Text(String),
    /// Rows and columns.
    Table(Table),
    /// A drawing.
    Figure(Figure),
}

/// Rows and columns of short texts. The first column says what a row is; the others are figures, set to the right.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// What it shows, in a sentence.
    pub caption: String,
    /// A heading each.
    pub columns: Vec<String>,
    /// As many cells as columns, each.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with no rows yet.
    pub fn new<S: Into<String>>(
        caption: impl Into<String>,
        columns: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            caption: caption.into(),
            columns: columns.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// When it has not as many cells as there are columns.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        assert_eq!(
            cells.len(),
            self.columns.len(),
            "a row of '{}' has a cell a column",
            self.caption
        );
        self.rows.push(cells);
    }
}

/// A drawing.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What it shows, in a sentence.
    pub caption: String,
    /// What one sees in it, for readers who do not see it.
    pub alt: String,
    /// What is drawn.
    pub plot: Plot,
}

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Plot {
    /// Points joined by lines.
    Lines {
        /// The axis below.
        x: Axis,
        /// The axis at the left.
        y: Axis,
        /// A line each.
        series: Vec<Series>,
    },
    /// Bars that lie, a group a label.
    Bars {
        /// What the length says.
        unit: String,
        /// What the bars of a group are.
        series: Vec<String>,
        /// A group each: its label, and a value for each of `series`.
        groups: Vec<(String, Vec<f64>)>,
    },
}

/// An axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What it says, with the unit.
    pub label: String,
    /// Whether equal steps are equal factors.
    pub logarithmic: bool,
}

impl Axis {
    /// An axis of equal steps.
    pub fn linear(label: impl Into<String>) -> Self {
        Self { label: label.into(), logarithmic: false }
    }

    /// An axis of equal factors: values must be above zero.
    pub fn logarithmic(label: impl Into<String>) -> Self {
        Self { label: label.into(), logarithmic: true }
    }
}

/// A line of a plot.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What it is.
    pub name: String,
    /// Its points, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// What a drawing lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// A page whose colour is not known: letters take the page's own.
    Page,
    /// White paper.
    Paper,
}

impl Figure {
    /// The drawing as SVG.
    ///
    /// # Errors
    /// It cannot be drawn: a value is not finite, or not above zero on a logarithmic axis.
    pub fn svg(&self, ink: Ink) -> Result<String> {
        let drawn = match &self.plot {
            Plot::Lines { x, y, series } => super::lines::draw(x, y, series)?,
            Plot::Bars { unit, series, groups } => super::bars::draw(unit, series, groups)?,
        };
        let label = super::html::escape(&self.alt);
        let open = format!("<svg role=\"img\" aria-label=\"{label}\" ");
        let drawn = drawn.replacen("<svg ", &open, 1);
        Ok(match ink {
            // What the drawing calls black is the page's own colour of letters.
            Ink::Page => drawn.replace("#000000", "currentColor"),
            Ink::Paper => {
                drawn.replacen('>', "><rect width=\"100%\" height=\"100%\" fill=\"#FFFFFF\"/>", 1)
            }
        })
    }

    /// What it shows as a table.
    pub fn data(&self) -> Table {
        match &self.plot {
            Plot::Bars { unit, series, groups } => {
                let columns = std::iter::once(String::new()).chain(series.iter().cloned());
                let mut table = Table::new(unit.clone(), columns);
                for (label, values) in groups {
                    let cells = values.iter().map(|value| number(*value));
                    table.row(std::iter::once(label.clone()).chain(cells));
                }
                table
            }
            Plot::Lines { x, y, series } => {
                let mut table = Table::new(String::new(), ["", x.label.as_str(), y.label.as_str()]);
                for line in series {
                    for (at, value) in &line.points {
                        table.row([line.name.clone(), number(*at), number(*value)]);
                    }
                }
                table
            }
        }
    }
}

/// A number, with as many digits as tell it from its neighbours.
pub fn number(value: f64) -> String {
    if value.fract() == 0.0 {
        crate::stats::whole(value)
    } else if value.abs() < 1.0 {
        format!("{value:.3}")
    } else if value.abs() < 100.0 {
        format!("{value:.2}")
    } else {
        crate::stats::whole(value)
    }
}
