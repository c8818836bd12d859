//! Builders that give something else at each run. Two results of one key never meet in a request:
//! what rests on the one is resolved again when the other is chosen.

use floe_engine::rebuilder::Strategy;

use crate::world::{Request, Spec, World};

/// Builds the steps, loses these objects of a fickle derivation, makes an edit and builds again; and
/// once more, which must run nothing.
fn check(
    mut specs: Vec<Spec>,
    fickle: &[&str],
    lost: &[&str],
    edited: usize,
    expect: &[&str],
) -> (World, Request) {
    let target = specs.len() - 1;
    let mut world = World::new(Strategy::ContentAddressed);
    world.shared.lock().fickle.extend(fickle.iter().map(|name| (*name).to_owned()));
    world.request(&specs, &[target], 1).assert_whole(&world);
    world.shared.lock().lose(lost);
    world.db.advance_epoch();
    specs[edited].comment = 1;
    let request = world.request(&specs, &[target], 1);
    request.assert_whole(&world);
    assert_eq!(request.ran, expect);
    assert!(request.outcome.is_complete(&request.graph));
    for restarted in [false, true] {
        if restarted {
            world.restart();
        }
        let again = world.request(&specs, &[target], 1);
        again.assert_whole(&world);
        assert_eq!(again.ran, Vec::<String>::new(), "asked again, nothing runs");
        assert_eq!(again.outcome.outputs[target], request.outcome.outputs[target]);
    }
    (world, request)
}

/// base is used by side and top, and only top's edit wants its object.
#[test]
fn what_rests_on_the_former_is_built_again() {
    let diamond =
        vec![Spec::new("base", 1, &[]), Spec::new("side", 0, &[0]), Spec::new("top", 0, &[0, 1])];
    let (_, request) = check(diamond, &["base"], &["base"], 2, &["base", "side", "top"]);
    assert_eq!(request.outcome.divergences.len(), 1);
    assert_eq!(request.outcome.choices.len(), 1);
}

/// Two ways lead to base: one reads its object, the other was built long ago.
#[test]
fn however_far_above() {
    let specs = vec![
        Spec::new("base", 1, &[]),
        Spec::new("one", 0, &[0]),
        Spec::new("two", 0, &[1]),
        Spec::new("edited", 0, &[0]),
        Spec::new("top", 0, &[2, 3]),
    ];
    let ran = ["base", "one", "two", "edited", "top"];
    let (_, request) = check(specs, &["base"], &["base"], 3, &ran);
    assert!(request.outcome.certain.len() < ran.len(), "a divergence is not foreseen");
}

/// app rests on the output that is there, top wants the one that is gone, and both are of one run.
#[test]
fn outputs_of_one_run_stay_together() {
    let lib = Spec { outputs: vec![0, 2], ..Spec::new("lib", 1, &[]) };
    let app = Spec::new("app", 0, &[0]);
    let top = Spec { deps: vec![(0, vec![0]), (1, vec![2])], ..Spec::new("top", 0, &[]) };
    let specs = vec![lib, app, top];
    check(specs, &["lib", "lib-dev"], &["lib-dev"], 2, &["lib", "app", "top"]);
}

/// Only what is there comes out otherwise: what was wanted is as it was, and nobody is disturbed.
#[test]
fn what_is_there_stands() {
    let lib = Spec { outputs: vec![0, 2], ..Spec::new("lib", 1, &[]) };
    let app = Spec::new("app", 0, &[0]);
    let top = Spec { deps: vec![(0, vec![0]), (1, vec![2])], ..Spec::new("top", 0, &[]) };
    let specs = vec![lib, app, top];
    let (_, request) = check(specs, &["lib"], &["lib-dev"], 2, &["lib", "top"]);
    assert_eq!(request.outcome.divergences.len(), 1);
    assert!(request.outcome.choices.is_empty());
}

/// Two derivations with one key, wanted at different times.
#[test]
fn twins_have_one_realisation() {
    let specs = vec![
        Spec::new("a", 1, &[]),
        Spec { comment: 7, ..Spec::new("b", 1, &[]) },
        Spec { outputs: vec![0, 2], ..Spec::new("twin", 0, &[0]) },
        Spec { outputs: vec![0, 2], ..Spec::new("twin", 0, &[0]) },
        Spec::new("first", 0, &[2]),
        Spec { deps: vec![(3, vec![0])], ..Spec::new("second", 0, &[]) },
        Spec::new("top", 0, &[1, 4, 5]),
    ];
    let ran = ["twin", "first", "second", "top"];
    check(specs, &["twin", "twin-dev"], &["twin-dev"], 5, &ran);
}

/// Another run's result is taken before a builder runs again.
#[test]
fn a_realisation_that_is_there_is_chosen() {
    let mut specs = vec![Spec::new("base", 1, &[]), Spec::new("top", 0, &[0])];
    let (mut world, _) = check(specs.clone(), &["base"], &["base"], 1, &["base", "top"]);
    let paths: Vec<_> =
        world.shared.lock().traces.values().find(|runs| runs.len() == 2).cloned().expect("base");
    // The one that is preferred goes, the other comes back from elsewhere.
    let mut state = world.shared.lock();
    state.objects.retain(|path| !paths[0].values().any(|gone| gone == path));
    state.objects.extend(paths[1].values().cloned());
    drop(state);
    world.db.advance_epoch();
    specs[1].comment = 2;
    let request = world.request(&specs, &[1], 1);
    request.assert_whole(&world);
    assert_eq!(request.ran, ["top"]);
    assert_eq!(request.outcome.outputs[0].as_deref(), Some(&paths[1]));
    assert!(request.outcome.divergences.is_empty());
}

/// A failure is remembered from one round to the next, and nothing is tried twice.
#[test]
fn failures_outlive_a_round() {
    for jobs in [1, 3] {
        let mut specs = vec![
            Spec::new("base", 1, &[]),
            Spec::new("side", 0, &[0]),
            Spec::new("fails", 0, &[]),
            Spec::new("top", 0, &[0, 1]),
            Spec::new("above", 0, &[2, 3]),
        ];
        let mut world = World::new(Strategy::ContentAddressed);
        world.shared.lock().fickle.insert("base".to_owned());
        world.request(&specs, &[3], 1);
        world.shared.lock().failing.insert("fails".to_owned());
        world.shared.lock().lose(&["base"]);
        world.db.advance_epoch();
        specs[3].comment = 1;
        let request = world.request(&specs, &[3, 4], jobs);
        request.assert_whole(&world);
        let mut keys = request.keys.clone();
        keys.dedup();
        assert_eq!(keys, request.keys, "{:?}", request.ran);
        let word = |at: usize| format!("{:?}", request.outcome.states[at]);
        assert!(word(2).starts_with("Failed"), "{}", word(2));
        assert!(word(4).starts_with("Skipped"), "{}", word(4));
        assert!(word(3).starts_with("Built"), "{}", word(3));
    }
}
