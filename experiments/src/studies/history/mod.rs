//! Consecutive published versions of libraries, each put into the whole package set in place of the one before: which
//! packages run, which are cut off, and what of the work made a difference. Runs floe; what it found is judged in
//! `effect.rs` and told in `section.rs`.

mod bump;
mod effect;
mod graph;
mod section;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use self::bump::{Bump, Change, Version};
use self::graph::Graph;
use crate::description::{Description, Scale};
use crate::floe::{Built, Floe};
use crate::record::{Row, Written};
use crate::report::block::Section;
use crate::study::{Fields, Place, Study, Trial};
use crate::{objects, process, roots};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// What is built of the package set.
    attrs: Vec<String>,
    /// Rebuilders, by floe's names.
    strategies: Vec<String>,
    /// Builders at the same time.
    jobs: u32,
    /// Which of the series; all if none is named.
    #[serde(default)]
    packages: Vec<String>,
    /// Not more than so many steps of each, the newest.
    #[serde(default)]
    steps: Option<usize>,
    series: Vec<Series>,
}

/// The versions of one package's source, in the order of their publication.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Series {
    package: String,
    #[serde(rename = "crate")]
    archive: String,
    /// Below which folder of the archive the library lies; `{upstream}` stands for its version.
    source: String,
    versions: Vec<Version>,
}

impl Series {
    fn source(&self, version: &Version) -> String {
        self.source.replace("{upstream}", &version.upstream)
    }

    fn oldest(&self) -> Result<&Version> {
        let first = self.versions.first();
        first.with_context(|| format!("the series of '{}' has no version", self.package))
    }

    /// The overlay that puts this version into the set, relative to the sources.
    fn overlay(&self, version: &Version) -> String {
        let Version { published, upstream, sha256 } = version;
        format!(
            "(import ./experiments/studies/history/bump.nix {{ package = \"{}\"; crate = \"{}\"; \
             version = \"{published}\"; sha256 = \"{sha256}\"; upstream = \"{upstream}\"; }})",
            self.package, self.archive
        )
    }
}

#[derive(Debug)]
struct History {
    parameters: Parameters,
}

/// The study of a description.
///
/// # Errors
/// Its parameters are not what it wants.
pub fn open(description: &Description, scale: Scale) -> Result<Box<dyn Study>> {
    let mut parameters: Parameters = description.parameters(scale)?;
    let known = |name: &String| parameters.series.iter().any(|of| of.package == *name);
    if let Some(unknown) = parameters.packages.iter().find(|name| !known(name)) {
        bail!("there is no series of '{unknown}' in {}/study.toml", description.folder.display());
    }
    // Those that are not chosen stay at the version that the set pins.
    let chosen = parameters.packages.clone();
    parameters.series.retain(|of| chosen.is_empty() || chosen.contains(&of.package));
    for series in &mut parameters.series {
        let steps = parameters.steps.unwrap_or(usize::MAX);
        let from = series.versions.len().saturating_sub(steps.saturating_add(1));
        series.versions.drain(..from);
    }
    Ok(Box::new(History { parameters }))
}

impl Study for History {
    fn trials(&self) -> Result<Vec<Trial>> {
        let of = |series: &Series, strategy: &String| {
            let weight = series.versions.len() as f64;
            Trial::new(format!("{} {strategy}", series.package)).weighing(weight)
        };
        // Strategy by strategy, so that a run which is given up has all libraries under one.
        let Parameters { series, strategies, .. } = &self.parameters;
        Ok(strategies.iter().flat_map(|name| series.iter().map(move |one| of(one, name))).collect())
    }

    fn run(&mut self, trial: &Trial, place: &Place) -> Result<Vec<Fields>> {
        let (package, strategy) = trial.key.split_once(' ').context("a trial has two words")?;
        let series = self.parameters.series.iter().find(|of| of.package == package);
        let series = series.with_context(|| format!("there is no series of '{package}'"))?;
        let set = Set { parameters: &self.parameters, place, strategy };
        let base = set.root("base");
        set.build(&set.floe(&base), series, series.oldest()?)
            .with_context(|| format!("the oldest versions do not build under {strategy}"))?;
        // Trials of other series must find the base as it is, and this one must not find what a former run left.
        let work = set.root("work");
        roots::copy(&base, &work)?;
        let rows = replay(&set, &set.floe(&work), series);
        roots::delete(&work)?;
        rows
    }

    fn section(&self, rows: &[Row]) -> Result<Section> {
        section::section(rows)
    }
}

/// The package set under one strategy.
struct Set<'a> {
    parameters: &'a Parameters,
    place: &'a Place,
    strategy: &'a str,
}

