//! The command as its users read and script it: help, dry runs, explanations, reports, links, exit codes and the names
//! of Nix's commands. What stands in `snapshots/` is what people see; the fields of JSON are what scripts lean on.

use std::fs;
use std::path::Path;
use std::process::Command;

use floe_tests::oracle::Oracle;
use floe_tests::process::run;
use floe_tests::scene::{Scene, fails_saying, says, steps};
use floe_tests::{Outcome, World};
use serde_json::Value;

/// What stands beside the common steps: `middle` names only the first file of `base`, `top` both.
const MORE: &str = r#"  middle = sh "middle" [ "out" ] { inherit base; } "read word < $base; echo middle $word > $out";
  tool = sh "tool" [ "out" ] { } ''
    mkdir -p $out/bin
    echo '#!/bin/sh' > $out/bin/tool
    echo 'echo "tool says $*"; exit 7' >> $out/bin/tool
    chmod +x $out/bin/tool
  '';
"#;

fn graph() -> Scene {
    Scene::with_text(&steps(MORE))
}

/// What a user reads, with the temporary world and what differs between runs taken out.
fn shown(scene: &Scene, text: &str) -> String {
    let work = scene.world.work();
    let world = work.parent().expect("the world").to_string_lossy().into_owned();
    let text = text.replace(&world, "WORLD");
    let mut words = Vec::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        if let (true, Some((request, _))) =
            (line.starts_with("since request"), line.split_once(" of "))
        {
            line = format!("{request} of TIME:");
        }
        for unit in [" ms", " s"] {
            line = without_number_before(&line, unit);
        }
        words.push(line.trim_end().to_owned());
    }
    words.join("\n")
}

fn without_number_before(line: &str, unit: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(unit) {
        let end = at + unit.len();
        let number = rest[..at].trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        let whole = !rest[end..].starts_with(char::is_alphanumeric) && number.len() < at;
        out += if whole { number } else { &rest[..at] };
        out += if whole { "N" } else { "" };
        out += unit;
        rest = &rest[end..];
    }
    out + rest
}

#[track_caller]
fn done(outcome: Outcome) -> Outcome {
    assert!(outcome.success(), "{}", outcome.describe());
    outcome
}

