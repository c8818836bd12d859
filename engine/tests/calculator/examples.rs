//! Small histories whose log of queries and builds is written out.

use std::collections::HashMap;

use floe_engine::rebuilder::Strategy;
use floe_engine::schedule::{Options, State};
use salsa::plumbing::AsId;

use crate::world::{Request, Spec, World, graph};

/// base <- mid <- top, and a side that top uses too.
fn fixture() -> Vec<Spec> {
    vec![
        Spec::new("base", 1, &[]),
        Spec::new("mid", 0, &[0]),
        Spec::new("side", 2, &[]),
        Spec::new("top", 0, &[1, 2]),
    ]
}

/// What ran and which queries were executed, by name.
fn log(world: &World, request: &Request) -> String {
    let names: HashMap<String, String> = request
        .nodes
        .iter()
        .zip(request.graph.nodes())
        .map(|(node, (_, of))| (format!("({:?})", node.as_id()), format!(" {}", of.recipe.name)))
        .collect();
    let mut queries: Vec<String> = Vec::new();
    for query in world.queries.lock().expect("no panic").iter() {
        let at = query.find('(').expect("a key");
        queries.push(format!("{}{}", &query[..at], names[&query[at..]]));
    }
    format!("ran [{}]; asked [{}]", request.ran.join(", "), queries.join(", "))
}

/// Builds the fixture, changes it, builds it again, and compares the second log.
fn check(strategy: Strategy, change: impl FnOnce(&mut Vec<Spec>, &mut World), expect: &str) {
    let mut world = World::new(strategy);
    let mut specs = fixture();
    world.request(&specs, &[3], 1);
    change(&mut specs, &mut world);
    let request = world.request(&specs, &[3], 1);
    assert_eq!(log(&world, &request), expect);
}

#[test]
fn nothing_changed() {
    check(Strategy::ContentAddressed, |_, _| {}, "ran []; asked []");
    check(Strategy::ContentAddressed, |_, world| world.db.new_revision(), "ran []; asked []");
}

#[test]
fn a_comment_stops_at_its_own_output() {
    check(
        Strategy::ContentAddressed,
        |specs, _| specs[0].comment = 1,
        "ran [base]; asked [address base, resolved base]",
    );
}

#[test]
fn a_real_change_goes_as_far_as_it_matters() {
    check(
        Strategy::ContentAddressed,
        |specs, _| specs[2].op = 0,
        "ran [side, top]; asked [address side, resolved side, resolved top]",
    );
}

/// What was made is known though it is gone: it is made again for who runs, and for nobody else.
#[test]
fn a_lost_object_is_made_again_for_who_runs() {
    let lose_base = |world: &mut World| {
        world.shared.lock().lose(&["base"]);
        world.db.advance_epoch();
    };
    check(Strategy::ContentAddressed, |_, world| lose_base(world), "ran []; asked []");
    check(
        Strategy::ContentAddressed,
        |specs, world| {
            specs[1].comment = 1;
            lose_base(world);
        },
        "ran [base, mid]; asked [address mid, resolved mid]",
    );
}

/// The outputs of one derivation are lost and wanted one by one.
#[test]
fn an_output_is_made_again_for_its_own_users() {
    let mut world = World::new(Strategy::ContentAddressed);
    let mut specs = vec![
        Spec { outputs: vec![0, 2], ..Spec::new("lib", 1, &[]) },
        Spec::new("app", 0, &[0]),
        Spec { deps: vec![(0, vec![0])], ..Spec::new("tool", 0, &[]) },
        Spec::new("top", 0, &[1, 2]),
    ];
    world.request(&specs, &[3], 1);
    world.shared.lock().lose(&["lib-dev"]);
    world.db.advance_epoch();
    specs[1].comment = 1;
    assert_eq!(world.request(&specs, &[3], 1).ran, ["app"], "which reads what is there");
    specs[2].comment = 1;
    assert_eq!(world.request(&specs, &[3], 1).ran, ["lib", "tool"]);
}

#[test]
fn input_addressing_builds_all_above() {
    check(
        Strategy::InputAddressed,
        |specs, _| specs[0].comment = 1,
        "ran [base, mid, top]; asked [address base, address mid, address top, \
         resolved base, resolved mid, resolved top]",
    );
}

/// Two derivations with one resolved key: one run, whether they start together or not.
#[test]
fn equal_keys_share_a_run() {
    let mut world = World::new(Strategy::ContentAddressed);
    let specs = vec![
        Spec::new("a", 1, &[]),
        Spec::new("b", 1, &[]),
        Spec::new("same", 0, &[0]),
        Spec::new("same", 0, &[0]),
        Spec::new("late", 0, &[1]),
        Spec::new("top", 0, &[2, 3, 4]),
    ];
    for jobs in [1, 4] {
        let request = world.request(&specs, &[5], jobs);
        assert_eq!(request.ran.iter().filter(|name| *name == "same").count(), 1);
        assert_eq!(request.outcome.builders_run, 5);
        world = World::new(Strategy::ContentAddressed);
    }
}

