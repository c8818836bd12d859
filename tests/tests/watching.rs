//! What is recorded of an evaluation beside its value: profiles and statistics, under floe's name and under Nix's.

use std::fs;

use floe_tests::World;
use floe_tests::process::run;
use serde_json::Value;

const FIB: &str = "let fib = n: if n < 2 then n else fib (n - 1) + fib (n - 2); in fib 15";

fn world() -> World {
    let world = World::new();
    world.file("fib.nix", FIB);
    world
}

/// Numbers of milliseconds taken out.
fn without_times(text: &str) -> String {
    let word = |word: &str| word.parse::<f64>().map_or(word.to_owned(), |_| "N".to_owned());
    let line = |line: &str| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_profile_in_both_forms() {
    let world = world();
    let work = world.work().display().to_string();
    let outcome = world.floe(["eval", "-f", "fib.nix", "--profile", "out.folded"]);
    assert_eq!(
        (outcome.success(), outcome.stdout.as_str()),
        (true, "610\n"),
        "{}",
        outcome.describe()
    );
    let table = without_times(&outcome.stderr).replace(&work, "WORK");
    let mut rows: Vec<&str> = table.lines().collect();
    rows.sort_unstable();
    insta::assert_snapshot!("profile-table", rows.join("\n"));
    let stacks = fs::read_to_string(world.work().join("out.folded")).expect("a profile");
    for line in stacks.lines() {
        let (stack, count) = line.rsplit_once(' ').expect("a stack and a count");
        assert!(stack.starts_with("(evaluation)") && count.parse::<u64>().is_ok(), "{line}");
    }
    assert!(stacks.contains(&format!(";fib {work}/fib.nix:1:11;fib ")), "{stacks}");
    let outcome = world.floe(["eval", "-f", "fib.nix", "--profile", "out.json"]);
    assert!(outcome.success(), "{}", outcome.describe());
    let trace = fs::read(world.work().join("out.json")).expect("a profile");
    let trace: Value = serde_json::from_slice(&trace).expect("JSON");
    let calls = trace["traceEvents"].as_array().expect("events").iter();
    assert_eq!(calls.filter(|event| event["name"] == "fib").count(), 1973);
}

#[test]
fn a_failed_evaluation_has_a_profile_and_a_refused_one_has_none() {
    let world = world();
    let args = [
        "eval",
        "-E",
        "let f = x: throw \"no\"; in f 1",
        "--profile",
        "out",
        "--profile-format",
        "chrome",
    ];
    let outcome = world.floe(args);
    assert_eq!(outcome.status.code(), Some(1), "{}", outcome.describe());
    let trace = fs::read(world.work().join("out")).expect("a profile");
    assert!(serde_json::from_slice::<Value>(&trace).is_ok());
    let outcome = world.floe(["eval", "-f", "fib.nix", "--profile", "no/such/folder"]);
    assert_eq!(outcome.status.code(), Some(1), "{}", outcome.describe());
    assert!(
        outcome.stderr.contains("cannot write the profile no/such/folder"),
        "{}",
        outcome.describe()
    );
}

#[test]
fn the_nix_names_profile_as_nix_does() {
    let world = world();
    let mut command = world.command("nix-instantiate");
    command.args(["--eval", "fib.nix", "--option", "eval-profiler", "flamegraph"]);
    command.args(["--option", "eval-profile-file", "nix.folded"]);
    let outcome = run(&mut command).expect("floe to start");
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("610\n", ""));
    let stacks = fs::read_to_string(world.work().join("nix.folded")).expect("a profile");
    assert!(stacks.contains(";fib "), "{stacks}");
}

fn statistics(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("not JSON ({error}): {text}"))
}

#[test]
fn statistics_have_nix_s_keys() {
    let world = world();
    let outcome = world.floe(["eval", "-f", "fib.nix", "--stats"]);
    let all = statistics(&outcome.stderr);
    assert_eq!(all["nrFunctionCalls"], 1973);
    assert!(all["cpuTime"].as_f64().is_some_and(|time| time > 0.0) && all["time"]["cpu"].is_f64());
    for (group, keys) in [
        ("envs", &["number", "elements", "bytes"][..]),
        ("list", &["elements", "bytes", "concats"]),
        ("sets", &["number", "elements", "bytes"]),
        ("symbols", &["number", "bytes"]),
        ("sizes", &["Env", "Value", "Bindings", "Attr"]),
    ] {
        for key in keys {
            assert!(all[group][key].is_u64(), "{group}.{key}: {all:#}");
        }
    }
    for key in ["nrExprs", "nrOpUpdates", "nrThunks", "nrAvoided", "nrLookups", "nrPrimOpCalls"] {
        assert!(all[key].is_u64(), "{key}: {all:#}");
    }
    assert_eq!(all.get("functions"), None);
}

#[test]
fn the_environment_asks_for_statistics_too() {
    let world = world();
    let mut command = world.command("nix-instantiate");
    command.args(["--eval", "fib.nix"]);
    command.envs([
        ("NIX_SHOW_STATS", "1"),
        ("NIX_COUNT_CALLS", "1"),
        ("NIX_SHOW_STATS_PATH", "stats.json"),
    ]);
    let outcome = run(&mut command).expect("floe to start");
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("610\n", ""));
    let all = statistics(&fs::read_to_string(world.work().join("stats.json")).expect("statistics"));
    let fib = &all["functions"][0];
    assert_eq!((&fib["name"], &fib["count"]), (&"fib".into(), &1973.into()));
    assert_eq!((&fib["line"], &fib["column"]), (&1.into(), &11.into()));
    assert!(all["primops"].is_object() && all["attributes"].is_array(), "{all:#}");
    command.env("NIX_SHOW_STATS", "0");
    let outcome = run(&mut command).expect("floe to start");
    assert_eq!(outcome.stderr, "");
}