/// The lines of the report of a build.
#[track_caller]
fn report(scene: &Scene, attribute: &str, flags: &[&str]) -> Vec<Value> {
    let file = scene.world.work().join("report.jsonl");
    let name = file.to_string_lossy().into_owned();
    let mut all = vec!["--report", &name];
    all.extend(flags);
    scene.build(attribute, &all);
    let text = fs::read_to_string(file).expect("the report");
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

fn decisions(report: &[Value]) -> Vec<String> {
    let mut found: Vec<String> = report
        .iter()
        .filter_map(|line| {
            Some(format!("{} {}", line.get("name")?.as_str()?, line["decision"].as_str()?))
        })
        .collect();
    found.sort();
    found
}

#[test]
fn help_is_worth_reading() {
    let scene = graph();
    insta::assert_snapshot!("help", shown(&scene, &done(scene.world.floe(["--help"])).stdout));
    let build = done(scene.world.floe(["build", "--help"])).stdout;
    for flag in [
        "--file",
        "--expr",
        "--arg",
        "--argstr",
        "--out-link",
        "--no-link",
        "--keep-going",
        "--max-jobs",
        "--rebuilder",
    ] {
        assert!(build.contains(flag), "floe build --help does not tell of {flag}:\n{build}");
    }
}

#[test]
fn a_dry_run_says_what_will_run_and_what_may() {
    let scene = graph();
    let cold = done(scene.build("top", &["--dry-run"]));
    assert_eq!(cold.stdout, "");
    insta::assert_snapshot!("dry-run-cold", shown(&scene, &cold.stderr));
    done(scene.build("top", &[]));
    let warm = done(scene.build("top", &["--dry-run"]));
    insta::assert_snapshot!("dry-run-warm", shown(&scene, &warm.stderr));
    let edited = done(scene.build("top", &["--dry-run", "--json", "--argstr", "comment", "x"]));
    let bounds: Value = serde_json::from_str(&edited.stdout).expect("JSON");
    assert_eq!(bounds["will_build"], serde_json::json!(["base"]));
    assert_eq!(bounds["may_build"], serde_json::json!(["middle", "top"]));
}

#[test]
fn a_report_has_the_fields_that_scripts_lean_on() {
    let scene = graph();
    let cold = report(&scene, "top", &[]);
    let keys = |line: &Value| -> Vec<String> {
        line.as_object().expect("an object").keys().cloned().collect()
    };
    assert_eq!(cold[0]["floe_report"], 1);
    assert_eq!(cold[0]["rebuilder"], "content-addressed");
    for line in &cold[1..cold.len() - 1] {
        assert_eq!(
            keys(line),
            [
                "task",
                "drv",
                "resolved",
                "name",
                "decision",
                "kind",
                "unchanged",
                "reason",
                "decided_by",
                "outputs",
                "start_ms",
                "wall_ms",
                "cpu_ms"
            ]
        );
        assert!(line["drv"].as_str().expect("a path").ends_with(".drv"));
        assert!(line["wall_ms"].is_u64() && line["start_ms"].is_u64(), "{line}");
    }
    let last = cold.last().expect("the counters");
    for counter in ["queries_executed", "queries_validated", "derivations_resolved", "builders_run"]
    {
        assert!(last[counter].is_u64(), "{counter}: {last}");
    }
    assert_eq!(last["builders_run"], 3);
    assert_eq!(decisions(&cold), ["base built", "middle built", "top built"]);
    assert_eq!(
        decisions(&report(&scene, "top", &[])),
        ["base reused", "middle reused", "top reused"]
    );
    // its derivation differs, its outputs do not: everything above is cut off
    let comment = report(&scene, "top", &["--argstr", "comment", "x"]);
    assert_eq!(decisions(&comment), ["base built", "middle cutoff", "top cutoff"]);
    let of = |name: &str| comment.iter().find(|line| line["name"] == name).expect("its line");
    assert_eq!(of("base")["unchanged"], true);
    assert_eq!(of("top")["kind"], "byte");
    // the first output changes, and with it all that reads it
    let real = report(&scene, "top", &["--argstr", "edit", "two", "--report-changed"]);
    assert_eq!(decisions(&real), ["base built", "middle built", "top built"]);
    let quiet = report(&scene, "top", &["--argstr", "edit", "two", "--report-changed"]);
    assert_eq!(decisions(&quiet), Vec::<String>::new(), "--report-changed leaves `reused` out");
    let failed = report(&scene, "above", &[]);
    assert_eq!(decisions(&failed), ["above skipped", "broken failed"]);
}

#[test]
fn explain_follows_the_change_down() {
    let scene = graph();
    done(scene.build("top", &[]));
    done(scene.build("top", &["--argstr", "edit", "two"]));
    let told = done(scene.world.floe(["explain", "top"]));
    insta::assert_snapshot!("explain-built", shown(&scene, &told.stdout));
    done(scene.build("top", &["--argstr", "edit", "two", "--argstr", "comment", "x"]));
    let told = done(scene.world.floe(["explain", "top"]));
    insta::assert_snapshot!("explain-cut-off", shown(&scene, &told.stdout));
    fails_saying(
        &scene.world.floe(["explain", "nothing"]),
        &["nothing called 'nothing' was built"],
    );
}

#[test]
fn paths_and_derivations_are_described() {
    let scene = graph();
    let built = done(scene.build("top", &[]));
    let top = built.stdout.trim();
    let info = done(scene.world.floe(["path-info", top]));
    insta::assert_snapshot!("path-info", shown(&scene, &info.stdout));
    let json = scene.world.path_info(top).expect("its information");
    for field in ["path", "narHash", "narSize", "references", "deriver", "ca"] {
        assert!(json.get(field).is_some(), "{field}: {json}");
    }
    let mut show = scene.world.command("floe");
    show.args(["derivation", "show", "-f"]).arg(&scene.case).arg("middle");
    insta::assert_snapshot!("derivation-show", done(run(&mut show).expect("floe to start")).stdout);
    let tool = done(scene.build("tool", &[])).stdout.trim().to_owned();
    let list = done(scene.world.floe(["store", "ls", "-r", "-l", &tool]));
    insta::assert_snapshot!("store-ls", list.stdout);
    let cat = done(scene.world.floe(["store", "cat", &format!("{tool}/bin/tool")]));
    assert!(cat.stdout.starts_with("#!/bin/sh\n"));
    let all = done(scene.world.floe(["store", "ls"]));
    assert!(all.lines().contains(&top), "{}", all.stdout);
    let log = scene.build("broken", &[]);
    assert_eq!(log.status.code(), Some(100));
    fails_saying(&scene.world.floe(["path-info", "absent"]), &["'absent' names nothing"]);
}

#[test]
fn the_doctor_names_every_layer() {
    let scene = graph();
    let outcome = scene.world.floe(["doctor", "--json"]);
    let found: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert!(found["kernel"].is_string() && found["shell"].is_string(), "{found}");
    let layers = found["layers"].as_array().expect("layers");
    assert!(layers.len() >= 8, "{found}");
    for layer in layers {
        assert!(layer["layer"].is_string() && layer["detail"].is_string(), "{layer}");
        assert_eq!(layer["available"] == true, layer["mend"].is_null(), "{layer}");
    }
    let text = scene.world.floe(["doctor"]);
    assert!(text.stdout.starts_with("kernel "), "{}", text.describe());
    for layer in layers {
        assert!(text.stdout.contains(layer["layer"].as_str().expect("a name")));
    }
}

/// Fails some calls deep.
const CHAIN: &str = "let
  check = name: value:
    if value < 0 then throw \"the ${name} is negative: ${toString value}\" else value;
  area = { width, height }: check \"width\" width * check \"height\" height;
  areas = map area [ { width = 1; height = 2; } { width = 3; height = -4; } ];
in builtins.foldl' (sum: one: sum + one) 0 areas
";

#[test]
fn a_full_trace_shows_every_step() {
    let scene = graph();
    scene.world.file("case.nix", CHAIN);
    let outcome = scene.world.floe(["eval", "-f", "case.nix", "--show-trace"]);
    assert_eq!(outcome.status.code(), Some(1), "{}", outcome.describe());
    insta::assert_snapshot!("error-chain-in-full", shown(&scene, &outcome.stderr));
}

#[test]
fn errors_show_their_source() {
    for (name, text) in [
        ("error-syntax", "{\n  a = 1\n  b = 2;\n}\n"),
        ("error-missing-attribute", "let\n  set = { colour = 1; };\nin\n  set.color\n"),
        ("error-type", "let f = x: x + { };\nin f 1\n"),
        ("error-undefined-variable", "let\n  colour = 1;\nin\n{ inherit (color) x; }.x\n"),
        ("error-unexpected-argument", "({ colour ? 1 }: colour) { color = 2; }\n"),
        ("error-infinite-recursion", "let\n  a = b + 1;\n  b = c + 1;\n  c = a + 1;\nin\na\n"),
        ("error-chain", CHAIN),
    ] {
        let scene = Scene::with_text(text);
        let outcome = scene.build("", &[]);
        assert_eq!(outcome.status.code(), Some(1), "{}", outcome.describe());
        insta::assert_snapshot!(name, shown(&scene, &outcome.stderr));
    }
}

#[test]
fn a_failed_build_shows_the_end_of_its_log() {
    let scene = graph();
    let outcome = scene.build("broken", &[]);
    assert_eq!(outcome.status.code(), Some(100));
    let digest_out: Vec<String> = shown(&scene, &outcome.stderr)
        .lines()
        .map(|line| match line.split_once("the whole log: ") {
            Some(_) => "the whole log: FILE".to_owned(),
            None => line.to_owned(),
        })
        .collect();
    insta::assert_snapshot!("build-failed", digest_out.join("\n"));
    let log = done(scene.world.floe(["log", "broken"]));
    assert!(log.stdout.contains("about to fail"), "{}", log.stdout);
}

#[test]
fn links_lead_to_the_bytes() {
    let scene = graph();
    let build = |args: &[&str]| {
        let mut command = scene.world.command("floe");
        done(run(command.args(["build", "-f"]).arg(&scene.case).args(args)).expect("floe to start"))
    };
    let outcome = build(&["middle", "base"]);
    let paths = outcome.lines();
    let target = |name: &str| fs::read_link(scene.world.work().join(name)).expect(name);
    assert_eq!(target("result"), scene.world.physical(paths[0]));
    assert_eq!(target("result-2"), scene.world.physical(paths[1]));
    assert_eq!(
        fs::read_to_string(scene.world.work().join("result")).expect("the bytes"),
        "middle one\n"
    );
    build(&["top", "-o", "mine"]);
    assert!(
        fs::read_to_string(scene.world.work().join("mine"))
            .expect("the bytes")
            .contains("-middle /nix/store/")
    );
    let dev = build(&["base.dev", "-o", "other"]);
    assert_eq!(target("other-dev"), scene.world.physical(dev.stdout.trim()));
    let physical = build(&["middle", "--physical", "--no-link"]);
    assert!(Path::new(physical.stdout.trim()).is_file(), "{}", physical.stdout);
    let json = build(&["middle", "base", "--json", "--no-link"]);
    let json: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(json[0]["attr"], "middle");
    assert_eq!(json[0]["outputs"]["out"], paths[0]);
    // links are roots: what they lead to survives a collection
    done(scene.world.floe(["store", "gc"]));
    assert!(target("result").exists() && target("mine").exists());
    let kept = report(&scene, "top", &[]);
    assert!(!decisions(&kept).iter().any(|line| line == "top built"), "{kept:?}");
}

#[test]
fn keep_going_builds_what_it_can() {
    let scene = graph();
    let mut command = scene.world.command("floe");
    command.args(["build", "--no-link", "-k", "-j1", "-f"]).arg(&scene.case);
    command.args(["above", "broken", "top", "tool"]);
    let outcome = run(&mut command).expect("floe to start");
    assert_eq!(outcome.status.code(), Some(100), "{}", outcome.describe());
    says(&outcome, &["1 derivations were not built because of this"]);
    for attribute in ["top", "tool"] {
        let lines = decisions(&report(&scene, attribute, &[]));
        assert!(lines.iter().all(|line| line.ends_with("reused")), "{lines:?}");
    }
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let scene = graph();
    assert_eq!(scene.build("middle", &[]).status.code(), Some(0));
    assert_eq!(scene.build("absent", &[]).status.code(), Some(1));
    assert_eq!(scene.build("top", &["--no-such-flag"]).status.code(), Some(2));
    assert_eq!(scene.build("broken", &[]).status.code(), Some(100));
    let help = scene.world.floe(["--help"]).stdout;
    for told in [
        "Exit status: 0",
        "1 an expression",
        "2 the command",
        "100 a build failed",
        "130 interrupted",
    ] {
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains(told), "floe --help does not tell of '{told}'");
    }
}

