//! Everything built twice, under other conditions the second time: what comes out otherwise, and what a builder could have
//! seen. Beside the packages there are builders that are not careful, so that it shows whether the study finds what there
//! is to find. Runs floe; what it found is told in `section.rs`.

mod check;
mod condition;
mod rows;
mod section;
mod stage;
mod text;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use self::condition::Condition;
use self::rows::{Fact, Line, Output, Set, Specimen};
use self::stage::{Stage, Work};
use crate::description::{Description, Scale};
use crate::floe::{Built, Decision};
use crate::objects::{self, Comparison, Sameness};
use crate::record::{Row, Written};
use crate::report::block::Section;
use crate::study::{Fields, Place, Study, Trial};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// Under which conditions careless builders and the probe run the second time.
    conditions: Vec<String>,
    /// Sets of packages.
    sets: Vec<Wanted>,
}

/// A set of packages that is built twice.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    name: String,
    /// The file with the expression, from the top of the sources; in words, `{pkgs}` stands for the package set.
    words: Vec<String>,
    /// Whether the package set's builder goes without its precautions.
    #[serde(default)]
    careless: bool,
    /// Under which conditions it is built the second time.
    conditions: Vec<String>,
    /// How long it takes beside other sets.
    weight: f64,
}

/// Some builders write whole seconds: two builds within one would come out alike by chance.
const CLOCK: Duration = Duration::from_millis(1100);

/// What the probe and the specimens are called among trials.
const BUILDERS: &str = "builders";

#[derive(Debug)]
struct Reproducibility {
    parameters: Parameters,
}

/// The study of a description.
///
/// # Errors
/// Its parameters are not what it wants.
pub fn open(description: &Description, scale: Scale) -> Result<Box<dyn Study>> {
    let parameters: Parameters = description.parameters(scale)?;
    for name in
        parameters.conditions.iter().chain(parameters.sets.iter().flat_map(|of| &of.conditions))
    {
        Condition::named(name)?;
    }
    Ok(Box::new(Reproducibility { parameters }))
}

impl Study for Reproducibility {
    fn trials(&self) -> Result<Vec<Trial>> {
        let Parameters { conditions, sets } = &self.parameters;
        let builders = conditions.iter().map(|name| Trial::new(key(BUILDERS, name)));
        let of = |set: &Wanted| {
            let weight = set.weight;
            let name = set.name.clone();
            let trial =
                move |condition: &String| Trial::new(key(&name, condition)).weighing(weight);
            set.conditions.iter().map(trial).collect::<Vec<_>>()
        };
        Ok(builders.chain(sets.iter().flat_map(of)).collect())
    }

    fn run(&mut self, trial: &Trial, place: &Place) -> Result<Vec<Fields>> {
        let (set, condition) =
            trial.key.split_once(" under ").context("a trial names a condition")?;
        let condition = Condition::named(condition)?;
        let work = Work::new(place);
        let lines = match self.parameters.sets.iter().find(|of| of.name == set) {
            Some(wanted) => packages(&work, wanted, &condition)?,
            None if set == BUILDERS => builders(&work, &condition)?,
            None => bail!("there is no set '{set}'"),
        };
        lines.iter().map(Line::fields).collect()
    }

    fn section(&self, rows: &[Row]) -> Result<Section> {
        let lines = rows.iter().map(Line::of).collect::<Result<Vec<_>>>()?;
        section::section(&lines)
    }
}

fn key(set: &str, condition: &str) -> String {
    format!("{set} under {condition}")
}

