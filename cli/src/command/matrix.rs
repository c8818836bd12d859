//! `floe matrix`: one script of edits under several rebuilders and schedulers, each in a store root of its
//! own and on a copy of the script's directory. It runs `floe build` itself and sets the reports side by
//! side; it decides nothing.
//!
//! A script is lines. `build: ARGUMENTS` says what every step builds; `NAME: ARGUMENTS` is a step that
//! builds with more arguments, `NAME: $ COMMAND` one that runs a shell command in the copy first. What
//! begins with `#` is a comment.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use floe_engine::rebuilder::Strategy;
use floe_engine::scheduling::Scheduling;
use serde::Serialize;
use serde_json::Value;

use crate::args::Matrix;

/// A script that was read.
#[derive(Debug, Default, PartialEq, Eq)]
struct Script {
    build: Vec<String>,
    steps: Vec<Step>,
}

#[derive(Debug, PartialEq, Eq)]
struct Step {
    name: String,
    does: Does,
}

#[derive(Debug, PartialEq, Eq)]
enum Does {
    /// Builds with these arguments besides.
    Build(Vec<String>),
    /// Runs a command before it builds.
    Edit(String),
}

/// What one step cost one of them.
#[derive(Debug, Default, Serialize)]
struct Cell {
    step: String,
    /// Builders that ran, those that evaluation waited for included.
    builds: u64,
    /// Derivations above a change that did not run.
    cutoffs: u64,
    /// Evaluations that were given up and begun again.
    restarts: u64,
    /// Bytes that the store grew by, on the disk.
    bytes: u64,
    /// Wall time in milliseconds, evaluation included.
    wall_ms: u64,
    /// Why it failed, if it did.
    failure: Option<String>,
}

/// One rebuilder under one scheduler.
#[derive(Debug, Serialize)]
struct Row {
    rebuilder: &'static str,
    scheduler: &'static str,
    steps: Vec<Cell>,
}

/// Runs the script under each and prints the table.
pub fn matrix(args: &Matrix) -> Result<()> {
    let text = fs::read_to_string(&args.script)
        .with_context(|| format!("cannot read the script {}", args.script.display()))?;
    let script = parse(&text).with_context(|| args.script.display().to_string())?;
    let folder = std::path::absolute(&args.script)?;
    let folder = folder.parent().unwrap_or(Path::new("/"));
    let rebuilders: Vec<Strategy> = match args.rebuilder.is_empty() {
        // Deeper traces than of depth 2 show nothing that these do not.
        true => Strategy::all().filter(|strategy| !is_deeper(strategy.name())).collect(),
        false => args.rebuilder.clone(),
    };
    let schedulers = match args.scheduler.as_slice() {
        [] => &[Scheduling::default()][..],
        chosen => chosen,
    };
    let mut rows = Vec::new();
    for rebuilder in rebuilders {
        for &scheduler in schedulers {
            let steps = run(&script, folder, rebuilder, scheduler)?;
            rows.push(Row { rebuilder: rebuilder.name(), scheduler: scheduler.name(), steps });
        }
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
    } else {
        out.write_all(table(&rows).as_bytes())?;
    }
    Ok(())
}

fn is_deeper(name: &str) -> bool {
    name.strip_prefix("depth-").is_some_and(|depth| !matches!(depth, "1" | "2"))
}

fn parse(text: &str) -> Result<Script> {
    let mut script = Script::default();
    let mut building = false;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = || format!("line {}", at + 1);
        let Some((name, rest)) = line.split_once(':') else {
            bail!(
                "line {}: '{line}' is no step; write NAME: ARGUMENTS, or NAME: $ COMMAND",
                at + 1
            );
        };
        let (name, rest) = (name.trim().to_owned(), rest.trim());
        if name == "build" {
            script.build = split(rest).with_context(place)?;
            building = true;
            continue;
        }
        let does = match rest.strip_prefix('$') {
            Some(command) => Does::Edit(command.trim().to_owned()),
            None => Does::Build(split(rest).with_context(place)?),
        };
        script.steps.push(Step { name, does });
    }
    if !building || script.steps.is_empty() {
        bail!("a script has a line 'build: ARGUMENTS' and at least one step, such as 'cold:'");
    }
    Ok(script)
}

/// Words as a shell splits them: quotes hold them together, and are not part of them.
fn split(text: &str) -> Result<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    let (mut word, mut quote): (Option<String>, Option<char>) = (None, None);
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if let Some(open) = quote {
        bail!("the quote {open} is not closed");
    }
    words.extend(word);
    Ok(words)
}

