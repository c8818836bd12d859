//! Tables as text, Markdown and JSON. Computes nothing.

use std::fmt::Write;

use super::{Format, Table};

impl Table {
    /// The table in a format.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Text => self.text(),
            Format::Markdown => self.markdown(),
            Format::Json => serde_json::to_string_pretty(self).unwrap_or_default(),
        }
    }

    fn lines(&self) -> impl Iterator<Item = &Vec<String>> {
        [&self.columns].into_iter().chain(&self.rows)
    }

    fn text(&self) -> String {
        let width = |column: usize| {
            let cells = self.lines().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut out = format!("{}\n\n", self.title);
        for row in self.lines() {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            let _ = writeln!(out, "{}", line.trim_end());
        }
        let _ = writeln!(out, "\n{}", self.note);
        out
    }

    fn markdown(&self) -> String {
        let line = |row: &Vec<String>| format!("| {} |\n", row.join(" | "));
        let rule = format!("|{}\n", "---|".repeat(self.columns.len()));
        let rows: String = self.rows.iter().map(line).collect();
        format!("## {}\n\n{}\n\n{}{rule}{rows}", self.title, self.note, line(&self.columns))
    }
}

/// All tables in a format.
pub fn all(tables: &[Table], format: Format) -> String {
    match format {
        Format::Json => serde_json::to_string_pretty(tables).unwrap_or_default() + "\n",
        _ => tables.iter().map(|table| table.render(format)).collect::<Vec<_>>().join("\n"),
    }
}
