//! Builders that are not deterministic, from outside: what is built never mixes two of their results, and a check finds
//! them.

use std::fs;
use std::path::Path;

use floe_tests::process::run;
use floe_tests::scene::{Scene, fails_with, says};
use floe_tests::{Outcome, World};
use serde_json::Value;

/// `lib` is another at each run; `app` refers to its first output, `top` reads its second and app.
const RANDOM: &str = r#"{ edit ? "one" }:
let
  make = name: outputs: script: inputs: derivation ({
    inherit name outputs;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" script ];
  } // inputs);
  random = "read id < /proc/sys/kernel/random/uuid; ";
in rec {
  lib = make "lib" [ "out" "dev" ] "${random} echo a library of $id > $out; echo headers of $out > $dev" { };
  app = make "app" [ "out" ] "echo a program with $lib > $out" { lib = lib.out; };
  top = make "top" [ "out" ] "read dev < $dev; read app < $app; echo $edit $dev $app > $out" {
    inherit edit app;
    dev = lib.dev;
  };
  steady = make "steady" [ "out" ] "echo always the same > $out" { };
  noise = make "noise" [ "out" ] "${random} echo from $out > $out; echo steady line >> $out; echo $id >> $out" { };
}
"#;

fn build(scene: &Scene, attribute: &str, flags: &[&str]) -> Outcome {
    let mut command = scene.world.command("floe");
    command.args(["build", "-f"]).arg(&scene.case).arg(attribute).args(flags);
    run(&mut command).expect("floe to start")
}

#[track_caller]
fn done(outcome: Outcome) -> Outcome {
    assert!(outcome.success(), "{}", outcome.describe());
    outcome
}

/// The report's last line.
fn counters(world: &World, file: &str) -> Value {
    let text = fs::read_to_string(world.work().join(file)).expect("the report");
    serde_json::from_str(text.lines().last().expect("a line")).expect("a JSON line")
}

/// The base names of an output's closure that end so.
fn closure(world: &World, path: &str, ending: &str) -> Vec<String> {
    let listed = done(world.floe(["path-info", "-r", path]));
    let words = listed.stdout.split_whitespace().map(|word| word.trim_matches(['"', ',']));
    let mut found: Vec<String> = words
        .filter(|word| word.starts_with("/nix/store/") && word.ends_with(ending))
        .map(str::to_owned)
        .collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn no_closure_mixes_two_results_of_one_builder() {
    let scene = Scene::with_text(RANDOM);
    done(build(&scene, "app", &["-o", "keep"]));
    done(build(&scene, "top", &["--no-link"]));
    // app and the library it refers to stay, the headers go.
    done(scene.world.floe(["store", "gc"]));
    let flags = ["--no-link", "--argstr", "edit", "two", "--report", "report"];
    let top = done(build(&scene, "top", &flags));
    let told = counters(&scene.world, "report");
    assert_eq!((&told["builders_run"], &told["divergences"]), (&3.into(), &1.into()), "{told}");
    assert!(top.stderr.contains("'lib' is not deterministic"), "{}", top.describe());
    let path = top.stdout.trim().to_owned();
    let libraries = closure(&scene.world, &path, "-lib");
    assert_eq!(libraries.len(), 1, "{libraries:?}");
    let explained = done(scene.world.floe(["explain", "lib"]));
    assert!(explained.stdout.contains("it is not deterministic: it gave"), "{}", explained.stdout);

    let again = done(build(&scene, "top", &flags));
    assert_eq!(again.stdout.trim(), path);
    assert_eq!(counters(&scene.world, "report")["builders_run"], 0);
    scene.store_is_sound();
}

/// What is gone from the store is known still, so nothing above it runs again.
#[test]
fn a_collected_input_costs_its_users_nothing() {
    let scene = Scene::with_text(RANDOM);
    done(build(&scene, "top", &["-o", "keep"]));
    done(scene.world.floe(["store", "gc"]));
    done(build(&scene, "top", &["--no-link", "--report", "report"]));
    assert_eq!(counters(&scene.world, "report")["builders_run"], 0);
}

#[test]
fn a_check_finds_what_differs() {
    for rebuilder in ["content-addressed", "input-addressed"] {
        let scene = Scene::with_text(RANDOM);
        let flags = ["--no-link", "--check", "--rebuilder", rebuilder];
        done(build(&scene, "steady", &flags));
        let first = done(build(&scene, "noise", &["--no-link", "--rebuilder", rebuilder]));
        let checked = build(&scene, "noise", &[&flags[..], &["--keep-failed"]].concat());
        assert_eq!(checked.status.code(), Some(104), "{}", checked.describe());
        let path = first.stdout.trim();
        // The line that holds its own name is no difference.
        let offset = format!("from {path}\nsteady line\n").len();
        let told = format!("its output 'out' differs from {path}, first at byte ");
        let (_, byte) =
            checked.stderr.split_once(&told).unwrap_or_else(|| panic!("{}", checked.describe()));
        let byte: usize = byte.lines().next().expect("a line").parse().expect("a number");
        assert!((offset..offset + 36).contains(&byte), "{}", checked.describe());
        for which in ["before: ", "now: "] {
            let (_, place) = checked.stderr.split_once(which).expect(which);
            let place = Path::new(place.lines().next().expect("a line"));
            let text = fs::read_to_string(place).expect("both are kept");
            assert!(text.contains("steady line"), "{text}");
        }
        // The first result stands.
        let after = done(build(&scene, "noise", &["--no-link", "--rebuilder", rebuilder]));
        assert_eq!(after.stdout.trim(), path);
        scene.store_is_sound();
    }
}

/// Nix passes this one: a content-addressed output's path says nothing of the run before.
#[test]
fn the_name_nix_build_checks_as_well() {
    let scene = Scene::with_text(RANDOM);
    let check = |attribute: &str| {
        let mut command = scene.world.command("nix-build");
        command.arg(&scene.case).args(["-A", attribute, "--no-out-link", "--check"]);
        run(&mut command).expect("floe to start").status.code()
    };
    assert_eq!((check("steady"), check("noise")), (Some(0), Some(104)));
}

/// What is named as text can still bring two together; then a build says so.
#[test]
fn inputs_that_mix_two_results_are_refused() {
    let scene = Scene::with_text(RANDOM);
    let one = done(build(&scene, "noise", &["-o", "keep"])).stdout.trim().to_owned();
    let checked = build(&scene, "noise", &["--no-link", "--check"]);
    let (_, other) = checked.stderr.rsplit_once('/').expect("where the other lies");
    let other = format!("/nix/store/{}", other.trim());
    let text = format!(
        "let noise = (import ./case.nix {{ }}).noise; in derivation {{\n  name = \"mixed\"; system = \
         builtins.currentSystem; builder = \"/bin/sh\"; args = [ \"-c\" \"echo mixed > $out\" ];\n  one = noise; \
         other = builtins.storePath \"{other}\"; }}"
    );
    let mixed = scene.world.floe(["build", "--no-link", "-E", &text]);
    fails_with(&mixed, 100, &["its inputs mix two realisations of one derivation"]);
    for path in [&one, &other] {
        says(&mixed, &[&format!("{path}, an input of 'mixed' itself")]);
    }
}
