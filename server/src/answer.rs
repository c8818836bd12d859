//! From the engine's words to those of an answer, alike whether a server carries a request out or
//! the command itself. Nothing is built or printed here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use floe_core::hash::Digest;
use floe_engine::dynamic::Limits;
use floe_engine::engine::{BuildOptions, Built};
use floe_engine::environ::Environment;
use floe_engine::graph::NodeIx;
use floe_engine::import::Wanted;
use floe_engine::job::Failure;
use floe_engine::local::{Bounds, LocalSettings, current_system};
use floe_engine::record::Decision;
use floe_engine::report;
use floe_engine::schedule::{Options, State};
use floe_engine::scheduling::Scheduling;
use floe_lang::graph::{DrvGraph, GraphError};
use floe_sandbox::{Layer, Policy};
use floe_store::{Store, StoreError};

use crate::protocol::{Answer, Argument, Bytes, Failed, How, Outputs, Report, Source, Top};

/// The engine's options for how somebody wants to build, or in words why they make no sense.
///
/// # Errors
/// When they do not.
pub fn options(how: &How, environment: Environment) -> Result<BuildOptions, String> {
    let strategy = how.rebuilder.parse().map_err(|error| format!("{error}"))?;
    let mut policy = Policy::strict();
    for name in &how.allow_missing_layers {
        let Some(layer) = Layer::from_name(name) else {
            return Err(format!("there is no sandbox layer '{name}'; `floe doctor` lists them"));
        };
        policy = policy.allow_missing(layer);
    }
    if how.host_network {
        policy = policy.allow_missing(Layer::NetNamespace);
    }
    if how.jobs == 0 {
        return Err("--max-jobs must be at least 1: builds run here or nowhere".to_owned());
    }
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Ok(BuildOptions {
        strategy,
        schedule: Options {
            jobs: number(how.jobs),
            keep_going: how.keep_going,
            dry_run: how.dry_run,
            scheduling: Scheduling::default(),
            dynamic: Limits {
                max_depth: how.max_dynamic_depth,
                max_derivations: number(how.max_dynamic_derivations),
            },
        },
        local: LocalSettings {
            cores: number(how.cores),
            timeout: how.timeout_s.map(Duration::from_secs),
            max_silent: how.max_silent_s.map(Duration::from_secs),
            max_log_bytes: Some(how.max_log_bytes),
            bounds: Bounds {
                max_memory_bytes: how.max_memory_bytes,
                max_processes: how.max_processes,
                max_file_bytes: how.max_file_bytes,
                max_download_bytes: how.max_download_bytes,
            },
            keep_failed: how.keep_failed,
            policy,
            host_network: how.host_network,
            environment,
        },
        decide_all: false,
        check: false,
        asked: Vec::new(),
    })
}

/// What somebody asked to be evaluated, by name, for whoever looks back.
pub fn asked(source: &Source) -> Vec<(String, String)> {
    let mut asked = vec![match &source.top {
        Top::File(file) => ("file".to_owned(), file.path().display().to_string()),
        Top::Text(text) => ("expression".to_owned(), short(text)),
    }];
    asked.extend(source.args.iter().map(|(name, argument)| match argument {
        Argument::Text(text) => (format!("argument {name}"), short(text)),
        Argument::Expr(text) => (format!("argument {name}, an expression"), short(text)),
    }));
    let entries = source.search.iter().map(|(prefix, path)| {
        let path = path.path().display().to_string();
        if prefix.is_empty() { path } else { format!("{prefix}={path}") }
    });
    let search: Vec<String> = entries.collect();
    if !search.is_empty() {
        asked.push(("search path".to_owned(), short(&search.join(":"))));
    }
    asked
}

/// A text that is kept with every request: of a long one the beginning, and what stands for it.
fn short(text: &str) -> String {
    const LETTERS: usize = 400;
    match text.char_indices().nth(LETTERS) {
        None => text.to_owned(),
        Some((end, _)) => {
            let digest = Digest::of(text.as_bytes()).base16();
            format!("{}… ({} bytes, {})", &text[..end], text.len(), &digest[..12])
        }
    }
}

