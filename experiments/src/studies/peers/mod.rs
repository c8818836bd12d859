//! The peers: floe and other build systems at the same work. Trials, peers and their order; what is done in a trial is
//! [`trial`], what the systems are is [`system`], what the rows say is [`section`].

mod action;
mod bazel;
mod buildstream;
mod cells;
mod findings;
mod floe;
mod make;
mod measure;
mod ninja;
mod nix;
mod rivals;
mod section;
mod system;
mod trial;
mod tup;
mod workload;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use self::system::{Kind, Package, SYSTEMS, Site};
use self::trial::Plan;
use self::workload::Workload;
use crate::description::{Description, Scale};
use crate::process;
use crate::record::Row;
use crate::report::block::Section;
use crate::study::{Fields, Place, Study, Trial};

/// Names systems, separated by commas, that are not measured though the description has them, since they are not here.
const WITHOUT: &str = "FLOE_PEERS_WITHOUT";

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// The systems, by name.
    systems: Vec<String>,
    /// Inputs of an action, at most.
    fan_in: usize,
    /// The graphs.
    sizes: Vec<Size>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Size {
    actions: usize,
    repetitions: u32,
    /// How many of the repetitions begin with nothing.
    cold: u32,
    /// How many make the edit that reaches almost everything.
    real: u32,
    /// Systems that do not make that edit, since it takes them too long.
    #[serde(default)]
    real_not: Vec<String>,
    /// Systems for which one repetition must do, since each takes too long.
    #[serde(default)]
    once: Vec<String>,
    /// Systems that are left out, and why.
    #[serde(default)]
    left_out: BTreeMap<String, String>,
}

/// The study.
struct Peers {
    parameters: Parameters,
    seed: u64,
    without: Vec<String>,
    /// The graph that was drawn last, since the next trial mostly needs it again.
    drawn: Option<Workload>,
}

/// Opens the study.
///
/// # Errors
/// The description names a system that is not known.
pub fn open(description: &Description, scale: Scale) -> Result<Box<dyn Study>> {
    let parameters: Parameters = description.parameters(scale)?;
    let sizes = parameters.sizes.iter();
    let named =
        sizes.flat_map(|size| size.once.iter().chain(&size.real_not).chain(size.left_out.keys()));
    for name in named.chain(&parameters.systems) {
        kind(name)?;
    }
    let without = std::env::var(WITHOUT).unwrap_or_default();
    let without: Vec<String> =
        without.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    for name in &without {
        kind(name).context(WITHOUT)?;
    }
    Ok(Box::new(Peers { parameters, seed: description.seed, without, drawn: None }))
}

fn kind(name: &str) -> Result<&'static Kind> {
    system::named(name).with_context(|| {
        let known: Vec<&str> = SYSTEMS.iter().map(|kind| kind.name).collect();
        format!("there is no system '{name}'; there are {}", known.join(", "))
    })
}

impl Size {
    /// What a repetition of a system does.
    fn plan(&self, system: &str, repetition: u32) -> Plan {
        Plan {
            repetition,
            cold: repetition <= self.cold,
            real: repetition <= self.real && self.real_not.iter().all(|name| name != system),
        }
    }
}

impl Peers {
    /// What a trial's key means: the size, the system and the repetition.
    fn meant(&self, key: &str) -> Result<(&Size, &'static Kind, u32)> {
        let place = || format!("'{key}' is no trial of this study");
        let [actions, name, repetition] =
            key.split('/').collect::<Vec<_>>().try_into().ok().with_context(place)?;
        let actions: usize = actions.parse().with_context(place)?;
        let size = self.parameters.sizes.iter().find(|size| size.actions == actions);
        Ok((size.with_context(place)?, kind(name)?, repetition.parse().with_context(place)?))
    }
}

