//! The rebuilders and schedulers of the literature on real derivations, side by side: `floe matrix`.

use std::collections::BTreeMap;

use floe_tests::World;
use floe_tests::scene::fails_saying;
use serde_json::Value;

/// Three steps above a source, and one whose expression reads what the middle one made.
const EXPRESSION: &str = r#"{ comment ? "", word ? "one" }:
let
  make = name: script: inputs: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" script ];
  } // inputs);
in rec {
  base = make "base" "read line < $src; echo $line $word > $out" { src = ./source.txt; inherit comment word; };
  middle = make "middle" "read line < $base; echo middle of $line > $out" { inherit base; };
  top = make "top" "read line < $middle; echo top of $line > $out" { inherit middle; };
  read = make "read" "echo $line > $out" { line = builtins.readFile middle; };
}
"#;

fn world(script: &str) -> World {
    let world = World::new();
    world.file("default.nix", EXPRESSION);
    world.file("source.txt", "a source\n");
    world.file("script", script);
    world
}

/// Builders run in each step, by rebuilder and scheduler; and the restarts of all steps.
fn matrix(world: &World, flags: &[&str]) -> BTreeMap<String, (Vec<u64>, u64)> {
    let arguments: Vec<&str> =
        ["matrix", "script", "--json"].iter().chain(flags).copied().collect();
    let outcome = world.floe(arguments);
    assert!(outcome.success(), "{}", outcome.describe());
    let rows: Vec<Value> = serde_json::from_str(&outcome.stdout).expect("JSON");
    let row = |row: &Value| {
        let name = format!("{} {}", row["rebuilder"].as_str()?, row["scheduler"].as_str()?);
        let steps = row["steps"].as_array()?;
        let count = |name: &str| steps.iter().filter_map(|step| step[name].as_u64()).collect();
        let (builds, restarts): (Vec<u64>, Vec<u64>) = (count("builds"), count("restarts"));
        Some((name, (builds, restarts.iter().sum())))
    };
    rows.iter().map(|line| row(line).expect("the fields")).collect()
}

#[test]
fn rebuilders_part_where_the_literature_says() {
    let world = world(
        "build: -f . top\ncold:\nagain:\ncomment: --argstr comment x\nback:\nreal: --argstr word two\nback:\n\
         touch: $ touch -d 2001-01-01 source.txt\n",
    );
    let found = matrix(&world, &[]);
    let builds = |rebuilder: &str| found[&format!("{rebuilder} suspending")].0.clone();
    assert_eq!(builds("content-addressed"), [3, 0, 1, 0, 3, 0, 0]);
    assert_eq!(builds("input-addressed"), [3, 0, 3, 0, 3, 0, 0]);
    assert_eq!(builds("dirty-bit"), [3, 0, 3, 3, 3, 3, 3]);
    assert_eq!(builds("verifying"), [3, 0, 1, 1, 3, 3, 0]);
    assert_eq!(builds("step"), [3, 0, 1, 1, 3, 3, 0]);
    assert_eq!(builds("constructive"), [3, 0, 1, 0, 3, 0, 0]);
    assert_eq!(builds("deep-constructive"), [3, 0, 3, 0, 3, 0, 0]);
    assert_eq!(builds("depth-1"), [3, 0, 1, 0, 3, 0, 0]);
    assert_eq!(builds("depth-2"), [3, 0, 1, 0, 3, 0, 0]);
    let table = world.floe(["matrix", "script", "--rebuilder", "verifying"]);
    assert!(
        table.stdout.starts_with("rebuilder  scheduler   cold  again  comment"),
        "{}",
        table.stdout
    );
}

#[test]
fn schedulers_part_where_evaluation_builds() {
    let world = world("build: -f . read\ncold:\ncomment: --argstr comment x\n");
    let all = ["suspending", "restarting", "topological"];
    let mut flags = vec!["--rebuilder", "content-addressed"];
    all.iter().for_each(|name| flags.extend(["--scheduler", name]));
    let found = matrix(&world, &flags);
    let of = |name: &str| found[&format!("content-addressed {name}")].clone();
    assert_eq!(of("suspending").1, 0);
    // Once in each step: a new process does not know what was imported before.
    assert_eq!(of("restarting").1, 2);
    assert_eq!(of("topological").0, [0, 0], "both steps fail");
    let refused =
        world.floe(["build", "-f", ".", "read", "--no-link", "--scheduler", "topological"]);
    fails_saying(&refused, &["the topological scheduler must know what depends on what"]);
    let one = |scheduler: &str| {
        let built = world.floe(["build", "-f", ".", "read", "--no-link", "--scheduler", scheduler]);
        assert!(built.success(), "{}", built.describe());
        built.stdout
    };
    assert_eq!(one("suspending"), one("restarting"));
}

/// A script that cannot be read says where.
#[test]
fn a_script_says_what_is_wrong_with_it() {
    let world = world("build: -f . top\nwhat\n");
    fails_saying(&world.floe(["matrix", "script"]), &["line 2: 'what' is no step"]);
    let unknown = world.floe(["build", "-f", ".", "top", "--rebuilder", "hopeful"]);
    fails_saying(&unknown, &["there is no rebuilder 'hopeful'; choose content-addressed"]);
}
