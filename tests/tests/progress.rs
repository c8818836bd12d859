//! Progress as somebody at a terminal sees it, as a log keeps it, and as a tool reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use floe_tests::World;
use floe_tests::process::{Outcome, run};
use floe_tests::terminal::{Terminal, key};
use serde_json::Value;

/// `app` needs `left` and, by way of `between`, `right`; both of them never end. `edited` needs what `edit` changes
/// without changing what comes out.
const CASE: &str = r#"{ edit ? "" }: rec {
  sh = name: env: script: derivation ({
    inherit name;
    system = "x86_64-linux";
    builder = "/bin/sh";
    args = [ "-c" script ];
  } // env);
  forever = "while :; do :; done";
  left = sh "left-1.0" { } ''
    echo 'Running phase: buildPhase'
    printf 'compiling \033[31m\346\227\245\346\234\254\350\252\236\033[0m \033[2Jand more than there is room for in a narrow terminal\n'
    ${forever}
  '';
  right = sh "right-with-a-rather-long-name-2.0" { } "echo '@nix { \"action\": \"setPhase\", \"phase\": \"configurePhase\" }'; ${forever}";
  between = sh "between" { inherit right; } "echo > $out";
  app = sh "app" { inherit left between; } "echo > $out";
  base = sh "base" { } "echo ${edit} one; echo same > $out";
  user = sh "user" { inherit base; } "echo user > $out";
  edited = sh "edited" { inherit user; } "echo top > $out";
  one = sh "one" { } "echo about to fail; exit 3";
  two = sh "two" { } ''printf 'also \033[2Jbad\n'; exit 4'';
  broken = sh "broken" { inherit one two base; } "echo > $out";
}
"#;

fn world() -> World {
    let world = World::new();
    world.file("case.nix", CASE);
    world
}

fn build(world: &World, attr: &str) -> Command {
    let mut command = world.command("floe");
    command.args(["build", "-f", "case.nix", attr, "--no-link"]);
    command
}

/// With every number that tells a time replaced, and where files lie.
fn timeless(world: &World, text: &str) -> String {
    let text = text.replace(&*world.root().to_string_lossy(), "ROOT");
    let mut out = String::new();
    for line in text.lines() {
        let line = match line.split_once("ROOT/log/") {
            Some((before, _)) => format!("{before}LOG"),
            None => line.to_owned(),
        };
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        for at in 1..words.len() {
            let unit = words[at].trim_end_matches(',').to_owned();
            let number = words[at - 1].trim_start_matches('~');
            if matches!(unit.as_str(), "s" | "min") && number.parse::<f64>().is_ok() {
                words[at - 1] = words[at - 1].replace(number, "N");
            }
        }
        out += words.join(" ").trim_end();
        out.push('\n');
    }
    out
}

#[test]
fn a_tree_stands_on_the_terminal_and_leaves_it_clean() {
    for columns in [80, 40, 20] {
        let world = world();
        let mut terminal = Terminal::start_sized(build(&world, "app").arg("-j2"), columns, 24)
            .expect("a terminal");
        let both = |screen: &str| {
            let runs = screen.lines().filter(|line| line.contains('▸')).count();
            runs == 2 && screen.contains("compiling") && screen.contains(" s")
        };
        let screen = terminal.wait_for_screen("a tree of two jobs", |screen| {
            both(screen) && (columns < 80 || screen.contains("configurePhase"))
        });
        insta::assert_snapshot!(format!("tree-{columns}"), timeless(&world, &screen));
        terminal.press(key::INTERRUPT);
        let (status, screen, _) = terminal.leave();
        assert_eq!(status.code(), Some(130), "{screen}");
        let mut lines: Vec<&str> = screen.lines().collect();
        // Two that are stopped together end in any order.
        lines[1..].sort_by_key(|line| (!line.starts_with("stopped"), *line));
        insta::assert_snapshot!(format!("interrupted-{columns}"), lines.join("\n"));
    }
}

#[test]
fn another_size_is_drawn_for_at_once() {
    let world = world();
    let mut terminal =
        Terminal::start_sized(build(&world, "app").arg("-j2"), 100, 24).expect("a terminal");
    terminal.wait_for_screen("a job", |screen| screen.contains("configurePhase"));
    for (columns, rows) in [(30, 10), (90, 5), (25, 24)] {
        terminal.resize(columns, rows);
        // What was drawn for the former size is gone, and what stands there is drawn once.
        let drawn = |screen: &str| {
            let count = |text: &str| screen.lines().filter(|line| line.contains(text)).count();
            count("to go") == 1 && count("▸") <= 2 && count("▸") >= 1
        };
        terminal.wait_for("to go");
        terminal.wait_for_screen("one tree", drawn);
    }
    terminal.press(key::INTERRUPT);
    assert_eq!(terminal.leave().0.code(), Some(130));
}

#[test]
fn a_failed_build_is_told_at_the_end() {
    let world = world();
    let mut command = build(&world, "broken");
    command.args(["--keep-going", "-j1"]);
    let terminal = Terminal::start_sized(&command, 80, 40).expect("a terminal");
    let (status, screen, _) = terminal.leave();
    assert_eq!(status.code(), Some(100), "{screen}");
    insta::assert_snapshot!("failed", timeless(&world, &screen));
}

