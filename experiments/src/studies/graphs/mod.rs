//! What patches to low-level packages would rebuild in real distributions: their whole graphs, simulated, and the simulation
//! held against models and against floe itself building the same graph.
//!
//! | to learn | read |
//! |---|---|
//! | which trials there are | [`plan`] |
//! | what a graph is | [`graph`], and how it is kept [`file`] |
//! | where graphs are from | [`source`]; of package sets [`nix`], of Debian [`debian`] |
//! | how patches spread | [`spread`], and what chance decides [`coins`] |
//! | how likely builds survive really | [`measured`] |
//! | which packages save the most | [`holds`] |
//! | what others say | [`models`], [`engine`] |
//! | what the raw data holds | [`rows`] |
//! | what the report says | [`section`] |

pub mod coins;
pub mod debian;
pub mod engine;
pub mod file;
pub mod graph;
pub mod holds;
pub mod measured;
pub mod models;
pub mod nix;
pub mod plan;
pub mod rows;
pub mod section;
pub mod source;
pub mod spread;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::Result;
use floe_papers::chance::Chance;

use self::coins::{Coins, Survival};
use self::graph::{Graph, Kind, Patch};
use self::measured::Measured;
use self::plan::{Origin, Parameters, Question};
use self::rows::{Check, Hold, Line, Shape, Spread, Unheld, Used};
use crate::description::{Description, Scale};
use crate::record::{Row, Written};
use crate::report::block::Section;
use crate::study::{Fields, Place, Study, Trial};

/// How many of the packages with the most users are told of.
const SHOWN: usize = 12;

/// The study.
struct Graphs {
    parameters: Parameters,
    seed: u64,
    graphs: BTreeMap<String, Rc<Graph>>,
}

/// The study that a description of the kind `graphs` describes.
///
/// # Errors
/// Its parameters are not what is wanted here.
pub fn open(description: &Description, scale: Scale) -> Result<Box<dyn Study>> {
    let mut parameters: Parameters = description.parameters(scale)?;
    if !parameters.only.is_empty() {
        let Parameters { graphs, only, .. } = &mut parameters;
        graphs.retain(|of| only.contains(&of.name));
    }
    Ok(Box::new(Graphs { parameters, seed: description.seed, graphs: BTreeMap::new() }))
}

impl Study for Graphs {
    fn trials(&self) -> Result<Vec<Trial>> {
        Ok(self.parameters.trials())
    }

    fn run(&mut self, trial: &Trial, place: &Place) -> Result<Vec<Fields>> {
        let parameters = self.parameters.clone();
        let (origin, question) = parameters.asked(&trial.key)?;
        let graph = self.graph(origin, place)?;
        let asking = Asking { parameters: &parameters, seed: self.seed, origin };
        let lines = match question {
            Question::Shape => {
                source::check(origin, place)?;
                vec![Line::Shape(asking.shape(&graph))]
            }
            Question::Used => asking.used(&graph),
            Question::Spread(p) => asking.level(&graph, p),
            Question::Measured => asking.measured(&graph, &measured::read(place)?),
            Question::Holding => asking.holding(&graph),
            Question::Model(name) => asking.against(&graph, &name, |part, patches, coins| {
                let runs = models::runs(part, patches, coins, &name)?;
                Ok((None, runs.into_iter().map(|runs| runs as u64).collect()))
            })?,
            Question::Engine(rebuilder) => {
                asking.against(&graph, &rebuilder, |part, patches, coins| {
                    let (floe, work) = (&place.floe, &place.work);
                    let ran = engine::run(part, patches, coins, &rebuilder, floe, work)?;
                    Ok((Some(ran.cold), ran.patched))
                })?
            }
        };
        lines.iter().map(Line::fields).collect()
    }

    fn section(&self, rows: &[Row]) -> Result<Section> {
        section::of(&rows::read(rows)?, &self.parameters)
    }
}

impl Graphs {
    fn graph(&mut self, origin: &Origin, place: &Place) -> Result<Rc<Graph>> {
        if let Some(graph) = self.graphs.get(&origin.name) {
            return Ok(Rc::clone(graph));
        }
        let graph = Rc::new(source::graph(origin, place)?);
        self.graphs.insert(origin.name.clone(), Rc::clone(&graph));
        Ok(graph)
    }
}

/// Whether something other than a package's own builds is built with them.
fn is_used(patch: &Patch, all: u32) -> bool {
    all as usize > patch.builds.len()
}

/// Questions to one graph.
struct Asking<'a> {
    parameters: &'a Parameters,
    seed: u64,
    origin: &'a Origin,
}

