//! What the study's description asks for, and the trials that it makes. Runs nothing.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};
use serde::Deserialize;

use super::rows::{Edit, Strategy};
use super::store::Order;

/// The parameters in `study.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Builders at the same time.
    pub jobs: u32,
    /// The kinds of patch, in the order of the report.
    pub kinds: Vec<String>,
    /// Patches, as `package kind`, that there cannot be, with the reason.
    #[serde(default)]
    pub no_patch: Vec<Reason>,
    /// Rebuilders that are not measured, with the reason.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// What runs, in this order.
    pub plan: Vec<Part>,
}

/// Why something is not there.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// What.
    pub name: String,
    /// Why not.
    pub why: String,
}

/// Rebuilders that are not measured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// floe's names.
    pub rebuilders: Vec<String>,
    /// Why not.
    pub why: String,
}

/// The same patches under some strategies.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// What is one derivation: `package`, `file`, or `split` for packages with several outputs.
    pub grain: String,
    /// floe's names.
    pub rebuilders: Vec<String>,
    /// Attributes of the package set that are built.
    pub targets: Vec<String>,
    /// The packages that are patched.
    pub packages: Vec<String>,
    /// How they are patched [all kinds].
    pub kinds: Option<Vec<String>>,
}

/// A trial.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What is built, and under what.
    pub order: Order,
    /// The patch; none for the cold base.
    pub edit: Option<Edit>,
}

impl Planned {
    /// Names it among all trials.
    pub fn key(&self) -> String {
        let Strategy { grain, rebuilder } = &self.order.strategy;
        match &self.edit {
            None => format!("{grain} {rebuilder} cold"),
            Some(Edit { package, kind, .. }) => format!("{grain} {rebuilder} {package} {kind}"),
        }
    }

    /// How long it takes beside others: a cold base is most of the set, a patch a part of it.
    pub fn weight(&self) -> f64 {
        if self.edit.is_none() { 6.0 } else { 1.0 }
    }
}

impl Parameters {
    /// All trials, in order.
    ///
    /// # Errors
    /// One is planned twice.
    pub fn trials(&self) -> Result<Vec<Planned>> {
        let mut trials = Vec::new();
        let impossible: BTreeSet<&str> =
            self.no_patch.iter().map(|reason| reason.name.as_str()).collect();
        for part in &self.plan {
            for rebuilder in &part.rebuilders {
                let strategy = Strategy { grain: part.grain.clone(), rebuilder: rebuilder.clone() };
                let order = Order {
                    strategy: strategy.clone(),
                    targets: part.targets.clone(),
                    jobs: self.jobs,
                };
                trials.push(Planned { order: order.clone(), edit: None });
                for package in &part.packages {
                    for kind in part.kinds.as_ref().unwrap_or(&self.kinds) {
                        if impossible.contains(format!("{package} {kind}").as_str()) {
                            continue;
                        }
                        let edit = Edit {
                            strategy: strategy.clone(),
                            package: package.clone(),
                            kind: kind.clone(),
                        };
                        trials.push(Planned { order: order.clone(), edit: Some(edit) });
                    }
                }
            }
        }
        let mut keys = BTreeSet::new();
        for trial in &trials {
            ensure!(keys.insert(trial.key()), "the trial {} is planned twice", trial.key());
        }
        Ok(trials)
    }

    /// Checks that every rebuilder there is has been thought of.
    ///
    /// # Errors
    /// One is planned that is not, or is and was neither planned nor left out; the message says what to do.
    pub fn check(&self, there_are: &[String]) -> Result<()> {
        let planned: BTreeSet<&String> =
            self.plan.iter().flat_map(|part| &part.rebuilders).collect();
        if let Some(unknown) = planned.iter().find(|name| !there_are.contains(name)) {
            bail!("this floe has no rebuilder '{unknown}'; it has {}", there_are.join(", "));
        }
        let is_known = |name: &String| {
            planned.contains(name)
                || self.left_out.iter().any(|left| left.rebuilders.contains(name))
        };
        if let Some(new) = there_are.iter().find(|name| !is_known(name)) {
            bail!(
                "this floe has a rebuilder '{new}' that the study does not know: add its name to a plan of study.toml, \
                 or to left_out with the reason"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(text: &str) -> Parameters {
        toml::from_str(text).expect("parameters")
    }

    const TEXT: &str = "jobs = 2\nkinds = ['comment', 'doc']\nno_patch = [{ name = 'sqlite doc', why = 'none' }]\n\
                        left_out = [{ rebuilders = ['depth-3'], why = 'as depth-2' }]\n\
                        [[plan]]\ngrain = 'package'\nrebuilders = ['a', 'b']\ntargets = ['all']\npackages = ['zlib', 'sqlite']\n\
                        [[plan]]\ngrain = 'file'\nrebuilders = ['a']\ntargets = ['all']\npackages = ['zlib']\nkinds = ['doc']\n";

    #[test]
    fn every_patch_is_planned_under_every_strategy() {
        let trials = parameters(TEXT).trials().expect("trials");
        let keys: Vec<String> = trials.iter().map(Planned::key).collect();
        assert_eq!(
            keys,
            [
                "package a cold",
                "package a zlib comment",
                "package a zlib doc",
                "package a sqlite comment",
                "package b cold",
                "package b zlib comment",
                "package b zlib doc",
                "package b sqlite comment",
                "file a cold",
                "file a zlib doc",
            ]
        );
        let twice = format!(
            "{TEXT}[[plan]]\ngrain = 'file'\nrebuilders = ['a']\ntargets = []\npackages = []\n"
        );
        let fault = parameters(&twice).trials().expect_err("twice");
        assert!(fault.to_string().contains("file a cold is planned twice"), "{fault}");
    }

    #[test]
    fn a_new_rebuilder_is_noticed() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let of = parameters(TEXT);
        of.check(&names(&["a", "b", "depth-3"])).expect("all are known");
        let fault = of.check(&names(&["a", "b", "depth-3", "observed"])).expect_err("a new one");
        assert!(fault.to_string().contains("rebuilder 'observed'"), "{fault}");
        let fault = of.check(&names(&["a", "depth-3"])).expect_err("gone");
        assert!(fault.to_string().contains("no rebuilder 'b'"), "{fault}");
    }
}
