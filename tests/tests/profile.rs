//! `floe build --profile`: the trace of a whole request, as a viewer reads it.

use std::collections::BTreeMap;
use std::fs;

use floe_tests::{Outcome, World};
use serde_json::Value;

/// A chain of three beside two that are short.
const CASE: &str = r#"rec {
  sh = name: inputs: script: derivation {
    inherit name inputs;
    system = "x86_64-linux";
    builder = "/bin/sh";
    args = [ "-c" script ];
  };
  busy = n: "i=0; while [ $i -lt ${toString n} ]; do i=$((i+1)); done; echo ${toString n} > $out";
  first = sh "first" [ ] "echo 'Running phase: buildPhase'; ${busy 60000}";
  second = sh "second" [ first ] (busy 60001);
  short = sh "short" [ first ] (busy 10);
  aside = sh "aside" [ ] (busy 11);
  top = sh "top" [ second short aside ] (busy 12);
  imported = sh "imported" [ (import (sh "list" [ ] "echo '[ ]' > $out")) aside ] (busy 13);
  broken = sh "broken" [ first ] "exit 3";
}
"#;

/// The times of a span in nanoseconds.
type Times = (i64, i64);

struct Trace {
    events: Vec<Value>,
    said: String,
}

fn world() -> World {
    let world = World::new();
    world.file("case.nix", CASE);
    world
}

fn profiled(world: &World, attr: &str, extra: &[&str]) -> (Outcome, Trace) {
    let args = ["build", "-f", "case.nix", attr, "--no-link", "--profile", "out.json"];
    let outcome = world.floe(args.iter().chain(extra));
    let text = fs::read(world.work().join("out.json")).expect("a profile");
    let trace: Value = serde_json::from_slice(&text).expect("a profile is JSON");
    let events = trace["traceEvents"].as_array().expect("events").clone();
    let said = outcome.stderr.clone();
    (outcome, Trace { events, said })
}

/// Nanoseconds of what is written in microseconds.
fn ns(value: &Value) -> i64 {
    (value.as_f64().unwrap_or_else(|| panic!("{value} is no time")) * 1e3).round() as i64
}

impl Trace {
    fn spans(&self) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(|event| event["ph"] == "X")
    }

    fn times(event: &Value) -> Times {
        let start = ns(&event["ts"]);
        (start, start + ns(&event["dur"]))
    }

    fn of(&self, category: &str) -> Vec<(&str, Times)> {
        let is_of = |event: &&Value| {
            event["cat"].as_str().is_some_and(|cats| cats.split(',').any(|cat| cat == category))
        };
        let named = |event| (name(event), Trace::times(event));
        self.spans().filter(is_of).map(named).collect()
    }

    /// The spans of each track lie within one another or beside one another, and none has a negative length.
    fn check_tracks(&self) {
        let mut tracks: BTreeMap<u64, Vec<(Times, &str)>> = BTreeMap::new();
        for event in self.spans() {
            let (start, end) = Trace::times(event);
            assert!(0 <= start && start <= end, "{event}");
            let track = event["tid"].as_u64().expect("a track");
            tracks.entry(track).or_default().push(((start, end), name(event)));
        }
        for spans in tracks.values_mut() {
            // The longer of two that begin together is around the other.
            spans.sort_by_key(|((start, end), _)| (*start, -end));
            let mut open: Vec<(Times, &str)> = Vec::new();
            for &((start, end), name) in spans.iter() {
                while open.last().is_some_and(|((_, over), _)| *over <= start) {
                    open.pop();
                }
                if let Some(((_, over), around)) = open.last() {
                    assert!(
                        end <= *over,
                        "{name} ({start} to {end}) crosses the end of {around} at {over}"
                    );
                }
                open.push(((start, end), name));
            }
        }
    }

    /// Jobs on one worker come one after another.
    fn check_workers(&self) {
        let mut ends: BTreeMap<u64, i64> = BTreeMap::new();
        let mut jobs: Vec<(u64, Times)> = self
            .spans()
            .filter(|event| event["cat"].as_str().is_some_and(|cat| cat.starts_with("job")))
            .map(|event| (event["tid"].as_u64().expect("a track"), Trace::times(event)))
            .collect();
        jobs.sort_by_key(|(_, (start, _))| *start);
        for (track, (start, end)) in jobs {
            let before = ends.insert(track, end).unwrap_or(0);
            assert!(before <= start, "two jobs at once on track {track}");
        }
    }
}

fn name(event: &Value) -> &str {
    event["name"].as_str().expect("a name")
}