impl Asking<'_> {
    fn name(&self) -> String {
        self.origin.name.clone()
    }

    fn shape(&self, graph: &Graph) -> Shape {
        let patches = graph.patches();
        let all: Vec<&Patch> = patches.iter().collect();
        let direct = Coins { survival: Survival::level(1.0), seed: 0 };
        let runs = spread::Spread::new(graph).runs(&all, direct);
        let used = all.iter().zip(runs).filter(|(patch, runs)| is_used(patch, *runs)).count();
        let builds = |group: &Vec<u32>| {
            group.iter().filter(|node| graph.kind(**node) == Kind::Build).count()
        };
        Shape {
            graph: self.name(),
            origin: graph.origin.clone(),
            nodes: graph.len(),
            builds: graph.count(Kind::Build),
            fixed: graph.count(Kind::Fixed),
            bundles: graph.count(Kind::Bundle),
            uses: graph.uses(),
            packages: patches.len(),
            used,
            circle: graph.groups().iter().map(builds).max().unwrap_or(0),
        }
    }

    /// The patches that are tried where chance decides: all, or some of them drawn by the same chance.
    fn some<'a>(&self, patches: &'a [Patch], seed: u64) -> Vec<&'a Patch> {
        let mut some: Vec<&Patch> = patches.iter().collect();
        if some.len() > self.parameters.patches {
            let mut chance = Chance::new(seed);
            some.sort_by_cached_key(|_| chance.number());
            some.truncate(self.parameters.patches);
        }
        some
    }

    fn used(&self, graph: &Graph) -> Vec<Line> {
        let patches = graph.patches();
        let all: Vec<&Patch> = patches.iter().collect();
        let spread = spread::Spread::new(graph);
        let coins = |p| Coins { survival: Survival::level(p), seed: self.seed };
        let direct = spread.runs(&all, coins(1.0));
        let mut most: Vec<(u32, &Patch)> = direct.into_iter().zip(all).collect();
        most.sort_by_key(|(direct, patch)| (std::cmp::Reverse(*direct), patch.package));
        most.truncate(SHOWN);
        let top: Vec<&Patch> = most.iter().map(|(_, patch)| *patch).collect();
        let (all, half) = (spread.runs(&top, coins(0.0)), spread.runs(&top, coins(0.5)));
        let line = |(at, (direct, patch)): (usize, &(u32, &Patch))| {
            Line::Used(Used {
                graph: self.name(),
                package: graph.packages[patch.package as usize].clone(),
                own: patch.builds.len() as u32,
                direct: *direct,
                all: all[at],
                half: half[at],
            })
        };
        most.iter().enumerate().map(line).collect()
    }

    fn level(&self, graph: &Graph, p: f64) -> Vec<Line> {
        self.spread(graph, &[(None, Survival::level(p))])
    }

    fn measured(&self, graph: &Graph, found: &[Measured]) -> Vec<Line> {
        let case = |of: &Measured| (Some(of.clone()), Survival::level(of.above_share()));
        let cases: Vec<_> = found.iter().map(case).collect();
        self.spread(graph, &cases)
    }

    fn spread(&self, graph: &Graph, cases: &[(Option<Measured>, Survival)]) -> Vec<Line> {
        let patches = graph.patches();
        let spread = spread::Spread::new(graph);
        let direct = Coins { survival: Survival::level(1.0), seed: 0 };
        let mut lines = Vec::new();
        for (measured, survival) in cases {
            let is_chance = survival.is_chance();
            for seed in self.seed..self.seed + if is_chance { self.parameters.seeds } else { 1 } {
                let tried =
                    if is_chance { self.some(&patches, seed) } else { patches.iter().collect() };
                let users = spread.runs(&tried, direct);
                let runs = spread.runs(&tried, Coins { survival: *survival, seed });
                let mut line = summary(&tried, &users, &runs, graph);
                line.graph = self.name();
                line.measured = measured.clone();
                (line.first, line.further) = (survival.first, survival.further);
                line.seed = seed;
                lines.push(Line::Spread(line));
            }
        }
        lines
    }

    fn holding(&self, graph: &Graph) -> Vec<Line> {
        let patches = graph.patches();
        let all: Vec<&Patch> = patches.iter().collect();
        let none = Coins { survival: Survival::NONE, seed: 0 };
        let without = holds::total(&spread::Spread::new(graph).runs(&all, none));
        let (chosen, tried) = holds::choose(graph, self.parameters.holding, self.seed);
        if chosen.is_empty() {
            return vec![Line::Unheld(Unheld { graph: self.name(), tried })];
        }
        let line = |(at, hold): (usize, holds::Hold)| {
            Line::Hold(Hold {
                graph: self.name(),
                place: at + 1,
                package: graph.packages[hold.package as usize].clone(),
                runs: hold.runs,
                without,
            })
        };
        chosen.into_iter().enumerate().map(line).collect()
    }

    /// Asks somebody else about the graph or a part of it without circles. Who goes by inputs keeps nothing back.
    fn against(
        &self,
        graph: &Graph,
        asked: &str,
        ask: impl FnOnce(&Graph, &[&Patch], Coins) -> Result<(Option<u64>, Vec<u64>)>,
    ) -> Result<Vec<Line>> {
        let check = &self.parameters.check;
        let (whole, cut) = graph.acyclic();
        let limits = [self.origin.check, check.at_most];
        let builds = limits.into_iter().flatten().min().unwrap_or(usize::MAX);
        let part = match whole.count(Kind::Build) > builds {
            true => whole.part(builds, self.seed),
            false => whole,
        };
        let patches = part.patches();
        let all: Vec<&Patch> = patches.iter().collect();
        let spread = spread::Spread::new(&part);
        let none = Coins { survival: Survival::NONE, seed: self.seed };
        let some = spaced(&all, &spread.runs(&all, none), check.patches);

        let survival = Survival { first: check.first, further: check.further };
        let coins = Coins { survival, seed: self.seed };
        let by_inputs = asked.contains("input-addressed");
        let simulated = spread.runs(&some, if by_inputs { none } else { coins });
        let (cold, ran) = ask(&part, &some, coins)?;
        let line = |package, simulated, ran| {
            Line::Check(Check {
                graph: self.name(),
                asked: asked.to_owned(),
                nodes: part.len(),
                builds: part.count(Kind::Build),
                cut,
                package,
                simulated,
                ran,
            })
        };
        let first = cold.map(|cold| line(None, part.len() as u64, cold));
        let rest = some.iter().zip(simulated).zip(ran).map(|((patch, simulated), ran)| {
            let package = graph.packages[patch.package as usize].clone();
            line(Some(package), u64::from(simulated), ran)
        });
        Ok(first.into_iter().chain(rest).collect())
    }
}

