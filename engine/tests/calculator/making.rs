//! Derivations that builders make, in the world of sums, beside the models of the literature: random graphs in which what a
//! maker gives says what else is to be computed, random histories, and the sets of what ran. The models know nothing of the
//! engine, and suspend where it does. Left out are dirty bits, which the model cannot hand on through what it does not know
//! beforehand, and deep traces, which go by what a task may need and not by what it did.

use std::collections::BTreeMap;
use std::sync::Arc;

use floe_core::path::{OutputName, StorePath};
use floe_engine::dynamic::{Discover, Discovery, DynamicError, Found, Limits, Place};
use floe_engine::graph::{Graph, NodeIx, Target};
use floe_engine::rebuilder::Strategy;
use floe_engine::recipe::Recipe;
use floe_engine::schedule::Options;
use floe_engine::scheduling::Scheduling;
use floe_papers::made::{Making, makings};
use floe_papers::oracle::Oracle;
use floe_papers::sums::{Happening, History};
use proptest::prelude::*;

use crate::world::{OUTPUTS, Request, Shared, Spec, World};

/// The place of `out` among the outputs of the calculators' world, which they add.
const OUT: usize = 2;

fn out() -> OutputName {
    OutputName::new(OUTPUTS[OUT]).expect("a valid name")
}

/// A step that gives so much and what it reads.
fn spec(name: &str, adds: u64, reads: &[usize]) -> Spec {
    Spec::new(name, ((adds + 3 - OUT as u64) % 3) as u32, reads)
}

/// Reads what a maker of this world gave: a number says what there is to compute.
struct Reading<'a> {
    making: &'a Making,
    shared: &'a Shared,
}

impl Discover for Reading<'_> {
    fn discover(
        &self,
        drv: &StorePath,
        known: &dyn Fn(&StorePath) -> Option<NodeIx>,
        room: usize,
    ) -> Result<Discovery, DynamicError> {
        if let Some(ix) = known(drv) {
            return Ok(Discovery { found: Vec::new(), root: Place::Old(ix), stray: None });
        }
        if room == 0 {
            return Err(DynamicError::Many(room));
        }
        let maker: u16 = drv.name().trim_start_matches('n').parse().expect("a maker's number");
        let made = self.making.made.iter().find(|made| made.maker == maker).expect("it makes one");
        let gives = self.shared.lock().values[drv];
        let read = usize::from(made.reads[gives as usize]);
        let recipe = Arc::new(spec(&format!("m{maker}"), u64::from(gives), &[read]).recipe());
        let deps = vec![Place::Old(NodeIx(read as u32))];
        let found = vec![Found { recipe, deps, drv: Some(drv.clone()) }];
        Ok(Discovery { found, root: Place::New(0), stray: None })
    }
}

/// The steps, then for each that is made what stands for it, and its user.
fn graph(making: &Making, targets: &[u16]) -> Graph {
    let mut graph = Graph::default();
    for (at, sum) in making.sums.0.iter().enumerate() {
        let reads: Vec<usize> = sum.reads.iter().map(|(step, _)| usize::from(*step)).collect();
        let mut spec = spec(&format!("n{at}"), sum.adds, &reads);
        spec.comment = sum.comment as u32;
        let deps: Vec<NodeIx> = reads.iter().map(|&read| NodeIx(read as u32)).collect();
        graph.add(Arc::new(spec.recipe()), &deps);
    }
    for made in &making.made {
        let name = format!("n{}.drv^out", made.maker);
        let dynamic = Recipe::dynamic(&name, out(), out());
        let dynamic = graph.add(Arc::new(dynamic), &[NodeIx(u32::from(made.maker))]);
        let user = spec(&format!("u{}", made.maker), made.adds, &[dynamic.index()]);
        graph.add(Arc::new(user.recipe()), &[dynamic]);
    }
    let target = |step: &u16| Target {
        attr: format!("t{step}"),
        node: NodeIx(u32::from(*step)),
        outputs: vec![out()],
    };
    graph.targets = targets.iter().map(target).collect();
    graph
}

/// The step of a derivation's name.
fn step(making: &Making, name: &str) -> u16 {
    let (kind, number) = name.split_at(1);
    let number: u16 = number.parse().expect("the names of these steps end in numbers");
    let nth = || making.made.iter().position(|made| made.maker == number).expect("it makes one");
    match kind {
        "n" => number,
        "m" => making.made_step(nth()),
        _ => making.user(nth()),
    }
}