#[test]
fn colours_are_left_out_where_they_are_not_wanted() {
    let bytes = |name: &str, value: &str| {
        let world = world();
        let mut command = build(&world, "edited");
        command.args(["--progress", "auto"]).env(name, value);
        let (status, _, bytes) = Terminal::start(&command).expect("a terminal").leave();
        assert!(status.success());
        String::from_utf8(bytes).expect("text")
    };
    // A terminal that can do nothing gets lines.
    let dumb = bytes("TERM", "dumb");
    assert!(!dumb.contains('\x1b') && dumb.contains("building base"), "{dumb:?}");
    // Colours end with m, what moves the cursor does not.
    let plain = bytes("NO_COLOR", "1");
    let codes = plain.split("\x1b[").skip(1);
    let ends: BTreeSet<char> =
        codes.filter_map(|code| code.chars().find(char::is_ascii_alphabetic)).collect();
    assert!(!ends.contains(&'m'), "{plain:?}");
}

#[test]
fn lines_stand_in_a_log() {
    let world = world();
    let said = |extra: &[&str]| {
        let outcome = run(build(&world, "edited").arg("-j1").args(extra)).expect("floe to start");
        assert!(outcome.success(), "{}", outcome.describe());
        timeless(&world, &outcome.stderr)
    };
    insta::assert_snapshot!("lines", said(&[]));
    insta::assert_snapshot!("lines-cut-off", said(&["--argstr", "edit", "other"]));
    let quiet = said(&["--argstr", "edit", "third", "--progress", "none"]);
    assert_eq!(quiet, "");
}

/// The events on standard error, which holds nothing else.
fn events(outcome: &Outcome) -> Vec<Value> {
    let parse = |line: &str| {
        let event: Value = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("{error}: {line}\n{}", outcome.describe()));
        assert!(event["event"].is_string(), "{line}");
        event
    };
    outcome.stderr.lines().map(parse).collect()
}

fn json(world: &World, attr: &str, extra: &[&str]) -> (Outcome, Vec<Value>) {
    let mut command = build(world, attr);
    command.args(["--progress", "json"]).args(extra);
    let outcome = run(&mut command).expect("floe to start");
    let events = events(&outcome);
    (outcome, events)
}

/// What each kind of event says is in an order that makes sense.
fn check_order(events: &[Value]) {
    let mut jobs: BTreeMap<u64, &str> = BTreeMap::new();
    let mut planned = BTreeSet::new();
    let mut last_ms = 0;
    for event in events {
        let kind = event["event"].as_str().expect("a kind");
        if let Some(at_ms) = event["at_ms"].as_u64() {
            assert!(at_ms >= last_ms, "{event}");
            last_ms = at_ms;
        }
        let job = event["job"].as_u64().unwrap_or(u64::MAX);
        match kind {
            "tasks" => {
                for task in event["tasks"].as_array().expect("tasks") {
                    let job = task["job"].as_u64().expect("a number");
                    assert!(task["needed_by"].as_u64().is_none_or(|user| user > job), "{task}");
                    assert!(planned.insert(job), "{task}");
                }
            }
            "started" => {
                assert!(planned.contains(&job), "{event}");
                assert_eq!(jobs.insert(job, "runs"), None, "{event}");
            }
            "phase" | "log" => assert_eq!(jobs.get(&job), Some(&"runs"), "{event}"),
            "finished" | "failed" | "stopped" => {
                assert_eq!(jobs.insert(job, "over"), Some("runs"), "{event}");
            }
            "cutoff" => {
                assert_eq!(jobs.get(&event["by"].as_u64().expect("a job")), Some(&"over"));
                for job in event["jobs"].as_array().expect("jobs") {
                    let job = job.as_u64().expect("a number");
                    assert!(planned.contains(&job) && !jobs.contains_key(&job), "{event}");
                }
            }
            "planned" | "end" | "error" | "note" => {}
            other => panic!("{other} is not told of in docs/events.md"),
        }
    }
    assert!(jobs.values().all(|state| *state == "over"), "{jobs:?}");
}

