//! Chains of causes on random graphs and histories, held against an oracle that keeps every state of
//! every task and compares them whole: no records, no ledger, no digests of what is below.

use std::collections::{BTreeMap, BTreeSet};

use floe_core::hash::Digest;
use floe_core::path::StorePath;
use floe_engine::explain::{Cause, Effect, Stop};
use floe_engine::instructions::Field;
use floe_engine::rebuilder::Strategy;
use floe_engine::resolve::Outputs;
use floe_engine::schedule::State;
use proptest::prelude::*;

use crate::explanations::{History, kinds};
use crate::world::{Request, Spec};

/// Everything about a task at one time.
#[derive(Debug, Clone)]
struct Whole {
    comment: u32,
    op: u32,
    recipe: Digest,
    inputs: BTreeMap<String, Vec<StorePath>>,
    outputs: Outputs,
    /// All below it, written out.
    below: String,
    /// In which request anything about it was found out last.
    happened: u64,
    built: bool,
}

/// All tasks after each request; a task that is not asked for stays as it was.
#[derive(Default)]
struct Oracle {
    states: Vec<BTreeMap<String, Whole>>,
}

impl Oracle {
    fn note(&mut self, specs: &[Spec], request: &Request) {
        let number = self.states.len() as u64 + 1;
        let mut state = self.states.last().cloned().unwrap_or_default();
        let tasks = request.graph.task_ids();
        let mut below: Vec<String> = Vec::new();
        for (ix, node) in request.graph.nodes() {
            let spec = &specs[ix.index()];
            let outputs = request.outcome.outputs[ix.index()].as_deref().expect("all is wanted");
            let mut text = format!("{spec:?}");
            let mut inputs = BTreeMap::new();
            for (dep, used) in node.deps.iter().zip(node.recipe.deps.iter()) {
                text += &format!("({})", below[dep.index()]);
                let of = request.outcome.outputs[dep.index()].as_deref().expect("all is wanted");
                let paths = used.outputs.iter().map(|name| of[name].clone()).collect();
                inputs.insert(tasks[dep.index()].to_string(), paths);
            }
            // Hashed by the test's own means, or a few dozen nodes would be megabytes.
            let text =
                floe_core::hash::Hash::of(floe_core::hash::HashAlgo::Sha256, text.as_bytes());
            let text = text.base16();
            let built = matches!(request.outcome.states[ix.index()], State::Built(_));
            let former = state.get(&tasks[ix.index()]);
            let is_news = built || former.is_none_or(|former| former.below != text);
            let happened = match former {
                Some(former) if !is_news => former.happened,
                _ => number,
            };
            let built = if is_news { built } else { former.is_some_and(|former| former.built) };
            let whole = Whole {
                comment: spec.comment,
                op: spec.op,
                recipe: request.recipes[ix.index()],
                inputs,
                outputs: outputs.clone(),
                below: text.clone(),
                happened,
                built,
            };
            below.push(text);
            state.insert(tasks[ix.index()].to_string(), whole);
        }
        self.states.push(state);
    }

    fn then(&self, since: u64, task: &str) -> Option<&Whole> {
        let at = usize::try_from(since).expect("few requests").checked_sub(1)?;
        self.states[at].get(task)
    }

    fn now(&self, task: &str) -> &Whole {
        &self.states.last().expect("a request")[task]
    }

    /// What must be said of a task.
    fn causes(&self, since: u64, task: &str) -> BTreeSet<String> {
        let now = self.now(task);
        let Some(then) = self.then(since, task) else { return ["new".to_owned()].into() };
        let mut causes = BTreeSet::new();
        if now.comment != then.comment || now.op != then.op {
            causes.insert("instructions".to_owned());
        }
        for (input, paths) in &now.inputs {
            let happened = self.states.last().expect("a request")[input].happened > since;
            match then.inputs.get(input) {
                None => causes.insert(format!("added {input}")),
                Some(old) if old != paths => causes.insert(format!("input {input}")),
                Some(_) if happened => causes.insert(format!("passed {input}")),
                Some(_) => false,
            };
        }
        let removed = then.inputs.keys().filter(|input| !now.inputs.contains_key(*input));
        causes.extend(removed.map(|input| format!("removed {input}")));
        causes
    }

    /// All that what happened to a task leads to.
    fn reached(&self, since: u64, task: &str, reached: &mut BTreeSet<String>) {
        if self.now(task).happened <= since || !reached.insert(task.to_owned()) {
            return;
        }
        for cause in self.causes(since, task) {
            let next = cause.split_once(' ').filter(|(kind, _)| *kind != "removed");
            next.iter().for_each(|(_, next)| self.reached(since, next, reached));
        }
    }
}

