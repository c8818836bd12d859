//! Builds that evaluation waits for: import from derivation. Each is a request of its own, with the
//! rebuilder of the request that evaluates, so that what it built is known when the evaluated
//! derivations are built. Evaluation goes on when it has ended; nothing here evaluates.

use std::any::Any;
use std::sync::Arc;

use floe_core::path::StorePath;
use floe_lang::graph::{DrvGraph, DrvId};
use floe_lang::host::HostError;

use crate::cancel::Cancel;
use crate::engine::{BuildOptions, Built, Engine};
use crate::host::StoreHost;
use crate::import::Wanted;
use crate::local::Profiles;
use crate::schedule::State;
use crate::scheduling::{Restarts, Scheduling};
use crate::share::Jobs;

/// What stops a build, and what must live as long as it can be stopped.
pub type Watch = (Cancel, Box<dyn Any>);

/// How evaluation's builds are carried out.
pub struct Builds {
    options: BuildOptions,
    watch: Box<dyn Fn() -> Watch + Send + Sync>,
    profiles: Profiles,
    restarts: Arc<Restarts>,
    /// Where jobs are shared with other requests.
    jobs: Option<Arc<Jobs>>,
}

impl Builds {
    /// Builds with these options; `watch` is asked for each anew.
    pub(crate) fn new(
        mut options: BuildOptions,
        watch: Box<dyn Fn() -> Watch + Send + Sync>,
        profiles: Profiles,
        restarts: Arc<Restarts>,
        jobs: Option<Arc<Jobs>>,
    ) -> Builds {
        // A dry run must evaluate too, and what it evaluates may hang on these.
        options.schedule.dry_run = false;
        options.decide_all = false;
        options.check = false;
        Builds { options, watch, profiles, restarts, jobs }
    }

    /// Builds the outputs and gives the path to read each one at.
    ///
    /// # Errors
    /// When one cannot be built, with the end of its log, or when the user wants to stop.
    pub(crate) fn realise(
        &self,
        host: &Arc<StoreHost>,
        graph: &Arc<DrvGraph>,
        outputs: &[(DrvId, usize)],
    ) -> Result<Vec<StorePath>, HostError> {
        if self.options.schedule.scheduling == Scheduling::Topological {
            return Err(HostError::Unsupported {
                what: format!("importing from the derivation '{}'", graph.node(outputs[0].0).name),
                why: "the topological scheduler must know what depends on what before anything runs; choose \
                      --scheduler suspending or restarting"
                    .to_owned(),
            });
        }
        let wanted: Vec<Wanted> = outputs
            .iter()
            .map(|&(drv, output)| {
                let node = graph.node(drv);
                Wanted {
                    attr: format!("import:{}", node.name),
                    drv,
                    outputs: vec![node.outputs[output].name.clone()],
                }
            })
            .collect();
        let mut engine = Engine::beside(Arc::clone(host), self.profiles.clone(), self.jobs.clone());
        let (cancel, _guard) = (self.watch)();
        let built = engine.build(graph, &wanted, &self.options, &cancel);
        if cancel.is_cancelled() {
            return Err(HostError::Interrupted);
        }
        let built = built.map_err(failed)?;
        self.restarts.ran(built.outcome.builders_run, built.outcome.restarts);
        if let Some(message) = failure(&built, &wanted, graph) {
            return Err(HostError::Failed(message));
        }
        let host_store = engine.store().ok_or_else(|| failed("the store is gone"))?;
        for (ix, id) in built.drvs.iter().enumerate() {
            let Some(real) = &built.outcome.outputs[ix] else { continue };
            for (at, output) in graph.node(*id).outputs.iter().enumerate() {
                let evaluated = graph.output_path(*id, at).map_err(failed)?;
                if let (Some(evaluated), Some(real)) = (evaluated, real.get(&output.name))
                    && evaluated != *real
                {
                    host.aliases().add(graph, *id, evaluated, real.clone());
                }
            }
        }
        if self.options.schedule.scheduling == Scheduling::Restarting {
            let mut names = Vec::with_capacity(outputs.len());
            for &(drv, output) in outputs {
                names.push(format!("{}!{output}", graph.shown(drv).map_err(failed)?));
            }
            if self.restarts.built(names) {
                return Err(failed("what was imported is built; evaluation begins again"));
            }
        }
        let mut paths = Vec::with_capacity(outputs.len());
        for (&(drv, output), target) in outputs.iter().zip(&built.graph.targets) {
            let name = &graph.node(drv).outputs[output].name;
            let real = built.outcome.outputs[target.node.index()].as_ref();
            let real = real.and_then(|outputs| outputs.get(name));
            let real = real.ok_or_else(|| failed("a build that ended well has no output"))?;
            host.hold(host_store.protect([real]));
            let path = graph.output_path(drv, output).map_err(failed)?;
            let path = path.unwrap_or_else(|| real.clone());
            host.aliases().place(&host_store, path.as_str().as_ref())?;
            paths.push(path);
        }
        Ok(paths)
    }
}

fn failed(error: impl std::fmt::Display) -> HostError {
    HostError::Failed(error.to_string())
}

/// Why a request did not come to its end, with what the builder said last.
fn failure(built: &Built, wanted: &[Wanted], graph: &DrvGraph) -> Option<String> {
    let failure = built.outcome.states.iter().find_map(|state| match state {
        State::Failed(failure) => Some(&**failure),
        _ => None,
    });
    let names: Vec<&str> = wanted.iter().map(|wanted| &*graph.node(wanted.drv).name).collect();
    let names = names.join("', '");
    let Some(failure) = failure else {
        let complete = built.outcome.is_complete(&built.graph);
        return (!complete).then(|| format!("cannot import from derivation '{names}'"));
    };
    Some(format!("cannot import from derivation '{names}': {}", failure.in_full()))
}