/// What only has to be known is not made again: base's object is gone, its trace stands, and
/// neither of its users runs.
#[test]
fn paths_are_enough_for_who_does_not_run() {
    let mut world = World::new(Strategy::ContentAddressed);
    let mut specs =
        vec![Spec::new("leaf", 1, &[]), Spec::new("base", 0, &[0]), Spec::new("top", 0, &[1])];
    world.request(&specs, &[2], 1);
    specs[0].comment = 1;
    let mut state = world.shared.lock();
    state.objects.retain(|path| path.name() != "base");
    drop(state);
    world.db.advance_epoch();
    assert_eq!(world.request(&specs, &[2], 1).ran, ["leaf"]);
}

/// A node that was cut off is known again as it was, and so is everything above it; what moved is
/// resolved, and so are those who use it themselves.
#[test]
fn only_users_of_what_moved_are_asked() {
    check(
        Strategy::ContentAddressed,
        |specs, world| {
            // Known by trace when it is asked for again.
            specs[1].op = 2;
            world.request(specs, &[3], 1);
            specs[1].op = 0;
        },
        "ran []; asked [address mid, resolved mid, resolved top]",
    );
}

/// Another shape keeps what is known of the tasks that are in both.
#[test]
fn a_new_edge_is_all_that_is_asked() {
    check(
        Strategy::ContentAddressed,
        |specs, _| specs[2] = Spec::new("side", 0, &[0]),
        "ran [side, top]; asked [address side, resolved side, resolved top]",
    );
}

#[test]
fn a_failure_stops_the_request_or_only_its_users() {
    for (keep_going, side) in [(true, true), (false, false)] {
        let mut world = World::new(Strategy::ContentAddressed);
        world.shared.lock().failing.insert("base".to_owned());
        let graph = graph(&fixture(), &[3]);
        let request = world.request_graph(
            graph,
            Options { jobs: 1, keep_going, dry_run: false, ..Options::default() },
        );
        assert_eq!(request.ran.contains(&"side".to_owned()), side, "{:?}", request.ran);
        let states = &request.outcome.states;
        assert!(matches!(states[0], State::Failed(_)));
        assert!(matches!(states[1], State::Skipped(_)));
        assert!(matches!(states[3], State::Skipped(_)));
        assert_eq!(matches!(states[2], State::Cancelled), !side);
    }
}

#[test]
fn a_dry_run_runs_nothing_and_gives_bounds() {
    let mut world = World::new(Strategy::ContentAddressed);
    let dry = Options { jobs: 1, keep_going: true, dry_run: true, ..Options::default() };
    let request = world.request_graph(graph(&fixture(), &[3]), dry.clone());
    assert_eq!(request.ran, Vec::<String>::new());
    let names =
        |of: &[floe_engine::graph::NodeIx]| -> Vec<u32> { of.iter().map(|ix| ix.0).collect() };
    assert_eq!(names(&request.outcome.certain), [0, 2]);
    assert_eq!(names(&request.outcome.possible), [1, 3]);
    // An input that nobody changed counts as possible when its object is gone.
    let mut specs = fixture();
    world.request(&specs, &[3], 1);
    world.shared.lock().objects.retain(|path| path.name() != "side");
    specs[0].comment = 1;
    world.db.advance_epoch();
    let request = world.request_graph(graph(&specs, &[3]), dry);
    assert_eq!(names(&request.outcome.certain), [0]);
    assert_eq!(names(&request.outcome.possible), [1, 2, 3]);
}

#[test]
fn task_ids_are_unique_and_stable() {
    let specs = vec![Spec::new("x", 0, &[]), Spec::new("x", 1, &[]), Spec::new("y", 0, &[0, 1])];
    let mut graph = graph(&specs, &[2, 1, 0]);
    assert_eq!(ids(&graph), ["t0", "t1", "t2"]);
    graph.targets.truncate(1);
    assert_eq!(ids(&graph), ["t2/x", "t2/x#2", "t2"]);
    graph.targets.clear();
    assert_eq!(ids(&graph), ["x", "x##2", "y"]);
    let mut same = crate::world::graph(&specs, &[0, 1, 2]);
    same.targets.iter_mut().for_each(|target| target.attr = "a".to_owned());
    assert_eq!(ids(&same), ["a", "a##2", "a##3"]);
}

fn ids(graph: &floe_engine::graph::Graph) -> Vec<String> {
    graph.task_ids().iter().map(|id| id.to_string()).collect()
}