fn compare(history: &History, oracle: &Oracle, since: u64, top: &str) {
    let span = history.span(since);
    let told = history.explain(&span, Some(top));
    let mut expected = BTreeSet::new();
    oracle.reached(since, top, &mut expected);
    expected.insert(top.to_owned());
    let tasks: BTreeSet<String> = told.tasks.iter().map(|task| task.task.to_owned()).collect();
    assert_eq!(tasks, expected, "the tasks told of since {since}");
    assert_eq!(told.tasks.len(), tasks.len(), "each once");
    for explained in &told.tasks {
        let (task, now) = (explained.task, oracle.now(explained.task));
        if now.happened <= since {
            assert!(explained.causes.is_empty(), "nothing happened to {task}");
            continue;
        }
        let then = oracle.then(since, task);
        let mut causes: BTreeSet<String> = kinds(&explained.causes).into_iter().collect();
        // The record's own words stand where nothing differs.
        causes.remove("told");
        let mut must = oracle.causes(since, task);
        // Which inputs there are is in the instructions, too.
        if then.is_some_and(|then| then.recipe != now.recipe) && causes.contains("instructions") {
            must.insert("instructions".to_owned());
        }
        assert_eq!(causes, must, "{task} since {since}");
        let named: BTreeSet<&str> = explained
            .causes
            .iter()
            .flat_map(|cause| match cause {
                Cause::Instructions(changes) => changes.as_slice(),
                _ => &[],
            })
            .filter_map(|change| match &change.field {
                Field::Variable(name) => Some(name.as_str()),
                _ => None,
            })
            .collect();
        if let Some(then) = then {
            assert_eq!(named.contains("comment"), then.comment != now.comment, "{task}");
            assert_eq!(named.contains("op"), then.op != now.op, "{task}");
            assert_eq!(explained.effect == Effect::Same, then.outputs == now.outputs, "{task}");
        }
        let decided = explained.seen.now.decision;
        assert_eq!(explained.stop == Stop::Stopped, !now.built, "{task}: {decided:?}");
    }
}

/// A graph whose last node uses all others, so that all are wanted.
fn specs(edges: &[u8]) -> Vec<Spec> {
    let mut specs: Vec<Spec> = Vec::new();
    for (at, bits) in edges.iter().enumerate() {
        let deps: Vec<usize> = (0..at.min(8)).filter(|bit| bits >> bit & 1 == 1).collect();
        let deps: Vec<usize> = deps.into_iter().map(|back| at - 1 - back).collect();
        specs.push(Spec::new(&format!("n{at}"), u32::from(bits % 3), &deps));
    }
    let all: Vec<usize> = (0..specs.len()).collect();
    specs.push(Spec::new("top", 0, &all));
    specs
}

fn run(edges: &[u8], steps: &[Vec<(u8, u8, u8)>], by_inputs: bool) {
    let mut history = History::new();
    if by_inputs {
        history.world.strategy = Strategy::InputAddressed;
        history.world.restart();
    }
    let mut oracle = Oracle::default();
    let mut specs = specs(edges);
    let top = format!("t{}", specs.len() - 1);
    let (request, _) = history.request(&specs, false);
    oracle.note(&specs, &request);
    for step in steps {
        for &(what, at, how) in step {
            let at = usize::from(at) % specs.len();
            match what % 5 {
                0 | 1 => specs[at].op = u32::from(how % 3),
                2 => specs[at].comment = u32::from(how % 3),
                3 if at > 1 && at + 1 < specs.len() => {
                    let dep = usize::from(how) % at;
                    match specs[at].deps.iter().position(|(known, _)| *known == dep) {
                        Some(known) => drop(specs[at].deps.remove(known)),
                        None => specs[at].deps.push((dep, vec![2])),
                    }
                }
                3 => {}
                _ => {
                    let name = specs[at].name.clone();
                    history.world.shared.lock().lose(&[&name]);
                    history.world.db.advance_epoch();
                }
            }
        }
        let (request, _) = history.request(&specs, false);
        oracle.note(&specs, &request);
    }
    for since in 0..history.at {
        compare(&history, &oracle, since, &top);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn chains_are_those_of_whole_states(
        edges in prop::collection::vec(any::<u8>(), 1..14),
        steps in prop::collection::vec(prop::collection::vec(any::<(u8, u8, u8)>(), 0..4), 1..7),
        by_inputs in prop::bool::weighted(0.2),
    ) {
        run(&edges, &steps, by_inputs);
    }
}