impl Study for Peers {
    fn trials(&self) -> Result<Vec<Trial>> {
        let mut trials = Vec::new();
        for size in &self.parameters.sizes {
            for repetition in 1..=size.repetitions {
                for name in &self.parameters.systems {
                    let fits = repetition == 1 || !size.once.contains(name);
                    if !fits || size.left_out.contains_key(name) {
                        continue;
                    }
                    let kind = kind(name)?;
                    let plan = size.plan(name, repetition);
                    let builds =
                        0.2 + f64::from(u8::from(plan.cold)) + f64::from(u8::from(plan.real));
                    let weight = size.actions as f64 * kind.price * builds;
                    let key = format!("{}/{name}/{repetition}", size.actions);
                    let rank = size.actions as u64 * (4 * u64::from(repetition) - 3);
                    trials.push((rank, Trial::new(key).weighing(weight)));
                }
            }
        }
        // A run that is stopped should have told most: small graphs first, but not all their repetitions.
        trials.sort_by_key(|(rank, _)| *rank);
        Ok(trials.into_iter().map(|(_, trial)| trial).collect())
    }

    fn peers(&self) -> Result<Vec<(String, String)>> {
        let mut versions: Vec<(String, String)> = Vec::new();
        for name in self.parameters.systems.iter().filter(|name| !self.without.contains(name)) {
            for (at, (program, package)) in kind(name)?.programs.iter().enumerate() {
                let version = version(program, *package).with_context(|| {
                    format!(
                        "{name} needs {program}, which is missing: `{}` gives it, and {WITHOUT}={name} leaves the system out",
                        package.install()
                    )
                })?;
                if at == 0 && versions.iter().all(|(known, _)| known != program) {
                    versions.push(((*program).to_owned(), version));
                }
            }
        }
        Ok(versions)
    }

    fn run(&mut self, trial: &Trial, place: &Place) -> Result<Vec<Fields>> {
        let (size, kind, repetition) = self.meant(&trial.key)?;
        let size = size.clone();
        let named = json!({"size": size.actions, "system": kind.name, "repetition": repetition});
        let named = named.as_object().cloned().unwrap_or_default();
        if self.without.iter().any(|name| name == kind.name) {
            let mut row = named;
            row.insert("edit".to_owned(), Value::from("left out"));
            return Ok(vec![row]);
        }
        let fits = self.drawn.as_ref().is_some_and(|drawn| drawn.actions() == size.actions);
        if !fits {
            self.drawn = Some(Workload::draw(size.actions, self.parameters.fan_in, self.seed));
        }
        let Some(workload) = &self.drawn else { bail!("no graph was drawn") };
        let shared = place.work.join("shared");
        let action = action::compiled(&shared)?;
        let site = Site {
            workload,
            folder: place.work.join(format!("{}-{}", size.actions, kind.name)),
            shared: &shared,
            action: &action,
            floe: &place.floe,
        };
        let plan = size.plan(kind.name, repetition);
        let mut system = (kind.open)(&site);
        let rows = trial::run(&site, system.as_mut(), plan)?;
        Ok(rows.into_iter().map(|row| named.clone().into_iter().chain(row).collect()).collect())
    }

    fn section(&self, rows: &[Row]) -> Result<Section> {
        let left_out = self.parameters.sizes.iter().flat_map(|size| {
            let named = size.left_out.iter();
            named.map(|(name, why)| (size.actions, name.as_str(), why.as_str()))
        });
        section::section(rows, &left_out.collect::<Vec<_>>())
    }
}

/// What a program says its version is, in a line; of Bazel, which Debian's says not, what the package's is.
fn version(program: &str, package: Package) -> Result<String> {
    let said =
        process::measure(Command::new(program).arg("--version").current_dir(Path::new("/")))?;
    let first = said.out.lines().next().unwrap_or_default().trim();
    let digits = first.find(|c: char| c.is_ascii_digit()).map(|at| first[at..].to_owned());
    if let Some(version) = digits {
        return Ok(version);
    }
    let Package::Debian(package) = package else { bail!("{program} does not say its version") };
    let query = ["--show", "--showformat", "${Version}", package];
    let said = process::succeed(Command::new("dpkg-query").args(query))?;
    Ok(format!("{} (Debian)", said.out.trim()))
}
