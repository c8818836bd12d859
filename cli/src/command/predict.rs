//! `floe predict`, and how a dry run is told: what will be built and what may, how likely, how long
//! and why. What is foreseen is the engine's word.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use floe_engine::overlay::patch::Patch;
use floe_engine::predict::{Foreseen, Likelihood, Prediction, Span};
use floe_server::protocol::Answer;
use serde_json::{Value, json};

use super::build::{answered, carry_out, evaluate, options};
use crate::args::{Global, Predict};
use crate::progress::{Progress, Style};
use crate::terminal::marked_line;

/// Says what would be built, with a patch if there is one.
pub fn predict(global: &Global, args: &Predict) -> Result<()> {
    let style = Style::of(global, args.building.print_build_logs);
    let patch = args.patch.as_ref().map(|file| read(file)).transpose()?;
    let progress = Progress::start(style);
    let mut engine = super::engine(global, progress.events())?;
    if let Some((name, text)) = &patch {
        let patch = Patch::read(name, text, args.strip)?;
        let root = match &args.directory {
            Some(directory) => directory.clone(),
            None => patch.root(&folder(args)?),
        };
        engine.host().overlay(patch.apply(&root)?);
    }
    let options = options(&args.building, true, false)?;
    let (drvs, targets) = evaluate(&engine, &args.source, &args.attrs, &options)?;
    let built = carry_out(&mut engine, &drvs, &targets, &options, progress)?;
    say(&answered(&engine, &built, &targets, true), args.json)
}

/// What the patch is called, and its text.
fn read(file: &Path) -> Result<(String, Vec<u8>)> {
    if file == Path::new("-") {
        let mut text = Vec::new();
        std::io::stdin()
            .read_to_end(&mut text)
            .context("cannot read the patch from standard input")?;
        return Ok(("on standard input".to_owned(), text));
    }
    let name = file.display().to_string();
    let text = std::fs::read(file).with_context(|| format!("cannot read the patch {name}"))?;
    Ok((name, text))
}

/// The folder of the expression.
fn folder(args: &Predict) -> Result<PathBuf> {
    let base = std::env::current_dir().context("cannot find the current directory")?;
    let file = match &args.source.expr {
        Some(_) => base,
        None => base.join(args.source.file.as_deref().unwrap_or(Path::new("."))),
    };
    match (file.is_dir(), file.parent()) {
        (false, Some(parent)) => Ok(parent.to_path_buf()),
        _ => Ok(file),
    }
}

/// Tells a dry run: for people on standard error, as JSON on standard output.
pub fn say(answer: &Answer, as_json: bool) -> Result<()> {
    if as_json {
        writeln!(std::io::stdout().lock(), "{}", to_json(answer))?;
    } else {
        std::io::stderr().lock().write_all(text(answer).as_bytes())?;
    }
    Ok(())
}

fn to_json(answer: &Answer) -> Value {
    let mut value = json!({
        "will_build": answer.certain, "may_build": answer.possible, "unknown": answer.unknown,
    });
    let Some(Prediction { derivations, jobs, builders, wall_ms }) = answer.prediction.as_deref()
    else {
        return value;
    };
    let derivation = |foreseen: &Foreseen| {
        json!({
            "task": foreseen.task,
            "name": foreseen.name,
            "likelihood": foreseen.chance.likelihood(),
            "probability": foreseen.chance.value(),
            "wall_ms": foreseen.wall_ms,
            "cpu_ms": foreseen.cpu_ms,
            "own_time": foreseen.own_time,
            "why": foreseen.why,
        })
    };
    value["derivations"] = derivations.iter().map(derivation).collect();
    value["expected"] = json!({ "jobs": jobs, "builders": builders, "wall_ms": wall_ms });
    value
}

fn text(answer: &Answer) -> String {
    let Answer { certain, possible, unknown, prediction, .. } = answer;
    if certain.is_empty() && possible.is_empty() {
        return "nothing to build\n".to_owned();
    }
    let (will, may): (Vec<&Foreseen>, Vec<&Foreseen>) =
        prediction.iter().flat_map(|prediction| &prediction.derivations).partition(is_certain);
    let mut text = String::new();
    for (names, foreseen, what) in [
        (certain, will, "will be built"),
        (possible, may, "may be built, depending on what comes out below"),
    ] {
        if names.is_empty() {
            continue;
        }
        text += &format!("{} {what}:\n", names.len());
        match foreseen.is_empty() {
            true => names.iter().for_each(|name| text += &format!("  {name}\n")),
            false => text += &table(&foreseen),
        }
    }
    if !unknown.is_empty() {
        let what = "will be made by builders, and what has to be built for them is known only then";
        text += &format!("{} {what}:\n", unknown.len());
        unknown.iter().for_each(|name| text += &format!("  {name}\n"));
    }
    text + &prediction.as_deref().and_then(total).unwrap_or_default()
}

fn is_certain(foreseen: &&Foreseen) -> bool {
    foreseen.chance.likelihood() == Likelihood::Certain
}

/// Lines for derivations, in columns.
fn table(foreseen: &[&Foreseen]) -> String {
    let cells: Vec<[String; 4]> = foreseen.iter().map(|foreseen| cells(foreseen)).collect();
    let width = |at: usize| cells.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    let mut text = String::new();
    for [name, chance, time, why] in &cells {
        let [first, second, third] = widths;
        let mut line = format!("  {name:<first$}");
        if second > 0 {
            line += &format!("  {chance:<second$}");
        }
        if third > 0 {
            line += &format!("  {time:>third$}");
        }
        text += format!("{line}  {why}").trim_end();
        text.push('\n');
    }
    text
}

fn cells(foreseen: &Foreseen) -> [String; 4] {
    let chance = match foreseen.chance.likelihood() {
        Likelihood::Certain => String::new(),
        likelihood => format!("{} {} %", likelihood.word(), foreseen.chance.percent()),
    };
    // What is known of others only is a guess.
    let time = foreseen.wall_ms.map(|ms| {
        let about = if foreseen.own_time { "" } else { "~" };
        format!("{about}{}", time(ms))
    });
    // A file's name may be anything.
    [foreseen.name.clone(), chance, time.unwrap_or_default(), marked_line(foreseen.why.as_bytes())]
}

fn total(prediction: &Prediction) -> Option<String> {
    let (builders, wall) = (prediction.builders?, prediction.wall_ms?);
    let Span { low, median, high } = builders;
    let range = if low == high { String::new() } else { format!(" (90 %: {low} to {high})") };
    let noun = if median == 1 { "builder" } else { "builders" };
    let (from, to) = (time(wall.low), time(wall.high));
    Some(format!(
        "expected: {median} {noun}{range} in {} with -j {} (90 %: {from} to {to})\n",
        time(wall.median),
        prediction.jobs
    ))
}

/// A time as it is read: two figures matter.
fn time(ms: u64) -> String {
    match ms {
        0..100 => format!("{ms} ms"),
        100..9_950 => format!("{:.1} s", ms as f64 / 1e3),
        9_950..100_000 => format!("{:.0} s", ms as f64 / 1e3),
        100_000..6_000_000 => format!("{:.0} min", ms as f64 / 6e4),
        _ => format!("{:.1} h", ms as f64 / 3.6e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_at_a_glance() {
        let times = [0, 99, 100, 9_949, 9_950, 61_000, 100_000, 5_999_999, 7_200_000];
        let shown: Vec<String> = times.map(time).to_vec();
        let expected =
            ["0 ms", "99 ms", "0.1 s", "9.9 s", "10 s", "61 s", "2 min", "100 min", "2.0 h"];
        assert_eq!(shown, expected);
    }
}
