//! Every law that a system keeps, over at least ten thousand random cases a law; and every law that it does not keep,
//! refuted. Which is which stands in `src/claims`.

use floe_papers::claims::{claimed, keepers};
use floe_papers::laws::retarget::{audits, certificates};
use floe_papers::laws::{CERTIFIED, LAWS, Law, law};
use floe_papers::rebuilder::{Grain, Retargeting};
use floe_papers::scheduler::Topological;
use floe_papers::system::{System, View};
use floe_papers::systems::{MODELS, OTHERS};

/// Cases a law.
const CASES: u32 = 10_000;

/// What so many cases may not refute with the first seed: the seed and the cases with which longer searches did.
const RARE: [(&str, &str, u64, u32); 5] = [
    ("minimal", "traces of depth 2", 12_615_287_109_035_762_286, 250),
    ("minimal, restarts forgiven", "traces of depth 2", 12_615_287_109_035_762_286, 250),
    ("parallel", "approximate dirty bits", 14_127_603_245_020_401_121, 250),
    ("parallel, same runs", "traces of depth 2", 9_142_202_184_154_139_006, 250),
    ("parallel, dynamic", "traces of depth 2", 3_676_702_420_773_574_599, 250),
];

#[track_caller]
fn check(name: &str) {
    let law = law(name).expect("a law of this name");
    // a thousand for each system and ten thousand for all together
    let cases = CASES.div_ceil(keepers(law).len() as u32).max(1000);
    for model in MODELS.iter().chain(&OTHERS) {
        if claimed(law, model) {
            if let Some(found) = law.refute(cases, 1, &model.make) {
                panic!("{} does not keep '{name}': {found}", model.name);
            }
        } else {
            let rare = RARE.iter().find(|rare| (rare.0, rare.1) == (name, model.name));
            let (seed, cases) = rare.map_or((1, CASES), |rare| (rare.2, rare.3));
            let found = law.refute(cases, seed, &model.make);
            assert!(found.is_some(), "{} keeps '{name}' in {cases} cases", model.name);
        }
    }
}

macro_rules! laws {
    ($($test:ident: $name:literal,)*) => {
        $(#[test] fn $test() { check($name); })*

        #[test]
        fn every_law_is_checked() {
            let checked = [$($name),*];
            assert!(LAWS.iter().all(|law| checked.contains(&law.name)));
        }
    };
}

laws! {
    correct: "correct",
    dynamic: "dynamic dependencies",
    self_tracking: "self-tracking",
    volatile: "volatile tasks",
    names: "names",
    stale: "no stale answer",
    stale_dynamic: "no stale answer, dynamic",
    non_determinism: "non-determinism",
    frankenbuild: "no frankenbuild",
    minimal: "minimal",
    minimal_runs: "minimal, restarts forgiven",
    minimal_dynamic: "minimal, dynamic",
    cutoff: "early cutoff",
    observed_cutoff: "observed cutoff",
    normalised_cutoff: "normalised cutoff",
    observed_normalised_cutoff: "observed, normalised cutoff",
    idempotent: "idempotent",
    revert: "revert costs nothing",
    sharing: "sharing costs nothing",
    shallow: "shallow",
    eviction: "eviction",
    parallel: "parallel",
    parallel_runs: "parallel, same runs",
    parallel_dynamic: "parallel, dynamic",
}

fn retargeting(grain: Grain) -> System {
    let view = View { self_tracking: true, outputs_apart: false };
    System::new(Topological, Retargeting::new(grain), view)
}

#[test]
fn certificates_keep_retargeting_right() {
    for grain in [Grain::Whole, Grain::Looks] {
        let found = CERTIFIED.refute(CASES, 1, &|| retargeting(grain));
        assert_eq!(found, None);
    }
}

#[test]
fn without_certificates_retargeting_goes_wrong() {
    let law = Law { check: law("correct").expect("a law").check, ..CERTIFIED };
    for grain in [Grain::Whole, Grain::Looks] {
        assert!(law.refute(CASES, 1, &|| retargeting(grain)).is_some());
    }
}

#[test]
fn audits_catch_as_often_as_they_should() {
    for (wrong, per_mille) in [(1, 250), (5, 100), (20, 50)] {
        let rate = audits(wrong, per_mille, CASES);
        assert!(rate.agrees(5.0), "{wrong} wrong at {per_mille} in 1000: {rate:?}");
    }
}

#[test]
fn certificates_catch_as_often_as_they_should() {
    for (minds, trials) in [(1, 1), (4, 1), (4, 3), (20, 5)] {
        let rate = certificates(minds, trials, CASES);
        assert!(rate.agrees(5.0), "one name in {minds}, {trials} trials: {rate:?}");
    }
}
