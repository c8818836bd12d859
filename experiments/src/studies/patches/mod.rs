//! What a patch to a low-level package costs: real packages, real compilers, every strategy that floe has. Builds the set,
//! patches it, takes the patch away again, and looks at what came out. Which rebuilders there are is floe's to say.
//!
//! | to learn | read |
//! |---|---|
//! | which trials there are | [`plan`] |
//! | where they run | [`store`] |
//! | whether a run was needless, and who would have known | [`waste`], on the graph of [`graph`] |
//! | what the raw data holds | [`rows`] |
//! | how likely a change ends at a package (for other studies) | [`survival`] |
//! | what the report says | [`section`] |

pub mod graph;
pub mod plan;
pub mod rows;
pub mod section;
pub mod store;
pub mod sums;
pub mod survival;
pub mod tables;
pub mod waste;

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result};

use self::graph::Graph;
use self::plan::{Parameters, Planned};
use self::rows::{Base, Edit, Line, Patch, Ran};
use self::store::Store;
use self::waste::Verdict;
use crate::description::{Description, Scale};
use crate::floe::{self, Built};
use crate::record::{Row, Written};
use crate::report::block::Section;
use crate::study::{Fields, Place, Study, Trial};
use crate::{objects, process};

pub use survival::survival;

/// How many names and files a row holds.
const SHOWN: usize = 6;

/// The study.
struct Patches {
    parameters: Parameters,
    trials: Vec<Planned>,
    /// The parameters of the full run, until their rebuilders have been compared with those that floe has.
    unchecked: Option<Parameters>,
}

/// The study that a description of the kind `patches` describes.
///
/// # Errors
/// Its parameters are not what is wanted here.
pub fn open(description: &Description, scale: Scale) -> Result<Box<dyn Study>> {
    let parameters: Parameters = description.parameters(scale)?;
    let trials = parameters.trials()?;
    let unchecked = Some(description.parameters(Scale::Full)?);
    Ok(Box::new(Patches { parameters, trials, unchecked }))
}

impl Study for Patches {
    fn trials(&self) -> Result<Vec<Trial>> {
        let trial = |planned: &Planned| Trial::new(planned.key()).weighing(planned.weight());
        Ok(self.trials.iter().map(trial).collect())
    }

    fn peers(&self) -> Result<Vec<(String, String)>> {
        let said = process::succeed(Command::new("gcc").arg("-dumpfullversion"))?.out;
        Ok(vec![("gcc".to_owned(), said.trim().to_owned())])
    }

    fn run(&mut self, trial: &Trial, place: &Place) -> Result<Vec<Fields>> {
        if let Some(full) = &self.unchecked {
            full.check(&floe::rebuilders(&place.floe)?)?;
            self.unchecked = None;
        }
        let planned = self.trials.iter().find(|planned| planned.key() == trial.key);
        let planned = planned.with_context(|| format!("there is no trial {}", trial.key))?;
        let store = Store::open(place, planned.order.clone())?;
        let lines = match &planned.edit {
            None => vec![Line::Base(cold(&store, planned)?)],
            Some(edit) => patched(&store, edit, &trial.key)?,
        };
        lines.iter().map(Line::fields).collect()
    }

    fn section(&self, rows: &[Row]) -> Result<Section> {
        section::of(&rows::read(rows)?, &self.parameters)
    }
}

fn cold(store: &Store, planned: &Planned) -> Result<Base> {
    store.renew()?;
    let before = store.bytes()?;
    let built = store.build(&[])?;
    let written_bytes = store.bytes()?.saturating_sub(before);
    store.keep_fetched()?;
    let graph = store.graph()?;
    let is_fetched = |drv: &Option<String>| {
        drv.as_ref().and_then(|drv| graph.get(drv)).is_some_and(|node| node.is_fetched)
    };
    let made = || built.decisions.iter().filter(|of| !is_fetched(&of.drv));
    Ok(Base {
        strategy: planned.order.strategy.clone(),
        derivations: made().count(),
        builders: made().filter(|of| of.decision == "built").count(),
        wall_ms: built.measured.wall_ms as u64,
        cpu_ms: built.measured.cpu_ms as u64,
        builders_cpu_ms: built.builders_cpu_ms(),
        written_bytes,
    })
}