impl Set<'_> {
    fn root(&self, name: &str) -> PathBuf {
        self.place.work.join(self.place.scale.name()).join(format!("{name}-{}", self.strategy))
    }

    fn floe(&self, root: &std::path::Path) -> Floe {
        Floe::new(&self.place.floe, root, &self.place.top)
    }

    /// The set with this version of one library, and the oldest of all others.
    fn words(&self, series: &Series, version: &Version) -> Result<Vec<String>> {
        let overlay = |of: &Series| {
            let is_this = of.package == series.package;
            Ok(of.overlay(if is_this { version } else { of.oldest()? }))
        };
        let overlays = self.parameters.series.iter().map(overlay).collect::<Result<Vec<_>>>()?;
        let mut words = vec!["-f".to_owned(), "pkgs".to_owned()];
        words.extend(self.parameters.attrs.iter().cloned());
        words.extend([
            "--arg".to_owned(),
            "overlays".to_owned(),
            format!("[ {} ]", overlays.join(" ")),
        ]);
        Ok(words)
    }

    fn build(&self, floe: &Floe, series: &Series, version: &Version) -> Result<Built> {
        let jobs = self.parameters.jobs.to_string();
        let how = ["--rebuilder", self.strategy, "-j", &jobs, "--cores", &jobs, "--quiet"];
        floe.build(self.words(series, version)?.into_iter().chain(how.map(str::to_owned)))
    }

    fn graph(
        &self,
        floe: &Floe,
        series: &Series,
        version: &Version,
        built: &Built,
    ) -> Result<Graph> {
        let words = ["derivation", "show", "--recursive"].map(str::to_owned).into_iter();
        let mut command = floe.command(words.chain(self.words(series, version)?));
        Graph::read(&process::succeed(&mut command)?.out, &built.decisions)
    }
}

/// Builds the versions one after another and looks at each step between two that build.
fn replay(set: &Set<'_>, floe: &Floe, series: &Series) -> Result<Vec<Fields>> {
    let mut rows = Vec::new();
    let mut was = series.oldest()?;
    let mut before = set.build(floe, series, was)?;
    for version in &series.versions[1..] {
        let started = Instant::now();
        let built = set.build(floe, series, version);
        let wall_ms = started.elapsed().as_millis() as u64;
        let archives = archives(floe, series, [was, version])?;
        let change = match () {
            () if was.upstream != version.upstream => Change::Upstream,
            () if archives.source > 0 => Change::Source,
            () => Change::Packaging,
        };
        let (effect, failure) = match &built {
            Err(fault) => (None, Some(why(&fault.to_string()))),
            Ok(built) => {
                let after = &built.decisions;
                let name = &series.package;
                let bumped = after.iter().find(|of| of.name == *name);
                let bumped = bumped.with_context(|| format!("'{name}' was not asked for"))?;
                let graph = set.graph(floe, series, version, built)?;
                let mut compare =
                    |old: &str, new: &str| objects::compare(&floe.object(old), &floe.object(new));
                let found =
                    effect::effect(&graph, &bumped.task, &before.decisions, after, &mut compare)?;
                (Some(found), None)
            }
        };
        let bump = Bump {
            package: series.package.clone(),
            strategy: set.strategy.to_owned(),
            from: was.published.clone(),
            to: version.published.clone(),
            upstream_from: was.upstream.clone(),
            upstream_to: version.upstream.clone(),
            change,
            archive_files: archives.all,
            source_files: archives.source,
            effect,
            failure,
            wall_ms,
        };
        rows.push(bump.fields()?);
        if let Ok(built) = built {
            (was, before) = (version, built);
        }
    }
    Ok(rows)
}

/// What two archives, which floe has fetched, differ in.
fn archives(floe: &Floe, series: &Series, versions: [&Version; 2]) -> Result<bump::Archives> {
    let listed = process::succeed(&mut floe.command(["store", "ls"]))?.out;
    let object = |version: &Version| {
        let name = format!("-{}-{}.crate", series.archive, version.published);
        let path = listed.lines().find(|path| path.ends_with(&name));
        path.map(|path| floe.object(path))
            .with_context(|| format!("there is no {name} in the store"))
    };
    let [old, new] = versions;
    let sources = [series.source(old), series.source(new)];
    bump::archives(&object(old)?, &object(new)?, [&sources[0], &sources[1]])
}

/// The sentence in which floe says why a build failed.
fn why(said: &str) -> String {
    let line = said.lines().find_map(|line| line.split_once("error: ").map(|(_, why)| why));
    line.unwrap_or("it does not build").trim().to_owned()
}