#[test]
fn a_whole_request_has_a_profile() {
    let world = world();
    let (outcome, trace) = profiled(&world, "top", &["-j2"]);
    assert!(outcome.success(), "{}", outcome.describe());
    trace.check_tracks();
    trace.check_workers();
    let stages: Vec<&str> = trace.of("stage").into_iter().map(|(name, _)| name).collect();
    for stage in ["evaluation", "import", "resolution", "building", "decisions", "sync"] {
        assert!(stages.contains(&stage), "{stage} is not in {stages:?}");
    }
    let jobs = trace.of("job");
    let mut names: Vec<&str> = jobs.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    assert_eq!(names, ["aside", "first", "second", "short", "top"]);
    for phase in ["setting up", "running", "hashing", "registering"] {
        let count = trace.of("phase").iter().filter(|(name, _)| *name == phase).count();
        assert_eq!(count, 5, "{phase}");
    }
    assert!(trace.of("phase").iter().any(|(name, _)| *name == "buildPhase"));
    assert!(trace.events.iter().any(|event| event["ph"] == "C" && event["args"]["running"] == 2));
}

#[test]
fn the_critical_path_is_marked_and_summed() {
    let world = world();
    let (_, trace) = profiled(&world, "top", &["-j2"]);
    let critical = trace.of("chain");
    let names: Vec<&str> = critical.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["first", "second", "top"]);
    assert!(critical.windows(2).all(|pair| pair[0].1.1 <= pair[1].1.0), "{critical:?}");
    let sum: i64 = critical.iter().map(|(_, (start, end))| end - start).sum();
    let (_, (start, end)) = trace.of("stage").into_iter().find(|s| s.0 == "building").expect("one");
    assert!(sum <= end - start, "{sum} in {}", end - start);
    let marked = trace.spans().filter(|event| {
        event["args"]["critical"] == true
            && event["cat"].as_str().is_some_and(|c| c == "job,critical")
    });
    assert_eq!(marked.map(name).collect::<Vec<_>>(), names);
    // An arrow from each to the next, within the spans that it joins.
    for (kind, spans) in [("s", &critical[..2]), ("f", &critical[1..])] {
        let arrows: Vec<i64> = trace
            .events
            .iter()
            .filter(|event| event["ph"] == kind)
            .map(|event| ns(&event["ts"]))
            .collect();
        assert_eq!(arrows.len(), 2);
        for (at, (name, (start, end))) in arrows.iter().zip(spans) {
            assert!((start..=end).contains(&at), "{at} is not in {name}");
        }
    }
    let said = trace.said.lines().find(|line| line.contains("critical path")).expect("a summary");
    assert!(said.contains(": first -> second -> top; evaluation "), "{said}");
}

#[test]
fn what_evaluation_builds_lies_within_it() {
    let world = world();
    let (outcome, trace) = profiled(&world, "imported", &[]);
    assert!(outcome.success(), "{}", outcome.describe());
    trace.check_tracks();
    trace.check_workers();
    let stages = trace.of("stage");
    let (_, (start, end)) = stages.iter().find(|(name, _)| *name == "evaluation").expect("one");
    let within = |times: &Times| *start <= times.0 && times.1 <= *end;
    let building = stages.iter().filter(|(name, _)| *name == "building");
    assert_eq!(building.map(|(_, times)| within(times)).collect::<Vec<_>>(), [true, false]);
    let jobs = trace.of("job");
    let list = jobs.iter().find(|(name, _)| *name == "list").expect("the import");
    assert!(within(&list.1));
    // Evaluation's own calls are on a track beside it.
    assert!(trace.spans().any(|event| event["tid"] == 2 && name(event) == "builtins.import"));
}

#[test]
fn failures_have_profiles() {
    let world = world();
    let (outcome, trace) = profiled(&world, "broken", &[]);
    assert_eq!(outcome.status.code(), Some(100));
    trace.check_tracks();
    let failed = trace.spans().find(|event| event["args"]["failed"] == true).expect("a failure");
    assert_eq!(name(failed), "broken");
    let (outcome, trace) = profiled(&world, "nowhere", &[]);
    assert_eq!(outcome.status.code(), Some(1));
    trace.check_tracks();
    assert!(trace.said.contains("nothing ran"), "{}", outcome.describe());
}

#[test]
fn a_profile_is_of_this_process_and_a_null_build_has_one() {
    let world = world();
    let (outcome, _) = profiled(&world, "top", &["--server"]);
    assert!(outcome.stderr.contains("without a server: the profile is of this process"));
    let (outcome, trace) = profiled(&world, "top", &[]);
    assert!(outcome.success(), "{}", outcome.describe());
    trace.check_tracks();
    assert_eq!(trace.of("job"), []);
    // Folded stacks are of the evaluation alone, as with every command.
    let args = ["build", "-f", "case.nix", "top", "--no-link", "--profile", "out.folded"];
    assert!(world.floe(args).success());
    let stacks = fs::read_to_string(world.work().join("out.folded")).expect("a profile");
    assert!(stacks.lines().all(|line| line.starts_with("(evaluation)")), "{stacks}");
}
