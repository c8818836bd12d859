//! The report as Markdown, with figures in files beside it.

use std::fmt::Write;

use super::Chapter;
use super::block::{Block, Section, Table};
use crate::description::Description;
use crate::stats;

/// What stands before all studies.
pub const PREFACE: &str = "\
How many builds does a patch to a low-level package cost, what would have saved them, and what does it cost to find out? \
Each study below asks a part of that of real builds, real graphs and real build systems. Every figure is made of raw data \
by a program, and each study says at its end which commands make the data and the page. Intervals are of the median, \
with 95 %, where six or more runs give one, else all that was seen.";

/// The file of a study's figure, below `figures/`.
pub fn figure_file(study: &str, at: usize) -> String {
    format!("{study}-{}.svg", at + 1)
}

/// The whole report.
pub fn page(chapters: &[Chapter]) -> String {
    let mut out = format!("# What a change really costs\n\n{PREFACE}\n");
    for chapter in chapters {
        let name = &chapter.description.name;
        let _ = write!(
            out,
            "\n## {}\n\n*{}*\n\n",
            chapter.description.title, chapter.description.question
        );
        out.push_str(&findings(&chapter.section));
        let _ = write!(out, "\n{}\n", origin(chapter));
        out.push_str(&blocks(&chapter.section, name));
    }
    out
}

/// What a reader should take away, as a list.
pub fn findings(section: &Section) -> String {
    section.findings.iter().map(|finding| format!("- {finding}\n")).collect()
}

/// All else in a study's section, with its figures in files beside the page.
pub fn blocks(section: &Section, study: &str) -> String {
    let mut out = String::new();
    let mut figure = 0;
    for block in &section.blocks {
        match block {
            Block::Heading(text) => {
                let _ = write!(out, "\n### {text}\n");
            }
            Block::Text(text) => {
                let _ = write!(out, "\n{text}\n");
            }
            Block::Table(of) => {
                let _ = write!(out, "\n{}\n", table(of));
            }
            Block::Figure(of) => {
                let file = figure_file(study, figure);
                let _ = write!(out, "\n![{}](figures/{file})\n\n{}\n", of.alt, of.caption);
                figure += 1;
            }
        }
    }
    out
}

/// Where a chapter's figures come from, in a paragraph.
pub fn origin(chapter: &Chapter) -> String {
    let Chapter { description, head, earlier, trials: (held, all), wall_ms, .. } = chapter;
    let scale = head.scale.name();
    let flag = if scale == "quick" { " --quick" } else { "" };
    let join = |pairs: &[(String, String)]| {
        pairs.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
    };
    let whole = if held == all {
        format!("all {all} trials")
    } else {
        format!("**only {held} of {all} trials**")
    };
    let peers = if head.peers.is_empty() {
        String::new()
    } else {
        format!("; beside it {}", join(&head.peers))
    };
    let since = earlier.first().map_or(String::new(), |first| format!("{} to ", first.at));
    let mut floes: Vec<&str> = earlier.iter().chain([head]).map(|run| &*run.floe).collect();
    floes.dedup();
    format!(
        "Measured {since}{} with {}{peers}; {}. {whole}, {} in all, seed {}. Raw data: `experiments/studies/{}/results/{scale}.jsonl`; \
         from nothing: `floe experiment run {}{flag} --again`; the page from the data: `floe experiment report{flag}`.{}",
        head.at,
        floes.join(", "),
        join(&head.machine),
        stats::duration(*wall_ms as f64),
        head.seed,
        description.name,
        description.name,
        another_day(description),
    )
}

/// What a run on another day may give, and which command holds it to that.
fn another_day(description: &Description) -> String {
    let factors: Vec<String> = description
        .another_day
        .iter()
        .map(|(measure, factor)| format!("{factor} (`{measure}`)"))
        .collect();
    if factors.is_empty() {
        return String::new();
    }
    format!(
        " Days differ more than the runs of one: measured on another day, 95 of 100 medians lie within the \
         intervals (or single values) here when those are widened at both ends by a factor of {}, and all counts are the same. \
         After a run with `--again`, `floe experiment compare {}` holds both to that.",
        factors.join(" and "),
        description.name
    )
}

/// A table as Markdown, its caption below.
pub fn table(table: &Table) -> String {
    let mut out = String::new();
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    out.push_str(&line(&table.columns));
    let rules: Vec<&str> =
        (0..table.columns.len()).map(|at| if at == 0 { "---" } else { "---:" }).collect();
    let _ = writeln!(out, "|{}|", rules.join("|"));
    for row in &table.rows {
        out.push_str(&line(row));
    }
    if !table.caption.is_empty() {
        let _ = write!(out, "\n{}\n", table.caption);
    }
    out
}