#[test]
fn programs_run_with_the_store_in_its_place() {
    let scene = graph();
    let run_it = |args: &[&str], rest: &[&str]| {
        let mut command = scene.world.command("floe");
        command.args(args).arg("-f").arg(&scene.case).arg("tool").arg("--").args(rest);
        run(&mut command).expect("floe to start")
    };
    let outcome = run_it(&["run"], &["a", "--flag", "b c"]);
    assert_eq!(outcome.stdout, "tool says a --flag b c\n", "{}", outcome.describe());
    assert_eq!(outcome.status.code(), Some(7), "the program's exit code is floe's");
    let outcome = run_it(&["shell"], &["sh", "-c", "command -v tool; tool from the shell"]);
    assert!(outcome.stdout.starts_with("/nix/store/"), "{}", outcome.describe());
    assert!(
        outcome.stdout.ends_with("-tool/bin/tool\ntool says from the shell\n"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn completions_are_written() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish"] {
        let outcome = done(world.floe(["completions", shell]));
        assert!(outcome.stdout.contains("floe") && outcome.stdout.contains("path-info"));
    }
}

/// The output paths that Nix gives `top`'s whole closure, without building.
fn output_paths_of_nix(oracle: &Oracle, case: &Path, attribute: &str) -> Vec<String> {
    let case = case.to_string_lossy();
    let drv = done(oracle.run("nix-instantiate", &[&case, "-A", attribute])).stdout;
    let closure = done(oracle.run("nix-store", &["-qR", drv.trim()]));
    let mut outputs = Vec::new();
    for drv in closure.lines().iter().filter(|path| path.ends_with(".drv")) {
        let found = done(oracle.run("nix-store", &["-q", "--outputs", drv]));
        outputs.extend(found.lines().iter().map(|path| (*path).to_owned()));
    }
    outputs.sort();
    outputs
}

#[test]
fn input_addressed_gives_the_paths_of_nix() {
    let scene = graph();
    let Ok(oracle) = Oracle::find() else { return };
    let lines = report(&scene, "top", &["--rebuilder", "input-addressed"]);
    let mut found: Vec<String> = lines
        .iter()
        .filter_map(|line| line.get("outputs")?.as_object())
        .flat_map(|outputs| outputs.values().filter_map(Value::as_str).map(str::to_owned))
        .collect();
    found.sort();
    assert_eq!(found, output_paths_of_nix(&oracle, &scene.case, "top"));
    // here a comment rebuilds everything
    let comment =
        report(&scene, "top", &["--rebuilder", "input-addressed", "--argstr", "comment", "x"]);
    assert_eq!(decisions(&comment), ["base built", "middle built", "top built"]);
}

/// Plain derivations above and below floating and fixed ones.
const MIXED: &str = r#"rec {
  sh = name: extra: script: derivation ({
    inherit name;
    system = "x86_64-linux";
    builder = "/bin/sh";
    args = [ "-e" "-c" script ];
  } // extra);
  floats = { __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; };
  plain = sh "plain" { } "echo plain > $out";
  floating = sh "floating" ({ inherit plain; } // floats) "echo $plain $out > $out";
  above = sh "above" { inherit floating plain; text = placeholder "out"; } "echo $floating $text > $out";
  fixed = sh "fixed" { inherit floating; outputHash = "sha256-Q0copBCnj1b8G1iZw1k0NuYasMcx6QctleltspAgXlM="; } "echo content > $out";
  over-fixed = sh "over-fixed" { inherit fixed; } "echo $fixed > $out";
  again = sh "again" ({ inherit above; } // floats) "echo $above > $out";
  all = sh "all" { inherit again over-fixed; outputs = [ "out" "doc" ]; } "echo $again $over_fixed ${over-fixed} > $out; echo $out > $doc";
}
"#;

#[test]
fn the_name_nix_build_means_what_nix_does() {
    let scene = Scene::with_text(MIXED);
    let Ok(oracle) = Oracle::find() else { return };
    for attribute in ["plain", "floating", "above", "fixed", "over-fixed", "again", "all"] {
        let case = scene.case.to_string_lossy().into_owned();
        let args = ["--no-out-link", &case, "-A", attribute];
        let nix = done(oracle.run("nix-build", &args));
        let floe = run(scene.world.command("nix-build").args(args)).expect("floe to start");
        assert_eq!(done(floe).stdout, nix.stdout, "{attribute}");
    }
    // linked as Nix links
    let mut command = scene.world.command("nix-build");
    let linked = done(run(command.arg(&scene.case).args(["-A", "all"])).expect("floe to start"));
    assert_eq!(
        fs::read_link(scene.world.work().join("result")).expect("the link"),
        scene.world.physical(linked.stdout.trim())
    );
}

#[test]
fn the_name_nix_instantiate_evaluates_and_instantiates() {
    let scene = graph();
    let floe = |args: &[&str]| {
        done(run(scene.world.command("nix-instantiate").args(args)).expect("floe to start")).stdout
    };
    assert_eq!(floe(&["--eval", "-E", "1 + 1"]), "2\n");
    assert_eq!(
        floe(&["--eval", "--json", "--strict", "-E", "{ a = [ 1 null ]; }"]),
        "{\"a\":[1,null]}\n"
    );
    let case = scene.case.to_string_lossy().into_owned();
    let drv = floe(&[&case, "-A", "top"]);
    if let Ok(oracle) = Oracle::find() {
        assert_eq!(drv, done(oracle.run("nix-instantiate", &[&case, "-A", "top"])).stdout);
    }
}

#[test]
fn the_name_nix_instantiate_takes_what_scripts_pass() {
    let world = World::new();
    let floe =
        |args: &[&str]| run(world.command("nix-instantiate").args(args)).expect("floe to start");
    let says = |args: &[&str]| done(floe(args)).stdout;
    assert_eq!(
        says(&["--eval", "-E", "1", "-E", "2", "--quiet", "--quiet", "-v", "-j", "1"]),
        "1\n2\n"
    );
    assert_eq!(
        says(&["--eval", "--argstr", "x", "1", "--argstr", "x", "2", "-E", "{ x }: x"]),
        "\"2\"\n"
    );
    assert_eq!(says(&["--eval", "-E"]), "");
    // JSON looks at what it says, and at nothing else.
    let package = "{ outPath = \"x\"; bad = throw \"y\"; }";
    assert_eq!(says(&["--eval", "--strict", "--json", "-E", package]), "\"x\"\n");
    for (args, words) in [
        (&["--foo"][..], "error: unrecognised flag '--foo'\n"),
        (&["--eval", "-E", "-1"], "error: unrecognised flag '-1'\n"),
        (&["--arg", "x"], "error: flag '--arg' requires 2 argument(s), but only 1 were given\n"),
    ] {
        let outcome = floe(args);
        assert_eq!(outcome.status.code(), Some(1), "{}", outcome.describe());
        assert!(outcome.stderr.starts_with(words), "{}", outcome.describe());
        assert!(outcome.stderr.contains("Try 'nix-instantiate --help'"), "{}", outcome.describe());
    }
}

#[test]
fn the_search_path_has_folders_archives_and_what_is_not_there() {
    let world = World::new();
    fs::create_dir(world.work().join("set")).expect("a folder");
    fs::write(world.work().join("set/default.nix"), "\"found\"").expect("a file");
    let mut tar = Command::new("tar");
    done(run(tar.args(["-czf", "set.tar.gz", "set"]).current_dir(world.work())).expect("tar"));
    let place = world.work().display().to_string();
    let floe = |args: &[&str], path: &str| {
        let mut command = world.command("nix-instantiate");
        run(command.args(args).env("NIX_PATH", path)).expect("floe to start")
    };
    let import = ["--eval", "-E", "import <set>"];
    for path in [
        format!("set={place}/set"),
        place.clone(),
        format!("set=file://{place}/set.tar.gz"),
        format!("other={place}:set=file://{place}/set.tar.gz:third={place}"),
    ] {
        assert_eq!(done(floe(&import, &path)).stdout, "\"found\"\n", "{path}");
    }
    let gone = format!("set={place}/gone:{place}");
    let outcome = done(floe(&["--eval", "-E", "[ (import <set>) <set> ]", "--strict"], &gone));
    let warning =
        format!("warning: Nix search path entry '{place}/gone' does not exist, ignoring\n");
    assert_eq!(outcome.stderr.matches(&warning).count(), 1, "{}", outcome.describe());
    let path = format!("set={place}/set");
    let found = done(floe(&["--find-file", "set/default.nix"], &path)).stdout;
    assert_eq!(found, format!("{place}/set/default.nix\n"));
    assert_eq!(done(floe(&["--eval", "<set/default.nix>"], &path)).stdout, "\"found\"\n");
}

#[test]
fn expressions_print_as_xml_and_as_they_were_read() {
    let world = World::new();
    let read = done(world.floe(["parse", "-E", "let x = 1; in x + 2 * 3"])).stdout;
    assert_eq!(read, "(let x = 1; in (x + (__mul 2 3)))\n");
    let xml = done(world.floe(["eval", "--xml", "--strict", "-E", "{ a = 1; }"])).stdout;
    assert!(xml.starts_with("<?xml version='1.0' encoding='utf-8'?>\n<expr>\n"), "{xml}");
    assert!(xml.contains("<attr column=\"3\" line=\"1\" name=\"a\">"), "{xml}");
}