#[test]
fn events_are_objects_in_order() {
    let world = world();
    let (outcome, first) = json(&world, "edited", &["-L"]);
    assert!(outcome.success(), "{}", outcome.describe());
    check_order(&first);
    let kinds = |events: &[Value]| -> Vec<String> {
        events.iter().map(|event| event["event"].as_str().expect("a kind").to_owned()).collect()
    };
    assert_eq!(kinds(&first)[..2], ["planned", "tasks"]);
    assert!(first.iter().any(|event| event["event"] == "log" && event["line"] == "one"));
    let finished = first.iter().filter(|event| event["event"] == "finished");
    assert!(
        finished.clone().all(|event| event["outputs"].as_array().is_some_and(|o| !o.is_empty()))
    );
    assert_eq!(finished.count(), 3);

    let (_, second) = json(&world, "edited", &["--argstr", "edit", "other"]);
    check_order(&second);
    let cutoff = second.iter().find(|event| event["event"] == "cutoff").expect("a cutoff");
    assert_eq!(cutoff["jobs"].as_array().map(Vec::len), Some(2));
    let end = second.last().expect("an end");
    assert_eq!(end["event"], "end");
    assert_eq!((&end["built"], &end["cut_off"]), (&1.into(), &2.into()), "{end}");
    // The builder of `base` took something the last time.
    let tasks = second[1]["tasks"].as_array().expect("tasks");
    assert!(tasks.iter().all(|task| task["expected_ms"].is_null() || task["expected_ms"].is_u64()));

    let (outcome, failed) = json(&world, "broken", &["--keep-going"]);
    assert_eq!(outcome.status.code(), Some(100), "{}", outcome.describe());
    check_order(&failed);
    let errors: Vec<&Value> = failed.iter().filter(|event| event["event"] == "error").collect();
    assert_eq!(errors.len(), 2, "{}", outcome.describe());
    let one = errors.iter().find(|error| error["name"] == "one").expect("the error of one");
    assert_eq!(one["log_tail"], serde_json::json!(["about to fail"]));
    let log = one["log"].as_str().expect("where the log lies");
    assert_eq!(fs::read_to_string(log).expect("the log"), "about to fail\n");

    let (outcome, refused) = json(&world, "nowhere", &[]);
    assert_eq!(outcome.status.code(), Some(1));
    let error = refused.iter().find(|event| event["event"] == "error").expect("an error");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("nowhere")), "{error}");
}

#[test]
fn every_event_is_documented() {
    let world = world();
    let text = floe_tests::fixture::package().join("../docs/events.md");
    let text = fs::read_to_string(text).expect("docs/events.md");
    let documented = |word: &str| text.contains(&format!("`{word}`"));
    for (attr, extra) in
        [("edited", &["-L"][..]), ("edited", &["--argstr", "edit", "x"]), ("broken", &["-k"])]
    {
        for event in json(&world, attr, extra).1 {
            let kind = event["event"].as_str().expect("a kind");
            assert!(documented(kind), "docs/events.md does not tell of `{kind}`");
            let parts = event["tasks"].as_array().and_then(|tasks| tasks.first()).cloned();
            let fields = [event.clone()].into_iter().chain(parts);
            for field in fields.flat_map(|object| object.as_object().cloned()).flatten() {
                assert!(documented(&field.0), "docs/events.md does not tell of `{}`", field.0);
            }
        }
    }
}

/// What does not hang on the moment.
fn lasting(events: Vec<Value>) -> Vec<Value> {
    let strip = |mut event: Value| {
        let object = event.as_object_mut().expect("an object");
        object.retain(|field, _| !["at_ms", "wall_ms"].contains(&field.as_str()));
        if let Some(tasks) = object.get_mut("tasks").and_then(Value::as_array_mut) {
            tasks.iter_mut().for_each(|task| task["expected_ms"] = Value::Null);
        }
        event
    };
    events.into_iter().map(strip).collect()
}

#[test]
fn a_server_tells_the_same() {
    let steps: [(&str, &[&str]); 3] =
        [("edited", &["-L"]), ("edited", &["--argstr", "edit", "x"]), ("broken", &[])];
    let told = |server: &str| -> Vec<Vec<Value>> {
        let world = world();
        let told = steps.map(|(attr, extra)| {
            let flags = [&[server, "-j1"], extra].concat();
            lasting(json(&world, attr, &flags).1)
        });
        let root = world.root().display().to_string();
        let local = |events: Vec<Value>| {
            let text = serde_json::to_string(&events).expect("JSON").replace(&root, "ROOT");
            serde_json::from_str(&text).expect("JSON")
        };
        told.map(local).to_vec()
    };
    assert_eq!(told("--server"), told("--no-server"));
}

#[test]
fn a_log_is_found_by_the_name_that_is_told() {
    let world = world();
    let outcome = run(&mut build(&world, "broken")).expect("floe to start");
    let told = outcome.stderr.split("`floe log ").nth(1).expect("a command");
    let name = told.split('`').next().expect("a name");
    let log = world.floe(["log", name]);
    assert!(log.success(), "{}", log.describe());
    assert!(["about to fail\n", "also \x1b[2Jbad\n"].contains(&&*log.stdout), "{}", log.stdout);
}

#[test]
fn phases_are_not_part_of_what_is_shown() {
    let world = world();
    let outcome =
        run(build(&world, "right").args(["-L", "--timeout", "1"])).expect("floe to start");
    assert_eq!(outcome.status.code(), Some(100), "{}", outcome.describe());
    assert!(
        outcome.stderr.contains("right-with-a-rather-long-name-2.0: configurePhase"),
        "{}",
        outcome.describe()
    );
    assert!(!outcome.stderr.contains("@nix"), "{}", outcome.describe());
    let log = world.floe(["log", "right-with-a-rather-long-name-2.0"]);
    assert!(log.stdout.contains("@nix"), "the file has every byte: {}", log.describe());
}