/// What came of a request. `targets` stand in the order of the graph's, each with what its
/// `meta.mainProgram` says.
pub fn answer<'t>(
    built: &Built,
    targets: impl Iterator<Item = (&'t Wanted, Option<&'t String>)>,
    dry_run: bool,
) -> Answer {
    let mut answer = Answer { builders_run: built.outcome.builders_run, ..Answer::default() };
    if dry_run {
        let name = |ix: &NodeIx| built.graph.node(*ix).recipe.name.to_string();
        answer.certain = built.outcome.certain.iter().map(name).collect();
        answer.possible = built.outcome.possible.iter().map(name).collect();
        answer.unknown = built.outcome.unknown.iter().map(name).collect();
        answer.prediction = built.prediction.clone().map(Box::new);
    }
    for (ix, node) in built.graph.nodes() {
        match &built.outcome.states[ix.index()] {
            State::Failed(failure) => answer.failures.push(failed(&node.recipe.name, failure)),
            State::Skipped(_) => answer.skipped += u64::from(!node.recipe.is_dynamic()),
            _ => {}
        }
    }
    if dry_run {
        return answer;
    }
    answer.results = targets
        .zip(&built.graph.targets)
        .map(|((wanted, main_program), placed)| {
            let outputs = built.outcome.outputs[placed.node.index()].as_deref();
            let path = |name| Some((name, outputs?.get(name)?));
            Outputs {
                attr: wanted.attr.clone(),
                outputs: wanted
                    .outputs
                    .iter()
                    .filter_map(path)
                    .map(|(name, path)| (name.clone(), path.clone()))
                    .collect(),
                main_program: main_program.cloned(),
            }
        })
        .collect();
    answer
}

fn failed(name: &str, failure: &Failure) -> Failed {
    let (tail, log) = failure.log();
    Failed {
        name: name.to_owned(),
        message: failure.to_string(),
        log_tail: tail.iter().cloned().map(Bytes).collect(),
        log: log.map(Bytes::from),
    }
}

/// Links the results as `nix-build` does: `result`, `result-2`, `result-dev`, ...
///
/// # Errors
/// When a link cannot be made.
pub fn link(store: &Store, out_link: &Path, results: &[Outputs]) -> Result<(), StoreError> {
    for (at, result) in results.iter().enumerate() {
        for (output, path) in &result.outputs {
            let mut name = out_link.as_os_str().to_owned();
            if at > 0 {
                name.push(format!("-{}", at + 1));
            }
            if output.as_str() != "out" {
                name.push(format!("-{output}"));
            }
            store.add_root(&PathBuf::from(name), path)?;
        }
    }
    Ok(())
}

/// What is said of an attribute path, or of the whole expression, that holds nothing to build.
pub fn no_derivation(path: Option<&str>) -> String {
    let what = path.map_or("the expression".to_owned(), |path| format!("'{path}'"));
    format!("{what} holds no derivation")
}

/// The report of a request as JSON lines; what it took beside building is given.
///
/// # Errors
/// When the path of a derivation cannot be computed.
pub fn report(
    built: &Built,
    drvs: &DrvGraph,
    rebuilder: &str,
    wanted: Report,
    cost: report::Cost,
) -> Result<Vec<u8>, GraphError> {
    const IN_MEMORY: &str =
        "memory takes what is written to it, and JSON of numbers and text exists";
    let mut out = Vec::new();
    let head = report::Head {
        floe_report: report::VERSION,
        floe: env!("CARGO_PKG_VERSION"),
        rebuilder,
        system: &current_system(),
        at: wanted.at_s,
    };
    report::line(&mut out, &head).expect(IN_MEMORY);
    for decided in &built.decided {
        if wanted.changed_only && decided.record.decision == Decision::Reused {
            continue;
        }
        let at = decided.node.index();
        let drv = match built.drvs.get(at) {
            Some(id) => Some(drvs.shown(*id)?),
            None => built.graph.made_file(decided.node).map(ToString::to_string),
        };
        let name = &built.graph.node(decided.node).recipe.name;
        let line = report::decision_line(decided, name, &built.outcome, drv);
        report::line(&mut out, &line).expect(IN_MEMORY);
    }
    let counters = report::counters(&built.decided, &built.outcome, built.queries, cost);
    report::line(&mut out, &counters).expect(IN_MEMORY);
    Ok(out)
}