fn patched(store: &Store, edit: &Edit, key: &str) -> Result<Vec<Line>> {
    let before = store.ready(key)?;
    let graph = store.graph()?;
    let bytes = store.bytes()?;
    store.begin(key)?;
    let overlay = format!("[ ./pkgs/overlays/{}-{}.nix ]", edit.package, edit.kind);
    let after = store.build(&["--arg", "overlays", &overlay])?;
    let written_bytes = store.bytes()?.saturating_sub(bytes);
    let ran = ran(store, edit, &graph, &before, &after)?;
    let back = store.build(&[])?;
    let patch = Patch {
        edit: edit.clone(),
        builders: after.builders(),
        cut_byte: after.cut_off("byte"),
        cut_normalised: after.cut_off("normalised"),
        cut_observed: after.cut_off("observed"),
        retargeted: after.count("retargeted"),
        reused: after.count("reused"),
        wall_ms: after.measured.wall_ms as u64,
        cpu_ms: after.measured.cpu_ms as u64,
        builders_cpu_ms: after.builders_cpu_ms(),
        written_bytes,
        back_builders: back.builders(),
        back_wall_ms: back.measured.wall_ms as u64,
        back_cpu_ms: back.measured.cpu_ms as u64,
    };
    Ok(std::iter::once(Line::Patch(patch)).chain(ran.into_iter().map(Line::Ran)).collect())
}

/// What ran, and whether it had to.
fn ran(
    store: &Store,
    edit: &Edit,
    graph: &Graph,
    before: &Built,
    after: &Built,
) -> Result<Vec<Ran>> {
    let mut compare =
        |old: &str, new: &str| objects::compare(&store.object(old), &store.object(new));
    let verdicts = waste::verdicts(graph, &before.decisions, &after.decisions, &mut compare)?;
    Ok(rows_of(verdicts, edit))
}

/// A row each in the grain of packages; in a finer one, a row for all that are alike.
fn rows_of(verdicts: Vec<Verdict>, edit: &Edit) -> Vec<Ran> {
    let mut found: BTreeMap<_, Ran> = BTreeMap::new();
    for verdict in verdicts {
        let Verdict { name, came_out, took_in, saved_by, files, cpu_ms } = verdict;
        let own = name.starts_with(&format!("{}-", edit.package));
        let apart = if edit.strategy.grain == "file" { String::new() } else { name.clone() };
        let row = found.entry((!own, came_out, took_in, saved_by, apart)).or_insert_with(|| Ran {
            edit: edit.clone(),
            names: Vec::new(),
            count: 0,
            own,
            came_out,
            took_in,
            saved_by,
            files: Vec::new(),
            cpu_ms: 0,
        });
        row.count += 1;
        row.cpu_ms += cpu_ms;
        row.names.push(name);
        row.files.extend(files);
    }
    let mut rows: Vec<Ran> = found.into_values().collect();
    for row in &mut rows {
        for shown in [&mut row.names, &mut row.files] {
            shown.sort();
            shown.dedup();
            shown.truncate(SHOWN);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::rows::{Knowledge, Strategy};
    use super::*;
    use crate::objects::Sameness;

    #[test]
    fn what_is_alike_shares_a_row_in_the_finer_grain_only() {
        let verdict = |name: &str| Verdict {
            name: name.to_owned(),
            came_out: Sameness::Identical,
            took_in: Sameness::Different,
            saved_by: Knowledge::HeaderUse,
            files: vec!["zlib-1.3.2: include/zlib.h".to_owned()],
            cpu_ms: 2,
        };
        let rows = |grain: &str| {
            let strategy = Strategy { grain: grain.to_owned(), rebuilder: "r".to_owned() };
            let edit = Edit { strategy, package: "lua".to_owned(), kind: "doc".to_owned() };
            let names = ["lua-lapi.o", "luamodules-1.0", "jq-1.6"];
            let rows = rows_of(names.map(verdict).into(), &edit);
            rows.into_iter()
                .map(|row| (row.own, row.count, row.cpu_ms, row.names.join(" ")))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            rows("file"),
            [
                (true, 1, 2, "lua-lapi.o".to_owned()),
                (false, 2, 4, "jq-1.6 luamodules-1.0".to_owned())
            ]
        );
        assert_eq!(rows("package").len(), 3);
    }
}
