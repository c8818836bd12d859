//! Kill -9 at every change of a file: a build of a derivation with two outputs is run under a tracer and killed before
//! the n-th call that changes files, for n over the whole of it. Whatever was left must be sound, what was finished
//! before must be kept, and the build must then complete.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use floe_tests::fixture;
use floe_tests::oracle::busybox;
use floe_tests::scene::Scene;
use floe_tests::tracer::{Traced, trace};

/// How many tests share the moments.
const SHARES: usize = 6;

/// A case whose attribute `bad` is another derivation for each `n`: files that are equal and become links, a name that
/// holds a digest, references to itself, to its sister and to `good`.
fn scene() -> Scene {
    let text = format!(
        "{{ n }}: with import {} {{ busybox = {}; }};\nrec {{\n  good = ca \"good\" \"echo finished work > $out\";\n  \
         bad = ca' {{ inherit good n; outputs = [ \"out\" \"dev\" ]; }} \"bad\" ''\n\
         mkdir -p $out/dir $dev; echo $n equal > $out/one; echo $n equal > $out/dir/two; chmod 755 $out/dir/two\n\
         echo $n equal > $out/three; ln -s $dev $out/link; echo $out $good > $out/dir/self; echo $n > $dev/$n\n'';\n}}\n",
        fixture::folder().join("ca/lib.nix").display(),
        busybox().display()
    );
    let scene = Scene::with_text(&text);
    let outcome = scene.build("good", &["--argstr", "n", "none"]);
    assert!(outcome.success(), "{}", outcome.describe());
    scene
}

/// Builds the n-th `bad` under the tracer.
fn traced(scene: &Scene, n: &str, kill_at: Option<usize>) -> Traced {
    let mut command = scene.build_command("bad", &["--argstr", "n", n, "-j", "1"]);
    let root = fs::canonicalize(scene.world.root()).expect("the root");
    trace(&mut command, &root, kill_at).expect("a traced floe")
}

/// What must hold after a death, and that the build then completes without anything finished being done again.
fn is_sound_and_completes(scene: &Scene, n: &str, what: &str) {
    let verify = scene.world.floe(["store", "verify"]);
    assert!(verify.success(), "{what}: floe store verify: {}", verify.describe());
    let report = scene.world.work().join("report.jsonl");
    let report_flag = report.to_string_lossy();
    let flags = ["--argstr", "n", n, "--no-wait", "--report", &*report_flag, "good"];
    let outcome = scene.build("bad", &flags);
    assert!(outcome.success(), "{what}: building again: {}", outcome.describe());
    let lines = fs::read_to_string(&report).expect("the report");
    let good = lines.lines().find(|line| line.contains("\"name\":\"good\"")).expect("its line");
    assert!(good.contains("\"reused\""), "{what}: finished work was lost: {good}");
    let out = scene.world.physical(outcome.lines()[0]);
    let read = |file: &str| fs::read_to_string(out.join(file)).expect("a file of the output");
    assert_eq!(read("dir/two"), format!("{n} equal\n"), "{what}");
    assert!(read("dir/self").contains(outcome.lines()[0]), "{what}");
    let sister = fs::read_link(out.join("link")).expect("a link");
    let sister = scene.world.physical(&sister.to_string_lossy());
    assert_eq!(fs::read_to_string(sister.join(n)).expect("a file"), format!("{n}\n"), "{what}");
}

/// Kills at every `SHARES`-th moment.
fn kill_at_share(share: usize) {
    let scene = scene();
    let whole = traced(&scene, "whole", None);
    assert!(whole.status.success(), "{:?}", whole.status);
    let moments = whole.changes.len();
    let names: BTreeSet<_> = whole.changes.iter().copied().collect();
    for kind in ["write", "create", "mkdir", "rename", "link", "unlink", "chmod", "utimens", "sync"]
    {
        assert!(names.contains(kind), "a registration without a {kind}: {:?}", whole.changes);
    }
    let mut killed = BTreeMap::new();
    for moment in (share..moments).step_by(SHARES) {
        let n = format!("at-{moment}");
        let traced = traced(&scene, &n, Some(moment));
        let change = traced.changes.last().copied().unwrap_or("nothing");
        if traced.was_killed() {
            *killed.entry(change).or_insert(0) += 1;
        }
        let what = format!("killed at change {moment} of {moments}, {change}");
        is_sound_and_completes(&scene, &n, &what);
    }
    scene.store_is_sound();
    // threads may make a few changes fewer than in the first run
    let all: usize = killed.values().sum();
    assert!(all + 4 >= moments / SHARES, "{all} kills at a share of {moments} moments: {killed:?}");
}

#[test]
fn killed_at_a_first_share_of_all_changes() {
    kill_at_share(0);
}

#[test]
fn killed_at_a_second_share_of_all_changes() {
    kill_at_share(1);
}

#[test]
fn killed_at_a_third_share_of_all_changes() {
    kill_at_share(2);
}

#[test]
fn killed_at_a_fourth_share_of_all_changes() {
    kill_at_share(3);
}

#[test]
fn killed_at_a_fifth_share_of_all_changes() {
    kill_at_share(4);
}

#[test]
fn killed_at_a_sixth_share_of_all_changes() {
    kill_at_share(5);
}
