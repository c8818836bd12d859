//! The study's section of the report: tables by size, and how times grow.

use anyhow::Result;

use super::cells::{Cell, Cells};
use super::system::{Kind, SYSTEMS, named};
use super::{findings, rivals};
use crate::record::Row;
use crate::report::block::{Axis, Figure, Plot, Section, Series, Table};
use crate::report::markdown;
use crate::stats::{duration, whole};

/// The requests that are compared, and what the report calls them.
pub const EDITS: [(&str, &str); 6] = [
    ("cold", "cold"),
    ("null", "null"),
    ("comment", "comment"),
    ("partial", "partial"),
    ("real", "real"),
    ("real undone", "undone"),
];

/// What lines are drawn of: one of each kind, so that they can be told apart.
const DRAWN: [&str; 7] =
    ["floe", "floe-server", "make", "ninja-restat", "tup", "bazel", "nix-content"];

/// Whether a system is floe, in one way or another.
pub fn is_floe(kind: &Kind) -> bool {
    kind.programs.is_empty()
}

/// What the rows say. `left_out` are systems that were not measured at a size, and why.
///
/// # Errors
/// A row lacks a field.
pub fn section(rows: &[Row], left_out: &[(usize, &str, &str)]) -> Result<Section> {
    let cells = Cells::of(rows)?;
    let mut section = Section { findings: findings::findings(&cells), ..Section::default() };
    section.headlines.extend(headline(&cells));
    section.text(
        "One graph of layers is drawn from the seed and written down for every system in its own language. An action is one \
         static process that reads a source file of its own and up to four outputs of others, and writes two files: \
         nine in ten of those that read it read the first. It computes digests, so outputs differ exactly where what went into \
         them does. Edits are made to the source of one of the eight lowest actions: **comment** changes no output, \
         **partial** the one that few read, **real** the one that most read; **undone** is the real edit taken back. **null** is \
         asking again, **cold** is asking for the first time, a server's start included. After every build what came out is \
         compared with what the graph says it must be, and the actions that ran are counted, by a log that they write or, \
         where a sandbox keeps them from it, by what the system says. All work with two jobs (`-j2`). Times are medians with an \
         interval that holds the true one with 95 %, or all that was seen where there are fewer than six.",
    );
    let measured = |kind: &&Kind| {
        cells.sizes().iter().any(|size| cells.systems(*size).iter().any(|of| of.name == kind.name))
    };
    let terms: Vec<String> = SYSTEMS
        .iter()
        .filter(measured)
        .map(|kind| format!("- **{}**: {}", kind.title, kind.terms))
        .collect();
    section.text(terms.join("\n"));
    section.heading("The best peer and floe");
    section.table(rivals::table(&cells));
    for size in cells.sizes() {
        tables(&cells, size, &mut section);
    }
    absent(&cells, left_out, &mut section);
    section.heading("Growth");
    for (edit, what) in
        [("null", "Asking again for what is there"), ("comment", "An edit that changes no output")]
    {
        curve(&cells, edit, &format!("{what}: wall time"), "ms", &mut section, |cell, _| {
            cell.wall.median
        });
    }
    let each = "From nothing: processor time for each action";
    curve(&cells, "cold", each, "ms an action", &mut section, |cell, size| cell.cpu.median / size);
    Ok(section)
}

fn headline(cells: &Cells) -> Option<(String, String)> {
    let sizes = cells.sizes();
    let size = sizes.iter().rev().find(|size| **size <= 10_000).or(sizes.first())?;
    let mut table = Table::new(
        "",
        [
            &format!("{} actions", whole(*size as f64)),
            "cold",
            "null build",
            "a comment",
            "actions it runs",
            "undone",
        ],
    );
    for kind in cells.systems(*size) {
        let get = |edit| cells.get(*size, kind.name, edit);
        if let Some(comment) = get("comment") {
            let wall =
                |edit| get(edit).map_or(String::new(), |cell: &Cell| duration(cell.wall.median));
            table.row([
                kind.title.to_owned(),
                wall("cold"),
                wall("null"),
                wall("comment"),
                actions(comment),
                wall("real undone"),
            ]);
        }
    }
    Some(("peers".to_owned(), markdown::table(&table)))
}