/// Both after a history, build for build.
fn agree(
    (mut making, history): (Making, History),
    strategy: Strategy,
    mut oracle: Oracle,
    everything: bool,
    scheduling: Scheduling,
) -> Result<(), TestCaseError> {
    let mut world = World::new(strategy);
    let users: Vec<u16> = (0..making.made.len()).map(|nth| making.user(nth)).collect();
    for turn in &history.turns {
        for happening in &turn.happenings {
            making.sums.apply(happening);
            if matches!(happening, Happening::Restart) {
                world.restart();
            }
        }
        // a task that goes by another name as another is asked for is another task, for those who remember tasks
        let own: Vec<u16> = match everything {
            true => (0..making.sums.0.len() as u16).collect(),
            false => turn.targets.clone(),
        };
        let targets: Vec<u16> = own.into_iter().chain(users.iter().copied()).collect();
        let options = Options { jobs: 2, keep_going: true, scheduling, ..Options::default() };
        let shared = Arc::clone(&world.shared);
        let reading = Reading { making: &making, shared: &shared };
        let request = world.request_reading(graph(&making, &targets), &reading, options);
        let mut ran: Vec<u16> = request.ran.iter().map(|name| step(&making, name)).collect();
        ran.sort_unstable();
        let expected = oracle.build_making(&making, &targets).expect("it suspends");
        prop_assert_eq!(ran, expected.ran, "what ran, by the engine and by the model");
        request.assert_whole(&world);
        for (nth, user) in users.iter().enumerate() {
            let value = value(&request, &world, *user);
            prop_assert_eq!(value, Some(making.value(nth)), "the engine's result");
            prop_assert_eq!(oracle.value((*user, 0)), value, "the model's result");
        }
        let again = world.request_reading(
            graph(&making, &targets),
            &Reading { making: &making, shared: &shared },
            Options { jobs: 1, ..Options::default() },
        );
        prop_assert_eq!(again.ran, Vec::<String>::new(), "nothing runs twice");
    }
    Ok(())
}

fn value(request: &Request, world: &World, step: u16) -> Option<u64> {
    let outputs: &BTreeMap<OutputName, StorePath> =
        request.outcome.outputs[usize::from(step)].as_deref()?;
    world.shared.lock().values.get(outputs.get(&out())?).map(|value| u64::from(*value))
}

fn model(name: &str) -> Oracle {
    Oracle::new(name).expect("a model of this name").suspending()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_made_runs_as_the_model_says(making in makings(8, 8), restarting: bool) {
        let scheduling = if restarting { Scheduling::Restarting } else { Scheduling::Suspending };
        let oracle = model("floe, content-addressed");
        agree(making, Strategy::ContentAddressed, oracle, false, scheduling)?;
    }

    #[test]
    fn classic_rebuilders_run_what_is_made_as_their_models_do(making in makings(6, 8)) {
        for (strategy, name) in [
            ("verifying", "verifying traces, suspending"),
            ("step", "step traces, restarting"),
            ("constructive", "CloudBuild"),
            ("depth-1", "traces of depth 1"),
        ] {
            let strategy: Strategy = strategy.parse().expect("a rebuilder of this name");
            agree(making.clone(), strategy, model(name), true, Scheduling::Suspending)
                .map_err(|error| TestCaseError::fail(format!("{strategy}: {error}")))?;
        }
    }
}

/// A bound on what is found stops whoever waits for it, and nobody else.
#[test]
fn bounds_stop_who_waits() {
    let sums = (0..2).map(|_| floe_papers::sums::Sum {
        adds: 1,
        comment: 0,
        outputs: vec![0],
        reads: Vec::new(),
    });
    let sums = floe_papers::sums::Sums(sums.collect());
    let made = vec![floe_papers::made::Made { maker: 0, reads: [1; 3], adds: 0 }];
    let making = Making { sums, made };
    let mut world = World::new(Strategy::ContentAddressed);
    let shared = Arc::clone(&world.shared);
    let reading = Reading { making: &making, shared: &shared };
    let graph = graph(&making, &[1, 3]);
    let dynamic = Limits { max_derivations: 0, ..Limits::default() };
    let options = Options { keep_going: true, dynamic, ..Options::default() };
    let request = world.request_reading(graph.clone(), &reading, options);
    assert_eq!(request.ran, ["n0", "n1"]);
    assert!(request.outcome.outputs[1].is_some() && request.outcome.outputs[3].is_none());
    let request = world.request_reading(graph, &reading, Options::default());
    assert_eq!(request.ran, ["m0", "u0"]);
}
