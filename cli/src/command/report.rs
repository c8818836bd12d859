//! `floe report`: what requests decided, side by side, a row a report file. It counts lines that
//! the engine wrote; it decides nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::args::Report;

/// Always columns, in this order.
const USUAL: [&str; 3] = ["built", "cutoff", "reused"];

/// Columns only where some file has one.
const OTHERS: [&str; 5] = ["retargeted", "substituted", "failed", "skipped", "cancelled"];

/// What one file says.
#[derive(Debug, Default)]
struct Row {
    label: String,
    rebuilder: String,
    decisions: BTreeMap<String, u64>,
    /// How many of the built came out as before.
    unchanged: u64,
    /// Processor time of the builders.
    cpu_ms: u64,
    /// Wall time of evaluation, and of what floe does after it, waiting for builders apart; what is in
    /// no older report.
    evaluation_ms: Option<f64>,
    engine_ms: Option<f64>,
    /// Wall time of the request.
    wall_ms: u64,
}

/// Prints the table.
pub fn report(args: &Report) -> Result<()> {
    let rows = args.files.iter().map(|word| read(word)).collect::<Result<Vec<_>>>()?;
    let mut out = std::io::stdout().lock();
    if args.json {
        let list: Vec<Value> = rows.iter().map(Row::to_json).collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&list)?)?;
    } else {
        out.write_all(table(&rows, args.stages).as_bytes())?;
    }
    Ok(())
}

/// The row of a file, labelled as the word says or by the file's name.
fn read(word: &str) -> Result<Row> {
    let (label, file) = match word.split_once('=') {
        Some((label, file)) => (label, file),
        None => (word.rsplit('/').next().unwrap_or(word), word),
    };
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read the report {file}"))?;
    let mut row = parse(&text).with_context(|| format!("{file} is no report of floe's"))?;
    label.clone_into(&mut row.label);
    Ok(row)
}

fn parse(text: &str) -> Result<Row> {
    let mut lines = text.lines();
    let head: Value = serde_json::from_str(lines.next().unwrap_or_default())?;
    match head["floe_report"].as_u64() {
        Some(1) => {}
        Some(version) => bail!("its format is {version}, and this floe reads format 1"),
        None => bail!("its first line has no 'floe_report'"),
    }
    let mut row = Row {
        rebuilder: head["rebuilder"].as_str().unwrap_or_default().to_owned(),
        ..Row::default()
    };
    let mut ended = false;
    for line in lines {
        let line: Value = serde_json::from_str(line)?;
        let Some(decision) = line["decision"].as_str() else {
            row.wall_ms = line["wall_ms"].as_u64().unwrap_or_default();
            row.evaluation_ms = line["evaluation_ms"].as_f64();
            let stages = ["import_ms", "engine_ms", "sync_ms"].map(|stage| line[stage].as_f64());
            row.engine_ms = stages.into_iter().sum();
            // What `--report-changed` left out is in the counters all the same.
            for word in USUAL.iter().chain(&OTHERS) {
                if let Some(count) = line[*word].as_u64() {
                    row.decisions.insert((*word).to_owned(), count);
                }
            }
            ended = true;
            continue;
        };
        if decision == "built" && line["unchanged"] == json!(true) {
            row.unchanged += 1;
        }
        row.cpu_ms += line["cpu_ms"].as_u64().unwrap_or_default();
    }
    if !ended {
        bail!("its last line, the counters, is missing");
    }
    Ok(row)
}

impl Row {
    fn count(&self, decision: &str) -> u64 {
        self.decisions.get(decision).copied().unwrap_or_default()
    }

    fn to_json(&self) -> Value {
        json!({
            "label": self.label,
            "rebuilder": self.rebuilder,
            "decisions": self.decisions,
            "built_unchanged": self.unchanged,
            "cpu_ms": self.cpu_ms,
            "evaluation_ms": self.evaluation_ms,
            "engine_ms": self.engine_ms,
            "wall_ms": self.wall_ms,
        })
    }
}

/// The rows under their headings: words to the left, figures to the right.
fn table(rows: &[Row], stages: bool) -> String {
    let others: Vec<&str> =
        OTHERS.into_iter().filter(|word| rows.iter().any(|row| row.count(word) > 0)).collect();
    let decisions: Vec<&str> = USUAL.into_iter().chain(others).collect();

    let mut heading = vec!["request".to_owned(), "rebuilder".to_owned()];
    for word in &decisions {
        heading.push(if *word == "cutoff" { "cut off" } else { word }.to_owned());
    }
    let stages_named = if stages { &["evaluation", "engine"][..] } else { &[] };
    let timed = ["builders' CPU"].iter().chain(stages_named).chain(&["wall"]);
    heading.extend(timed.map(|word| (*word).to_owned()));
    let mut cells = vec![heading];
    cells.extend(rows.iter().map(|row| {
        let mut line = vec![row.label.clone(), row.rebuilder.clone()];
        line.extend(decisions.iter().map(|word| row.count(word).to_string()));
        line.push(seconds(row.cpu_ms));
        if stages {
            line.extend([row.evaluation_ms, row.engine_ms].map(milliseconds));
        }
        line.push(seconds(row.wall_ms));
        line
    }));

    let width = |at: usize| cells.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..cells[0].len()).map(width).collect();
    let mut text = String::new();
    for line in &cells {
        let padded: Vec<String> = line
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(at, (cell, &width))| match at {
                0 | 1 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            })
            .collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn milliseconds(ms: Option<f64>) -> String {
    ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"))
}

fn seconds(ms: u64) -> String {
    format!("{:.2} s", ms as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"floe_report":1,"floe":"0.1.0","rebuilder":"content-addressed"}
{"task":"a","decision":"built","unchanged":true,"cpu_ms":1500}
{"task":"b","decision":"cutoff","kind":"byte","unchanged":true,"cpu_ms":null}
{"builders_run":1,"wall_ms":2040,"evaluation_ms":3.25,"import_ms":1,"engine_ms":2.5,"sync_ms":1,"built":1,"cutoff":1,"reused":3}
"#;

    #[test]
    fn a_row_holds_what_the_lines_say() {
        let row = parse(REPORT).unwrap();
        assert_eq!(
            (row.count("built"), row.count("cutoff"), row.count("reused"), row.unchanged),
            (1, 1, 3, 1)
        );
        let rows = [Row { label: "comment".to_owned(), ..row }];
        assert_eq!(
            table(&rows, false),
            "request  rebuilder          built  cut off  reused  builders' CPU    wall\n\
             comment  content-addressed      1        1       3         1.50 s  2.04 s\n"
        );
        assert_eq!(
            table(&rows, true),
            "request  rebuilder          built  cut off  reused  builders' CPU  evaluation  engine    wall\n\
             comment  content-addressed      1        1       3         1.50 s      3.2 ms  4.5 ms  2.04 s\n"
        );
        let older = REPORT.replace("\"engine_ms\"", "\"other_ms\"");
        assert_eq!(parse(&older).unwrap().engine_ms, None);
    }

    #[test]
    fn what_is_no_report_is_refused() {
        for (text, why) in [
            ("", "EOF"),
            ("{}", "'floe_report'"),
            (r#"{"floe_report":2}"#, "format is 2"),
            (r#"{"floe_report":1}"#, "counters"),
        ] {
            let said = format!("{:#}", parse(text).unwrap_err());
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