fn actions(cell: &Cell) -> String {
    match cell.actions {
        (few, many) if few == many => whole(many),
        (few, many) => format!("{} to {}", whole(few), whole(many)),
    }
}

fn tables(cells: &Cells, size: usize, section: &mut Section) {
    let count = whole(size as f64);
    section.heading(format!("{count} actions"));
    let measured = |edit: &str| {
        cells.systems(size).into_iter().find_map(|kind| cells.get(size, kind.name, edit))
    };
    let least = |edit| measured(edit).map_or("?".to_owned(), |cell| whole(cell.least));
    let above = measured("comment").map_or("?".to_owned(), |cell| whole(cell.above));
    let needed = format!(
        "{count} actions: how many ran. A comment needs {}, the partial edit {}, the real one {}; the edited action and all \
         above it are {above}.",
        least("comment"),
        least("partial"),
        least("real")
    );
    type Shown<'a> = (String, fn(&Cell) -> String, &'a [(&'a str, &'a str)]);
    let fresh = [("fresh server", "null, fresh server")];
    let shown: [Shown<'_>; 4] = [
        (needed, actions, &[]),
        (format!("{count} actions: wall time."), |cell| cell.wall.to_string(), &fresh),
        (
            format!(
                "{count} actions: processor time of the command, all it starts and, if there is one, its server."
            ),
            |cell| cell.cpu.to_string(),
            &fresh,
        ),
        (
            format!(
                "{count} actions: memory of the largest process in MiB; of a server, the most since it began. What is not \
                 above the memory of what measures it cannot be told."
            ),
            |cell| cell.peak.to_string(),
            &[],
        ),
    ];
    for (caption, show, more) in shown {
        let columns: Vec<(&str, &str)> = EDITS.iter().chain(more).copied().collect();
        let titles = std::iter::once("System").chain(columns.iter().map(|(_, title)| *title));
        let mut table = Table::new(caption, titles);
        for kind in cells.systems(size) {
            let cell = |(edit, _): &(&str, &str)| {
                cells.get(size, kind.name, edit).map_or(String::new(), show)
            };
            let values = columns.iter().map(cell);
            table.row(std::iter::once(kind.title.to_owned()).chain(values));
        }
        section.table(table);
    }
}

/// Says what was not measured, why, and what it would have taken.
fn absent(cells: &Cells, left_out: &[(usize, &str, &str)], section: &mut Section) {
    let mut lines = Vec::new();
    for (size, name, why) in left_out {
        let title = named(name).map_or(*name, |kind| kind.title);
        let known = cells.sizes().into_iter().rev().filter(|known| known < size);
        let guess = known
            .filter_map(|known| Some((known, cells.get(known, name, "cold")?.wall.median)))
            .map(|(known, ms)| {
                let all = ms / known as f64 * *size as f64;
                format!(
                    " Extrapolated, not measured: {} for a cold build, at the cost of an action with {}.",
                    duration(all),
                    whole(known as f64)
                )
            })
            .next();
        lines.push(format!(
            "- {title} with {} actions: {why}.{}",
            whole(*size as f64),
            guess.unwrap_or_default()
        ));
    }
    for (size, name) in &cells.missing {
        let title = named(name).map_or(name.as_str(), |kind| kind.title);
        lines
            .push(format!("- {title} with {} actions: it was not installed.", whole(*size as f64)));
    }
    if !lines.is_empty() {
        section.heading("What was left out");
        section.text(lines.join("\n"));
    }
}

