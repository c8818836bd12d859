//! Kill -9 at every change of a file that a collection makes. What roots reach must be kept, what was deleted must be
//! gone for good or still be whole, and the next collection must complete.

use std::collections::BTreeMap;
use std::fs;

use floe_tests::scene::Scene;
use floe_tests::tracer::{Traced, trace};

/// How many of the moments are tried.
const KILLS: usize = 14;

/// A store with `good`, which a root keeps, and garbage: an object with links and directories.
fn scene() -> Scene {
    Scene::with_script(
        "mkdir -p $out/dir; echo equal > $out/one; echo equal > $out/dir/two; ln -s one $out/link",
    )
}

#[track_caller]
fn fill(scene: &Scene) {
    scene.made("bad");
    let rooted =
        scene.world.command("floe").args(["build", "-f"]).arg(&scene.case).arg("good").output();
    assert!(rooted.expect("floe to start").status.success());
}

fn collect(scene: &Scene, kill_at: Option<usize>) -> Traced {
    let root = fs::canonicalize(scene.world.root()).expect("the root");
    trace(scene.world.command("floe").args(["store", "gc"]), &root, kill_at).expect("a traced floe")
}

#[test]
fn killed_at_the_changes_of_a_collection() {
    let scene = scene();
    fill(&scene);
    let whole = collect(&scene, None);
    assert!(whole.status.success(), "{:?}", whole.status);
    let moments = whole.changes.len();
    assert!(whole.changes.contains(&"unlink") && whole.changes.contains(&"rename"), "{whole:?}");
    let mut killed = BTreeMap::new();
    for moment in (0..moments).step_by(moments.div_ceil(KILLS)) {
        fill(&scene);
        let traced = collect(&scene, Some(moment));
        let change = traced.changes.last().copied().unwrap_or("nothing");
        if traced.was_killed() {
            *killed.entry(change).or_insert(0) += 1;
        }
        let what = format!("killed at change {moment} of {moments}, {change}");
        let verify = scene.world.floe(["store", "verify"]);
        assert!(verify.success(), "{what}: floe store verify: {}", verify.describe());
        let good = fs::read_to_string(scene.world.work().join("result"));
        assert_eq!(good.expect("what a root keeps"), "finished work\n", "{what}");
        let again = scene.world.floe(["store", "gc", "--no-wait"]);
        assert!(again.success(), "{what}: collecting again: {}", again.describe());
    }
    scene.good_is_kept();
    scene.store_is_sound();
    // a first collection has a little more to do
    let all: usize = killed.values().sum();
    assert!(all >= 5, "{killed:?} of {moments} moments");
}
