//! A build that runs again only to be compared with what it gave before. What is addressed by its
//! content lies beside the former result then, registered as another realisation; what is named by
//! its instructions cannot, and stays in the build directory if that is kept.

use floe_core::path::{OutputName, StorePath};
use floe_store::Prepared;

use super::{Local, Site};
use crate::diff::{Place, first_place};
use crate::job::{Context, Cost, Difference, Done, Failure, Job};
use crate::resolve::Outputs;

impl Local {
    /// Compares what was staged with the registered outputs `before`.
    pub(super) fn compare(
        &self,
        job: &Job,
        site: &Site,
        before: &Outputs,
        prepared: Vec<Prepared>,
        cost: Cost,
    ) -> Result<Done, Failure> {
        let names: Vec<&OutputName> = job.derivation.outputs.keys().collect();
        let moved = |(name, prepared): (&&OutputName, &Prepared)| {
            before.get(*name).is_some_and(|path| *path != prepared.object.path)
        };
        if names.iter().zip(&prepared).any(moved) {
            let mut done = self.register(job, site, prepared, cost)?;
            done.differences = self.differences(before, &done.outputs);
            return Ok(done);
        }
        let mut differences = Vec::new();
        for (name, prepared) in names.into_iter().zip(&prepared) {
            let path = &prepared.object.path;
            let info =
                self.store.info(path).map_err(|error| site.failure(&job.recipe.name, error))?;
            if info.is_some_and(|info| info.nar_hash != prepared.object.nar_hash) {
                let now = site.dir.store().join(site.scratch[name].base_name());
                let place = first_place(&self.store.physical(path), &now, &[]);
                differences.push(difference(name, path, place));
            }
        }
        Ok(Done { outputs: before.clone(), cost, differences })
    }

    /// Where outputs of two paths differ. Each holds its own name, and those of its siblings: that
    /// alone is no difference, unless it is all there is.
    fn differences(&self, before: &Outputs, now: &Outputs) -> Vec<Difference> {
        let pairs = || {
            let pair = |(name, path)| Some((name, path, now.get(name)?));
            before.iter().filter_map(pair).filter(|(_, before, now)| before != now)
        };
        let names: Vec<(&[u8], &[u8])> = pairs()
            .map(|(_, before, now)| (before.digest_text().as_bytes(), now.digest_text().as_bytes()))
            .collect();
        let find = |names: &[(&[u8], &[u8])]| -> Vec<Difference> {
            let found = pairs().filter_map(|(name, before, now)| {
                let physical = self.store.physical(now);
                let place = first_place(&self.store.physical(before), &physical, names)?;
                Some(Difference { now: Some(physical), ..difference(name, before, Some(place)) })
            });
            found.collect()
        };
        let found = find(&names);
        if found.is_empty() { find(&[]) } else { found }
    }

    /// Leaves the build directory behind, where the outputs lie that could not be registered.
    pub(super) fn keep_differing(
        &self,
        job: &Job,
        context: &Context<'_>,
        site: Site,
        done: &mut Done,
    ) {
        let scratch = site.scratch.clone();
        let Some(kept) = self.keep(job, context, site) else { return };
        for difference in &mut done.differences {
            difference.now = Some(kept.join("store").join(scratch[&difference.output].base_name()));
        }
    }
}

fn difference(output: &OutputName, before: &StorePath, place: Option<Place>) -> Difference {
    let place = place.unwrap_or(Place { file: std::path::PathBuf::new(), byte: None });
    Difference { output: output.clone(), before: before.clone(), now: None, place }
}