fn curve(
    cells: &Cells,
    edit: &str,
    caption: &str,
    unit: &str,
    section: &mut Section,
    value: impl Fn(&Cell, f64) -> f64,
) {
    let mut series = Vec::new();
    for kind in DRAWN.iter().filter_map(|name| named(name)) {
        let points: Vec<(f64, f64)> = cells
            .sizes()
            .into_iter()
            .filter_map(|size| Some((size as f64, cells.get(size, kind.name, edit)?)))
            .map(|(size, cell)| (size, value(cell, size)))
            .filter(|(_, value)| *value > 0.0)
            .collect();
        if !points.is_empty() {
            series.push(Series { name: kind.title.to_owned(), points });
        }
    }
    let ends: Vec<String> = series
        .iter()
        .filter_map(|line| {
            let ((first, low), (last, high)) = (line.points.first()?, line.points.last()?);
            let number = crate::report::block::number;
            Some(format!(
                "{} from {} {unit} with {} actions to {} {unit} with {}",
                line.name,
                number(*low),
                whole(*first),
                number(*high),
                whole(*last)
            ))
        })
        .collect();
    if series.is_empty() {
        return;
    }
    section.figure(Figure {
        caption: format!("{caption}, by the number of actions. Both axes are logarithmic."),
        alt: format!("{caption}. {}.", ends.join("; ")),
        plot: Plot::Lines { x: Axis::logarithmic("actions"), y: Axis::logarithmic(unit), series },
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Rows of a made-up run: a peer that is ahead cold, and floe ahead of an edit.
    fn rows() -> Vec<Row> {
        let mut rows = Vec::new();
        let mut add = |size: u64,
                       system: &str,
                       repetition: u64,
                       edit: &str,
                       actions: u64,
                       ms: f64| {
            let least = match edit {
                "cold" => size,
                "comment" => 1,
                "real undone" => size / 2,
                _ => 0,
            };
            let row = json!({
                "size": size, "system": system, "repetition": repetition, "edit": edit, "actions": actions, "least": least,
                "above": size * 4 / 5, "wall_ms": ms, "cpu_ms": ms * 1.5, "peak_kb": 4096 * size / 100, "floor_kb": 5000,
                "load_share": 2.0,
            });
            let fields = row.as_object().expect("an object").clone();
            rows.push(Row { trial: format!("{size}/{system}/{repetition}"), fields });
        };
        for (size, factor) in [(100, 1.0), (1_000, 10.0)] {
            for repetition in 1..=2 {
                let more = factor * (1.0 + 0.1 * repetition as f64);
                add(size, "make", repetition, "cold", size, 100.0 * more);
                add(size, "make", repetition, "null", 0, 4.0 * more);
                add(size, "make", repetition, "comment", size * 4 / 5, 80.0 * more);
                add(size, "make", repetition, "real undone", size * 4 / 5, 80.0 * more);
                add(size, "floe-server", repetition, "cold", size, 300.0 * more);
                add(size, "floe-server", repetition, "null", 0, 4.5);
                add(size, "floe-server", repetition, "comment", 1, 7.0);
                add(size, "floe-server", repetition, "fresh server", 0, 40.0);
                add(size, "floe-server", repetition, "real undone", 0, 9.0);
            }
        }
        let fields = json!({"size": 100, "system": "tup", "repetition": 1, "edit": "left out"});
        let fields = fields.as_object().expect("an object").clone();
        rows.push(Row { trial: "100/tup/1".to_owned(), fields });
        rows
    }

    fn shown(section: &Section) -> String {
        use crate::report::block::Block;
        let mut out =
            section.findings.iter().map(|finding| format!("- {finding}\n")).collect::<String>();
        for (name, text) in &section.headlines {
            out.push_str(&format!("\n[{name}]\n{text}"));
        }
        for block in &section.blocks {
            out.push_str(&match block {
                Block::Heading(text) => format!("\n### {text}\n"),
                Block::Text(text) => format!("\n{text}\n"),
                Block::Table(of) => format!("\n{}", markdown::table(of)),
                Block::Figure(of) => format!("\n[{}]\n{}", of.alt, of.caption),
            });
        }
        out
    }

    #[test]
    fn the_section_says_where_a_peer_is_ahead_and_what_was_left_out() {
        let left_out = [(1_000, "tup", "it would take too long")];
        let section = section(&rows(), &left_out).expect("a section");
        insta::assert_snapshot!(shown(&section));
        for figure in section.figures() {
            figure.svg(crate::report::block::Ink::Paper).expect("drawn");
        }
    }

    #[test]
    fn without_rows_there_is_nothing_to_be_ahead_of() {
        let section = section(&[], &[]).expect("a section");
        assert!(section.findings[0].contains("in 0 of 0 comparisons"), "{:?}", section.findings);
    }
}