/// All steps of a script under one rebuilder, in a fresh root and a fresh copy.
fn run(
    script: &Script,
    folder: &Path,
    rebuilder: Strategy,
    scheduler: Scheduling,
) -> Result<Vec<Cell>> {
    let place = tempfile::Builder::new().prefix("floe-matrix").tempdir();
    let place = place.context("cannot make a directory to work in")?;
    let (work, root) = (place.path().join("work"), place.path().join("root"));
    copy(folder, &work).with_context(|| format!("cannot copy {}", folder.display()))?;
    let report = place.path().join("report");
    let floe = std::env::current_exe().context("cannot find the floe command itself")?;
    let mut cells = Vec::new();
    for step in &script.steps {
        let mut command = Command::new(&floe);
        command.current_dir(&work).arg("--root").arg(&root).args(["-q", "build"]);
        command.args(&script.build).args(["--no-link", "--rebuilder", rebuilder.name()]);
        command.args(["--scheduler", scheduler.name(), "--report"]).arg(&report);
        match &step.does {
            Does::Build(more) => {
                command.args(more);
            }
            Does::Edit(edit) => {
                let mut shell = Command::new("/bin/sh");
                let edited = shell.args(["-e", "-c", edit]).current_dir(&work).status();
                let status = edited.context("cannot run /bin/sh")?;
                if !status.success() {
                    bail!("the command of step '{}' failed: {status}", step.name);
                }
            }
        }
        let before = size(&root);
        let output = command.output().context("cannot run floe")?;
        let mut cell = if output.status.success() {
            read(&fs::read_to_string(&report)?)?
        } else {
            let said = String::from_utf8_lossy(&output.stderr);
            let first = said.lines().next().unwrap_or("it said nothing").to_owned();
            Cell { failure: Some(first), ..Cell::default() }
        };
        cell.step.clone_from(&step.name);
        cell.bytes = size(&root).saturating_sub(before);
        cells.push(cell);
    }
    Ok(cells)
}

/// What a report says.
fn read(report: &str) -> Result<Cell> {
    let last = report.lines().last().context("the report is empty")?;
    let counters: Value = serde_json::from_str(last)?;
    let count = |name: &str| counters[name].as_u64().unwrap_or_default();
    Ok(Cell {
        builds: count("builders_run") + count("builders_run_for_evaluation"),
        cutoffs: count("cutoff"),
        restarts: count("restarts"),
        wall_ms: count("wall_ms"),
        ..Cell::default()
    })
}

/// Copies a tree with the times of its files, which some rebuilders go by.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&from, &to)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&from)?, &to)?;
        } else if kind.is_file() {
            fs::copy(&from, &to)?;
            let time = fs::metadata(&from)?.modified()?;
            fs::File::options().write(true).open(&to).and_then(|file| file.set_modified(time)).ok();
        }
    }
    Ok(())
}

/// What the objects of a store take on the disk; a file of several names counts once.
fn size(root: &Path) -> u64 {
    let mut seen = HashSet::new();
    let mut sum = 0;
    let mut stack = vec![root.join("store")];
    while let Some(place) = stack.pop() {
        let Ok(meta) = fs::symlink_metadata(&place) else { continue };
        if seen.insert((meta.dev(), meta.ino())) {
            sum += meta.blocks() * 512;
        }
        if let (true, Ok(entries)) = (meta.is_dir(), fs::read_dir(&place)) {
            stack.extend(entries.flatten().map(|entry| entry.path()));
        }
    }
    sum
}

/// A row for each, a column for each step with the builders that ran and, after a plus, what was cut
/// off; then sums.
fn table(rows: &[Row]) -> String {
    let mut lines: Vec<Vec<String>> = Vec::new();
    let steps = rows.first().map_or(&[][..], |row| row.steps.as_slice());
    let mut heading = vec!["rebuilder".to_owned(), "scheduler".to_owned()];
    heading.extend(steps.iter().map(|cell| cell.step.clone()));
    heading.extend(["builds", "cutoffs", "restarts", "kB", "ms"].map(str::to_owned));
    lines.push(heading);
    for row in rows {
        let mut line = vec![row.rebuilder.to_owned(), row.scheduler.to_owned()];
        line.extend(row.steps.iter().map(|cell| match (&cell.failure, cell.cutoffs) {
            (Some(_), _) => "failed".to_owned(),
            (None, 0) => cell.builds.to_string(),
            (None, cutoffs) => format!("{}+{cutoffs}", cell.builds),
        }));
        let sum = |of: fn(&Cell) -> u64| row.steps.iter().map(of).sum::<u64>();
        line.extend([
            sum(|cell| cell.builds).to_string(),
            sum(|cell| cell.cutoffs).to_string(),
            sum(|cell| cell.restarts).to_string(),
            (sum(|cell| cell.bytes) / 1000).to_string(),
            sum(|cell| cell.wall_ms).to_string(),
        ]);
        lines.push(line);
    }
    let mut text = aligned(&lines);
    for row in rows {
        for cell in &row.steps {
            if let Some(failure) = &cell.failure {
                let (rebuilder, scheduler) = (row.rebuilder, row.scheduler);
                text += &format!("{rebuilder}, {scheduler}, {}: {failure}\n", cell.step);
            }
        }
    }
    text
}

/// Words to the left, figures to the right.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let words =
            line.iter().zip(&widths).enumerate().map(|(column, (word, width))| match column {
                0 | 1 => format!("{word:width$}"),
                _ => format!("{word:>width$}"),
            });
        text += words.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_read() {
        let script =
            parse("# x\nbuild: -f . top\n\ncold:\nreal: --arg x '[ 1 2 ]'\nt: $ touch a\n");
        let script = script.expect("a script");
        assert_eq!(script.build, ["-f", ".", "top"]);
        assert_eq!(
            script.steps[1].does,
            Does::Build(["--arg", "x", "[ 1 2 ]"].map(str::to_owned).into())
        );
        assert_eq!(script.steps[2].does, Does::Edit("touch a".to_owned()));
        for (text, fault) in [
            ("cold:\n", "a script has a line 'build: ARGUMENTS'"),
            ("build: -f .\n", "at least one step"),
            ("build: -f .\nwhat\n", "line 2: 'what' is no step"),
            ("build: -f '.\ncold:\n", "line 1"),
        ] {
            let error = format!("{:#}", parse(text).expect_err("no script"));
            assert!(error.contains(fault), "{error}");
        }
    }
}
