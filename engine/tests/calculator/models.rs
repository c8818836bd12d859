//! The engine beside the models of the literature: random graphs and histories built by both, the sets of what ran and the
//! results compared. The models know nothing of the engine. Left out are failures, which are values in a model and no
//! results in the engine. Losses are held content-addressed alone, where equal contents are one object for the engine as
//! well; a model's store finds them by content even where paths come from inputs.

use std::collections::{BTreeMap, BTreeSet};

use floe_core::path::StorePath;
use floe_engine::rebuilder::Strategy;
use floe_papers::oracle::Oracle;
use floe_papers::sums::{Happening, History, Output, Sums, histories};
use proptest::prelude::*;

use crate::world::{OUTPUTS, Spec, World, output_name};

/// The model of a rebuilder.
fn model(strategy: Strategy) -> Oracle {
    let name = match strategy {
        Strategy::ContentAddressed => "floe, content-addressed",
        // none of these derivations is written as content-addressed
        _ => "Nix, input-addressed",
    };
    Oracle::new(name).expect("a model of this name").outputs_apart()
}

/// The model of a classic rebuilder. Traces of depth n count levels, and outputs apart from the
/// steps that make them would be levels of their own.
fn classic(strategy: &str) -> (Strategy, Oracle) {
    let (name, apart) = match strategy {
        "dirty-bit" => ("Excel", true),
        "verifying" => ("verifying traces, suspending", true),
        "step" => ("step traces, restarting", true),
        "constructive" => ("CloudBuild", true),
        "deep-constructive" => ("Buck", true),
        "depth-1" => ("traces of depth 1", false),
        _ => ("traces of depth 2", false),
    };
    let oracle = Oracle::new(name).expect("a model of this name");
    let oracle = if apart { oracle.outputs_apart() } else { oracle };
    (strategy.parse().expect("a rebuilder of this name"), oracle)
}

/// The same history in which every build wants everything: a task that goes by another name as
/// another is asked for is another task, for those who remember tasks.
fn whole(mut history: History, single: bool) -> History {
    let all: Vec<u16> = (0..history.sums.0.len() as u16).collect();
    let first = |reads: &mut Vec<Output>| {
        reads.iter_mut().for_each(|(_, output)| *output = 0);
        reads.dedup();
    };
    for sum in history.sums.0.iter_mut().filter(|_| single) {
        sum.outputs = vec![0];
        first(&mut sum.reads);
    }
    for turn in &mut history.turns {
        turn.targets.clone_from(&all);
        for happening in turn.happenings.iter_mut().filter(|_| single) {
            if let Happening::Reads(_, reads) = happening {
                first(reads);
            }
        }
    }
    history
}

/// The same steps as derivations of the calculators' world, which adds as they do.
fn specs(sums: &Sums, wanted: &BTreeSet<u16>) -> Vec<Spec> {
    let numbered = sums.0.iter().enumerate().map(|(at, sum)| {
        let mut deps: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        // a graph holds what its targets reach and nothing else; the rest keeps its place here and needs nothing
        let reads = sum.reads.iter().filter(|_| wanted.contains(&(at as u16)));
        for (step, output) in reads {
            deps.entry(usize::from(*step)).or_default().push(usize::from(*output));
        }
        Spec {
            name: format!("n{at}"),
            op: sum.adds as u32,
            comment: sum.comment as u32,
            outputs: sum.outputs.iter().map(|output| usize::from(*output)).collect(),
            deps: deps.into_iter().collect(),
            fixed: false,
        }
    });
    numbered.collect()
}

/// Both after a history, build for build.
fn agree(history: &History, strategy: Strategy, jobs: usize) -> Result<(), TestCaseError> {
    agree_with(history, strategy, model(strategy), jobs)
}

fn agree_with(
    history: &History,
    strategy: Strategy,
    mut oracle: Oracle,
    jobs: usize,
) -> Result<(), TestCaseError> {
    let mut sums = history.sums.clone();
    let mut world = World::new(strategy);
    let mut latest: BTreeMap<Output, StorePath> = BTreeMap::new();
    let mut wanted_last: &[u16] = &[];
    for turn in &history.turns {
        for happening in &turn.happenings {
            sums.apply(happening);
            match happening {
                Happening::Restart => world.restart(),
                Happening::Lost(step, outputs) => {
                    // A model takes an output out of what a step made when somebody wants it, and
                    // the engine when it is made: all are taken where all were wanted last.
                    let all: Vec<u8> = sums.outputs(*step).iter().map(|output| output.1).collect();
                    let outputs = if wanted_last.contains(step) { outputs } else { &all };
                    oracle.lose(*step, outputs);
                    let is_lost = |(of, output): &Output| of == step && outputs.contains(output);
                    let lost = latest.iter().filter(|(output, _)| is_lost(output));
                    lost.for_each(|(_, path)| {
                        world.shared.lock().objects.remove(path);
                    });
                    world.db.advance_epoch();
                }
                _ => {}
            }
        }
        wanted_last = &turn.targets;
        let targets: Vec<usize> = turn.targets.iter().map(|step| usize::from(*step)).collect();
        let wanted = sums.closure(&turn.targets);
        let request = world.request(&specs(&sums, &wanted), &targets, jobs);
        let mut ran: Vec<u16> = request.ran.iter().map(|name| number(name)).collect();
        ran.sort_unstable();
        let expected = oracle.build_sums(&sums, &turn.targets).expect("sums are static");
        prop_assert_eq!(ran, expected.ran, "what ran, by the engine and by the model");
        for (at, outputs) in request.outcome.outputs.iter().enumerate() {
            if !wanted.contains(&(at as u16)) {
                continue;
            }
            for (name, path) in outputs.iter().flat_map(|outputs| outputs.iter()) {
                let nth = OUTPUTS.iter().position(|known| *known == name.as_str());
                latest.insert((at as u16, nth.expect("one of ours") as u8), path.clone());
            }
        }
        for step in &turn.targets {
            let outputs = request.outcome.outputs[usize::from(*step)].as_ref();
            for (_, output) in sums.outputs(*step) {
                let path = outputs
                    .and_then(|outputs| outputs.get(&output_name(OUTPUTS[usize::from(output)])));
                let value = path.map(|path| u64::from(world.shared.lock().values[path]));
                prop_assert_eq!(value, Some(sums.value((*step, output))), "the engine's result");
                prop_assert_eq!(oracle.value((*step, output)), value, "the model's result");
            }
        }
    }
    Ok(())
}

fn number(name: &str) -> u16 {
    name.trim_start_matches('n').parse().expect("the names of these steps are numbers")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn content_addressed_runs_what_the_model_runs(history in histories(12, 8, false)) {
        agree(&history, Strategy::ContentAddressed, 2)?;
    }

    #[test]
    fn input_addressed_runs_what_the_model_runs(history in histories(12, 8, false)) {
        agree(&history, Strategy::InputAddressed, 2)?;
    }

    #[test]
    fn losses_cost_the_engine_what_they_cost_the_model(history in histories(8, 8, true)) {
        agree(&history, Strategy::ContentAddressed, 2)?;
    }

    #[test]
    fn classic_rebuilders_run_what_their_models_run(history in histories(10, 10, false)) {
        for name in
            ["dirty-bit", "verifying", "step", "constructive", "deep-constructive", "depth-1", "depth-2"]
        {
            let (strategy, oracle) = classic(name);
            let history = whole(history.clone(), name.starts_with("depth"));
            agree_with(&history, strategy, oracle, 2)
                .map_err(|error| TestCaseError::fail(format!("{name}: {error}")))?;
        }
    }
}