/// A set, built the second time.
fn packages(work: &Work<'_>, wanted: &Wanted, condition: &Condition) -> Result<Vec<Line>> {
    let words = work.words(wanted)?;
    let (first, before) = work.first(&wanted.name, &words)?;
    let (second, after) = work.second(condition, &first, &words)?;
    let mut row = Set {
        set: wanted.name.clone(),
        condition: condition.name.to_owned(),
        derivations: 0,
        built: 0,
        identical: 0,
        renamed: 0,
        different: 0,
        files: 0,
        files_identical: 0,
        wall_ms: after.measured.wall_ms as u64,
        builders_cpu_ms: after.builders_cpu_ms(),
    };
    let mut lines = Vec::new();
    for now in after.decisions.iter().filter(|of| !is_source(of)) {
        row.derivations += 1;
        row.built += usize::from(now.decision == "built");
        let mut sameness = Sameness::Identical;
        for (old, new) in pairs([&first, &second], [&before, &after], now)? {
            let found = objects::compare(&old, &new)?;
            sameness = sameness.max(Sameness::from(&found));
            row.files += found.same + found.files.len();
            row.files_identical += found.same;
            for of in found.real() {
                lines.push(Line::Output(Output {
                    set: wanted.name.clone(),
                    condition: condition.name.to_owned(),
                    derivation: now.name.clone(),
                    file: of.file.clone(),
                    how: of.how.name().to_owned(),
                    offset_bytes: of.real_byte,
                    time: text::time_at([&old.join(&of.file), &new.join(&of.file)], of.real_byte)?,
                }));
            }
        }
        match sameness {
            Sameness::Identical => row.identical += 1,
            Sameness::Renamed => row.renamed += 1,
            Sameness::Different => row.different += 1,
        }
    }
    second.delete()?;
    lines.insert(0, Line::Set(row));
    Ok(lines)
}

/// The probe and the specimens, built the second time.
fn builders(work: &Work<'_>, condition: &Condition) -> Result<Vec<Line>> {
    let words =
        ["-f", "experiments/studies/reproducibility", "probe", "specimens"].map(str::to_owned);
    let (first, before) = work.first(BUILDERS, &words)?;
    let causes = work.causes(&first)?;
    let (second, after) = work.second(condition, &first, &words)?;
    let checked = match condition.name {
        // The same store, the same conditions: what is left is floe's own comparison.
        "again" => {
            thread::sleep(CLOCK);
            Some(check::found(&second.check(&words)?))
        }
        _ => None,
    };
    let mut lines = Vec::new();
    for now in after.decisions.iter().filter(|of| !is_source(of)) {
        let pairs = pairs([&first, &second], [&before, &after], now)?;
        let [(old, new)] = pairs.as_slice() else { bail!("'{}' has several outputs", now.name) };
        let found = objects::compare(old, new)?;
        let Some(specimen) = now.name.strip_prefix("specimen-") else {
            lines.extend(facts(&found, new, condition)?);
            continue;
        };
        let cause = causes.get(specimen);
        lines.push(Line::Specimen(Specimen {
            condition: condition.name.to_owned(),
            specimen: specimen.to_owned(),
            cause: cause.with_context(|| format!("nothing is said about '{specimen}'"))?.clone(),
            differs: !found.identical(),
            file: rows::first(&found).map(|of| of.file.clone()),
            checked: checked.as_ref().and_then(|found| {
                found.iter().find(|of| of.name == now.name).map(|of| of.file.clone())
            }),
        }));
    }
    second.delete()?;
    Ok(lines)
}

/// A line for each fact of a probe's output.
fn facts(found: &Comparison, output: &Path, condition: &Condition) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(output).context("the probe made no facts")? {
        let entry = entry?;
        let fact = entry.file_name().to_string_lossy().into_owned();
        let differs = found.files.iter().any(|of| of.file == fact);
        let answered = entry.metadata()?.len() > 0;
        lines.push(Fact { condition: condition.name.to_owned(), fact, differs, answered });
    }
    lines.sort_by(|a, b| a.fact.cmp(&b.fact));
    Ok(lines.into_iter().map(Line::Fact).collect())
}

/// Where the outputs of a derivation lie, of the first build and of the second.
fn pairs(
    stages: [&Stage; 2],
    builds: [&Built; 2],
    now: &Decision,
) -> Result<Vec<(PathBuf, PathBuf)>> {
    let was = builds[0].decisions.iter().find(|of| of.task == now.task);
    let was = was.with_context(|| format!("'{}' was not built the first time", now.name))?;
    let pair = |(output, path): (&String, &String)| {
        let former = was.outputs.get(output);
        let former = former.with_context(|| format!("'{}' had no output '{output}'", was.name))?;
        Ok((stages[0].floe.object(former), stages[1].floe.object(path)))
    };
    now.outputs.iter().map(pair).collect()
}

fn is_source(decision: &Decision) -> bool {
    decision.name.ends_with(".crate")
}