/// So many of the patches, from the one that runs the most to the one that runs the least in even steps.
fn spaced<'a>(patches: &[&'a Patch], runs: &[u32], count: usize) -> Vec<&'a Patch> {
    let mut sorted: Vec<(u32, &Patch)> =
        runs.iter().copied().zip(patches.iter().copied()).collect();
    sorted.sort_by_key(|(runs, patch)| (std::cmp::Reverse(*runs), patch.package));
    let last = sorted.len().saturating_sub(1);
    let mut places: Vec<usize> =
        (0..count).map(|at| at * last / count.saturating_sub(1).max(1)).collect();
    places.dedup();
    places.into_iter().filter_map(|at| sorted.get(at)).map(|(_, patch)| *patch).collect()
}

/// Figures of the runs of many patches.
fn summary(patches: &[&Patch], users: &[u32], runs: &[u32], graph: &Graph) -> Spread {
    let own = |patch: &Patch| patch.builds.len() as u64;
    let is_used: Vec<bool> =
        patches.iter().zip(users).map(|(patch, users)| is_used(patch, *users)).collect();
    let mut used: Vec<u32> =
        runs.iter().zip(&is_used).filter(|(_, used)| **used).map(|(runs, _)| *runs).collect();
    used.sort_unstable();
    let at = |share: f64| {
        let last = used.len().saturating_sub(1) as f64;
        used.get((last * share).round() as usize).copied().unwrap_or(0)
    };
    let builds = graph.count(Kind::Build);
    let limits = (0..).map(|step| 10f64.powf(f64::from(step) / 6.0).round() as u32);
    let mut at_most: Vec<(u32, usize)> = limits
        .take_while(|limit| (*limit as usize) < builds)
        .chain([builds as u32])
        .map(|limit| (limit, runs.iter().filter(|runs| **runs <= limit).count()))
        .collect();
    at_most.dedup();
    Spread {
        graph: String::new(),
        measured: None,
        first: 0.0,
        further: 0.0,
        seed: 0,
        patches: patches.len(),
        used: used.len(),
        own_runs: patches.iter().map(|patch| own(patch)).sum(),
        runs: holds::total(runs),
        used_runs: holds::total(&used),
        median: at(0.5),
        tenth: at(0.9),
        hundredth: at(0.99),
        most: at(1.0),
        over_half: runs.iter().filter(|runs| **runs as usize * 2 > builds).count(),
        at_most,
    }
}
