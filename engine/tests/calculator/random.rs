//! Random graphs and histories, and all small ones, against the reference.

use std::collections::HashSet;

use floe_core::hash::Digest;
use floe_core::path::StorePath;
use floe_engine::rebuilder::Strategy;
use floe_engine::schedule::{Options, State as Stand};
use proptest::prelude::*;
use proptest::strategy::Strategy as _;

use crate::reference::Reference;
use crate::world::{Request, Spec, World, graph};

/// One request held against the reference. Returns how many builders ran.
pub fn check(world: &mut World, specs: &[Spec], targets: &[usize], jobs: usize) -> usize {
    let before = world.shared.lock().clone();
    let failing = !before.failing.is_empty();
    if before.order_matters {
        return check_divergent(world, specs, targets, jobs);
    }
    let request = world.request(specs, targets, jobs);
    request.assert_whole(world);
    let reference = Reference::run(&request.graph, world.strategy, before);
    let mut once = request.keys.clone();
    once.dedup();
    assert_eq!(once, request.keys, "something ran twice: {:?}", request.ran);
    assert_eq!(
        request.keys,
        reference.keys(),
        "ran {:?}, should have run {:?}",
        request.ran,
        reference.state.log.iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    for (ix, _) in request.graph.nodes() {
        if let (Some(found), Some(expected)) =
            (&request.outcome.outputs[ix.index()], reference.known(ix))
        {
            assert_eq!(**found, *expected, "the outputs of node {}", ix.0);
        }
        if let Stand::Failed(_) | Stand::Skipped(_) | Stand::Cancelled =
            request.outcome.states[ix.index()]
        {
            assert!(failing, "node {} has no outputs", ix.0);
            assert!(!matches!(request.outcome.states[ix.index()], Stand::Cancelled));
        }
    }
    for target in &request.graph.targets {
        let found = request.outcome.outputs[target.node.index()].as_deref();
        let complete = request.outcome.states[target.node.index()].clone();
        match reference.known(target.node) {
            Some(expected) if !failing => assert_eq!(found, Some(expected)),
            Some(_) => {}
            None => assert!(matches!(complete, Stand::Failed(_) | Stand::Skipped(_))),
        }
    }
    let key = |ix: &floe_engine::graph::NodeIx| request.outcome.keys[ix.index()];
    let certain: HashSet<Digest> = request.outcome.certain.iter().filter_map(key).collect();
    let possible: HashSet<Digest> = request.outcome.possible.iter().filter_map(key).collect();
    let ran: HashSet<Digest> = request.keys.iter().copied().collect();
    assert!(failing || certain.is_subset(&ran), "what is certain runs");
    assert!(
        failing || certain.len() == request.outcome.certain.len(),
        "nothing is announced twice"
    );
    assert!(
        ran.iter().all(|key| certain.contains(key) || possible.contains(key)),
        "nothing runs unannounced: {:?}",
        request.ran
    );
    if !failing {
        let again = world.request(specs, targets, jobs);
        assert_eq!(again.ran, Vec::<String>::new(), "asked again, nothing runs");
        // What no target reaches may have come to be known meanwhile, by a twin's run.
        let executed = world.request(specs, targets, jobs);
        assert_eq!(executed.counts.executed, 0, "asked once more, no query is executed");
        assert!(executed.outcome.certain.is_empty() && executed.outcome.possible.is_empty());
        if request.keys.len() % 2 == 1 {
            world.tasks.rest(&mut world.db);
            let rested = world.request(specs, targets, jobs);
            assert_eq!(rested.ran, Vec::<String>::new(), "asked in a new database, nothing runs");
            let outputs = |of: &Request| of.outcome.outputs.clone();
            assert_eq!(outputs(&rested), outputs(&executed), "what was known is known");
        }
    }
    request.keys.len()
}

/// What must hold where builders have given more than one thing, in which order whatever ran.
fn check_divergent(world: &mut World, specs: &[Spec], targets: &[usize], jobs: usize) -> usize {
    let failing = !world.shared.lock().failing.is_empty();
    let request = world.request(specs, targets, jobs);
    request.assert_whole(world);
    let mut once = request.keys.clone();
    once.dedup();
    assert_eq!(once, request.keys, "something ran twice: {:?}", request.ran);
    if !failing {
        assert!(request.outcome.is_complete(&request.graph));
        let again = world.request(specs, targets, jobs);
        again.assert_whole(world);
        assert_eq!(again.ran, Vec::<String>::new(), "asked again, nothing runs");
    }
    request.keys.len()
}

/// A node in bytes: its kind, its operation, and what it uses of which others.
type NodeBytes = (u8, u8, Vec<(u8, u8)>);

/// A history in bytes, so that it shrinks well.
#[derive(Debug, Clone)]
struct History {
    strategy: Strategy,
    /// Whether derivations may share names, and with them results; objects then never go
    /// without their traces, since which of two would make them again depends on the order.
    shared_names: bool,
    nodes: Vec<NodeBytes>,
    steps: Vec<Vec<(u8, u8, u8)>>,
}

fn history() -> impl proptest::strategy::Strategy<Value = History> {
    let node = (any::<u8>(), any::<u8>(), prop::collection::vec(any::<(u8, u8)>(), 0..4));
    let step = prop::collection::vec(any::<(u8, u8, u8)>(), 0..4);
    (
        prop::bool::weighted(0.8),
        any::<bool>(),
        prop::collection::vec(node, 1..30),
        prop::collection::vec(step, 1..10),
    )
        .prop_map(|(content, shared_names, nodes, steps)| History {
            strategy: match content {
                true => Strategy::ContentAddressed,
                false => Strategy::InputAddressed,
            },
            shared_names,
            nodes,
            steps,
        })
}

fn specs(history: &History) -> Vec<Spec> {
    let mut specs: Vec<Spec> = Vec::new();
    for (at, (kind, op, uses)) in history.nodes.iter().enumerate() {
        let fixed = kind % 8 == 0;
        let name = match (fixed, history.shared_names) {
            (true, _) => format!("fixed{at}"),
            (false, true) => format!("n{}", kind % 5),
            (false, false) => format!("n{at}"),
        };
        let outputs = match kind % 5 {
            0 if !fixed => vec![0, 2],
            1 if !fixed => vec![0, 1, 2],
            _ => vec![2],
        };
        let deps = self::uses(&specs, at, uses);
        specs.push(Spec { name, op: u32::from(op % 3), comment: 0, outputs, deps, fixed });
    }
    specs
}

/// What the node at `at` uses, in bytes: which nodes before it, and which of their outputs.
fn uses(specs: &[Spec], at: usize, uses: &[(u8, u8)]) -> Vec<(usize, Vec<usize>)> {
    let mut deps: Vec<(usize, Vec<usize>)> = Vec::new();
    for (dep, used) in uses.iter().filter(|_| at > 0) {
        let dep = usize::from(*dep) % at;
        if deps.iter().all(|(known, _)| *known != dep) {
            let of = &specs[dep].outputs;
            let mut chosen: Vec<usize> =
                of.iter().copied().filter(|output| used >> output & 1 == 1).collect();
            if chosen.is_empty() {
                chosen.push(2);
            }
            deps.push((dep, chosen));
        }
    }
    deps
}

fn made_by(name: &str, path: &StorePath) -> bool {
    path.name().strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn run(history: &History) {
    let mut world = World::new(history.strategy);
    let mut specs = specs(history);
    let mut targets = vec![specs.len() - 1];
    check(&mut world, &specs, &targets, 2);
    for step in &history.steps {
        world.shared.lock().failing.clear();
        for &(what, at, how) in step {
            let at = usize::from(at) % specs.len();
            match what % 15 {
                0 | 1 => specs[at].comment = u32::from(how % 3),
                2 | 3 => specs[at].op = u32::from(how % 3),
                4 => {
                    world.shared.lock().failing.insert(specs[at].name.clone());
                }
                5 => targets = vec![at, usize::from(how) % specs.len()],
                6 => world.restart(),
                7 => {
                    let mut state = world.shared.lock();
                    let nth = usize::from(how) % state.objects.len().max(1);
                    let path: Option<StorePath> = state.objects.iter().nth(nth).cloned();
                    let path = path.as_slice();
                    match history.shared_names || at.is_multiple_of(2) {
                        true => state.forget(path),
                        false => state.objects.retain(|object| !path.contains(object)),
                    }
                    drop(state);
                    world.db.advance_epoch();
                }
                8 => {
                    world.strategy = Strategy::TRACED[usize::from(how) % Strategy::TRACED.len()];
                    world.db.set_strategy(world.strategy);
                }
                9 => {
                    let shared = history.shared_names;
                    specs[at].deps = uses(&specs, at, &[(how, how >> 2), (how >> 4, 7)]);
                    if !shared && !specs[at].fixed {
                        specs[at].name = format!("n{at}.{}", how % 2);
                    }
                }
                10 => world.abandon(&specs, &targets),
                11 => world.request_and_cancel(&specs, &targets, usize::from(how % 4)),
                12 => {
                    let dry =
                        Options { jobs: 1, keep_going: true, dry_run: true, ..Options::default() };
                    world.request_graph(graph(&specs, &targets), dry);
                }
                13 => {
                    // A builder gives something else while its trace stands.
                    let name = specs[at].name.clone();
                    let mut state = world.shared.lock();
                    let fickle = ["", "-dev", "-doc"][usize::from(how % 3)];
                    state.fickle.insert(format!("{name}{fickle}"));
                    let gone = |path: &StorePath| how >= 128 || path.name().len() > name.len();
                    state.objects.retain(|path| !(made_by(&name, path) && gone(path)));
                    // Which of those that share a result makes it again depends on the order.
                    state.order_matters |= history.shared_names;
                    drop(state);
                    world.db.advance_epoch();
                    let request = world.request(&specs, &targets, usize::from(how % 2) + 1);
                    request.assert_whole(&world);
                    world.shared.lock().fickle.clear();
                }
                _ => {
                    let mut state = world.shared.lock();
                    let nth = usize::from(how) % state.traces.len().max(1);
                    let key = state.traces.keys().nth(nth).copied();
                    key.map(|key| state.traces.remove(&key));
                    drop(state);
                    world.db.advance_epoch();
                }
            }
        }
        targets.dedup();
        check(&mut world, &specs, &targets, 2);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_histories(history in history()) {
        run(&history);
    }
}

/// A derivation above an edit uses a node whose object is gone: that may be made again, and nobody asked for it before.
#[test]
fn what_is_gone_below_those_above_an_edit_is_announced() {
    let fixed = (0, 0, Vec::new());
    let mut nodes = vec![fixed.clone(); 6];
    nodes.extend([
        (1, 153, Vec::new()),
        fixed,
        (1, 0, vec![(230, 0), (55, 0)]),
        (1, 0, Vec::new()),
    ]);
    let history = History {
        strategy: Strategy::ContentAddressed,
        shared_names: false,
        nodes,
        // The last comes to use the one before it and the third; the third is lost; what the one before uses is edited.
        steps: vec![vec![(9, 89, 44)], vec![(13, 82, 128)], vec![(2, 76, 16)]],
    };
    run(&history);
}

/// All graphs of up to four nodes, every single edit, and every single loss of an object.
#[test]
fn all_small_histories() {
    for count in 1..=4usize {
        let pairs: Vec<(usize, usize)> =
            (0..count).flat_map(|user| (0..user).map(move |dep| (user, dep))).collect();
        for edges in 0..1u32 << pairs.len() {
            let specs: Vec<Spec> = (0..count)
                .map(|at| {
                    let chosen = pairs.iter().enumerate().filter(|(nth, _)| edges >> nth & 1 == 1);
                    let deps: Vec<usize> = chosen
                        .filter(|(_, (user, _))| *user == at)
                        .map(|(_, (_, dep))| *dep)
                        .collect();
                    Spec::new(&format!("n{at}"), 1, &deps)
                })
                .collect();
            for strategy in Strategy::TRACED {
                for edited in 0..count {
                    for edit in 0..3 {
                        small(&specs, strategy, edited, edit);
                    }
                }
            }
        }
    }
}

fn small(specs: &[Spec], strategy: Strategy, edited: usize, edit: u32) {
    let targets = [specs.len() - 1];
    let mut world = World::new(strategy);
    check(&mut world, specs, &targets, 1);
    let objects: Vec<StorePath> = world.shared.lock().objects.iter().cloned().collect();
    let mut after = specs.to_vec();
    match edit {
        0 => after[edited].comment = 1,
        1 => after[edited].op = 2,
        _ => {
            // A comment and the loss of one object, the trace staying behind.
            after[edited].comment = 1;
            for gone in &objects {
                let mut lossy = World::new(strategy);
                check(&mut lossy, specs, &targets, 1);
                lossy.shared.lock().objects.remove(gone);
                lossy.db.advance_epoch();
                check(&mut lossy, &after, &targets, 1);
            }
        }
    }
    check(&mut world, &after, &targets, 1);
    assert_eq!(check(&mut world, specs, &targets, 1), 0, "a revert runs nothing");
}
