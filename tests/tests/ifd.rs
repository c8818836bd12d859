//! Import from derivation: what evaluation reads of an output is built first, and what it makes of the bytes is what
//! C++ Nix makes of them, under every rebuilder.

use std::process::Stdio;
use std::time::{Duration, Instant};

use floe_tests::oracle::{Oracle, busybox};
use floe_tests::process::run;
use floe_tests::scene::{Scene, fails_saying, no_process_remains, processes_with};
use floe_tests::{Outcome, World};

/// Derivations that write what others are made from.
const GRAPH: &str = r#"{ busybox }: rec {
  tools = builtins.path {
    name = "busybox";
    path = dirOf busybox;
    filter = path: _: baseNameOf path == "busybox";
  };
  sh = name: env: script: derivation ({
    inherit name;
    system = "x86_64-linux";
    builder = "${tools}/busybox";
    args = [ "sh" "-e" "-c" "bb=${tools}/busybox\n${script}" ];
  } // env);
  number = sh "number.nix" { } "echo 42 > $out";
  dependency = sh "dependency" { } "echo something > $out";
  # holds the path of another output, and its own
  names = sh "names" { inherit dependency; } "echo $dependency $out > $out";
  folder = sh "folder" { inherit dependency; } ''
    $bb mkdir -p $out/data
    echo '{ name = "imported"; where = ./data; text = builtins.readFile ./data/text; }' > $out/default.nix
    echo $dependency > $out/data/text
    $bb ln -s data/text $out/link
  '';
  imported = import folder;
  listed = builtins.readDir folder;
  through-link = builtins.readFile "${folder}/link";
  from-folder = sh "from-folder" { inherit (imported) name where text; } "echo $text > $out";
  # an expression that makes another derivation, which is imported in its turn
  expression = sh "expression.nix" { } ''
    echo 'sh: n: sh "second.nix" { inherit n; } "echo $((n + 1)) > $out"' > $out
  '';
  second = import expression sh (import number);
  nested = sh "nested-${toString (import second)}" { n = import second; } "echo $n > $out";
  uses-names = sh "uses-names" { names = builtins.readFile names; } "echo \"$names\" > $out";
  length = builtins.stringLength (builtins.readFile names);
  context = builtins.attrNames (builtins.getContext (builtins.readFile names));
  exists = [ (builtins.pathExists dependency) (builtins.pathExists "${dependency}/below") ];
  hash = builtins.hashFile "sha256" dependency;
  hash-of-names = builtins.hashFile "sha256" names;
  type = builtins.readFileType dependency;
  copied = builtins.path { path = dependency; name = "copied"; };
  copied-names = builtins.path { path = names; name = "copied-names"; };
  filtered = builtins.filterSource (path: type: baseNameOf path != "link") folder;
  json = builtins.fromJSON (builtins.readFile (sh "json" { } "echo '[1, 2]' > $out"));
  drv-file = import dependency.drvPath;
  drv-text = builtins.stringLength (builtins.readFile names.drvPath);
  found = __findFile [ { prefix = "x"; path = folder; } ] "x/data/text";
  fails = sh "fails" { } "echo the reason is here; exit 3";
  read-failing = import fails;
  caught = builtins.tryEval (import fails);
  slow = sh "slow" { } "while :; do :; done # ifd-cancel-marker";
  read-slow = import slow;
}
"#;

/// What gives a value that the C++ Nix beside us, which is an old one with its store elsewhere, can be asked for.
const VALUES: &[&str] = &[
    "imported",
    "listed",
    "through-link",
    "length",
    "exists",
    "hash",
    "hash-of-names",
    "copied",
    "copied-names",
    "filtered",
    "json",
    "drv-text",
];

/// What gives a derivation.
const DERIVATIONS: &[&str] = &["second", "nested"];

fn scene() -> Scene {
    Scene::with_text(GRAPH)
}

fn tools() -> [String; 3] {
    ["--arg".to_owned(), "busybox".to_owned(), busybox().display().to_string()]
}

#[track_caller]
fn done(outcome: Outcome) -> Outcome {
    assert!(outcome.success(), "{}", outcome.describe());
    outcome
}

/// One of Nix's commands as floe understands it, on an attribute of the scene.
fn face(scene: &Scene, name: &str, flags: &[&str]) -> Outcome {
    let mut command = scene.world.command(name);
    command.arg(&scene.case).args(tools()).args(flags);
    run(&mut command).expect("floe to start")
}

fn eval(world: &World, attribute: &str, flags: &[&str]) -> Outcome {
    let mut command = world.command("floe");
    command.args(["eval", "-f", "case.nix", attribute, "--json"]).args(tools()).args(flags);
    run(&mut command).expect("floe to start")
}

#[test]
fn values_and_derivations_are_those_of_nix() {
    let scene = scene();
    let Ok(oracle) = Oracle::find() else { return };
    let case = scene.case.to_string_lossy().into_owned();
    let tools = tools();
    let tools: Vec<&str> = tools.iter().map(String::as_str).collect();
    for attribute in VALUES {
        let flags = ["--eval", "--strict", "--json", "--read-write-mode", "-A", attribute];
        let mut args = vec![case.as_str()];
        args.extend(&tools);
        args.extend(flags);
        let nix = done(oracle.run("nix-instantiate", &args)).stdout;
        let floe = done(face(&scene, "nix-instantiate", &flags)).stdout;
        assert_eq!(floe.trim(), nix.trim(), "{attribute}");
        // lifted, and read back as evaluated
        let lifted = done(eval(&scene.world, attribute, &[])).stdout;
        assert_eq!(lifted.trim(), nix.trim(), "lifted: {attribute}");
    }
    for attribute in DERIVATIONS {
        let mut args = vec![case.as_str()];
        args.extend(&tools);
        args.extend(["-A", attribute]);
        let nix = done(oracle.run("nix-instantiate", &args)).stdout;
        assert_eq!(done(face(&scene, "nix-instantiate", &["-A", attribute])).stdout, nix);
        args.push("--no-out-link");
        let nix = done(oracle.run("nix-build", &args)).stdout;
        let flags = ["-A", attribute, "--no-out-link"];
        assert_eq!(done(face(&scene, "nix-build", &flags)).stdout, nix, "{attribute}");
    }
}

/// As C++ Nix 2.34 has it. (The 2.8 beside us keeps its store elsewhere, and does not take what it reads there for
/// paths in the store.)
#[test]
fn what_is_read_depends_on_what_it_names() {
    let scene = scene();
    let text = |attribute: &str| {
        let found = done(eval(&scene.world, attribute, &[])).stdout;
        serde_json::from_str::<serde_json::Value>(&found).expect("JSON")
    };
    let names = [text("dependency.outPath"), text("names.outPath")];
    let mut sorted = names.to_vec();
    sorted.sort_by_key(ToString::to_string);
    assert_eq!(text("context"), serde_json::Value::Array(sorted));
    assert_eq!(text("type"), "regular");
    assert_eq!(text("drv-file.drvPath"), text("dependency.drvPath"));
    assert_eq!(text("drv-file.name"), "dependency");
    assert!(as_text(&text("found")).ends_with("-text"));
    let mut command = scene.world.command("floe");
    command.args(["derivation", "show", "-f", "case.nix", "uses-names"]).args(tools());
    let shown = done(run(&mut command).expect("floe to start")).stdout;
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    let drv = shown.as_object().and_then(|all| all.values().next()).expect("a derivation");
    let sources = drv["inputSrcs"].as_array().expect("its sources");
    assert!(names.iter().all(|path| sources.contains(path)), "{drv}");
    assert_eq!(drv["env"]["names"], format!("{} {}\n", as_text(&names[0]), as_text(&names[1])));
}

fn as_text(value: &serde_json::Value) -> &str {
    value.as_str().expect("text")
}

#[test]
fn what_was_made_of_an_output_builds_under_every_rebuilder() {
    for rebuilder in ["content-addressed", "input-addressed", "as-written"] {
        let scene = scene();
        let tools = tools();
        let mut flags = vec!["--rebuilder", rebuilder];
        flags.extend(tools.iter().map(String::as_str));
        for attribute in ["nested", "uses-names", "from-folder"] {
            let first = done(scene.build(attribute, &flags));
            let again = done(scene.build(attribute, &flags));
            assert_eq!(first.stdout, again.stdout, "{rebuilder} {attribute}");
            assert!(!again.stderr.contains("built "), "nothing runs twice: {}", again.describe());
        }
        // the paths that it names are there, under this rebuilder's own names
        let out = done(scene.build("uses-names", &flags)).stdout;
        let text = std::fs::read_to_string(scene.world.physical(out.trim())).expect("the output");
        for path in text.split_whitespace() {
            assert!(scene.world.path_info(path).is_ok(), "{rebuilder}: {path} is not in the store");
        }
        scene.store_is_sound();
    }
}

#[test]
fn it_can_be_forbidden() {
    let scene = scene();
    let option = ["--option", "allow-import-from-derivation", "false"];
    let refusal = "during evaluation because the option 'allow-import-from-derivation' is disabled";
    fails_saying(&eval(&scene.world, "imported", &option), &[refusal]);
    let mut flags = vec!["-A", "imported", "--eval", "--strict"];
    flags.extend(option);
    fails_saying(&face(&scene, "nix-instantiate", &flags), &[refusal]);
    done(face(&scene, "nix-instantiate", &["-A", "dependency"]));
    let bad = ["--option", "allow-import-from-derivation", "perhaps"];
    fails_saying(&eval(&scene.world, "imported", &bad), &["true or false"]);
    fails_saying(
        &eval(&scene.world, "imported", &["--option", "unheard-of", "1"]),
        &["no setting"],
    );
}

#[test]
fn a_failure_tells_where_and_why() {
    let scene = scene();
    for attribute in ["read-failing", "caught"] {
        let outcome = eval(&scene.world, attribute, &[]);
        fails_saying(&outcome, &["cannot import from derivation 'fails'"]);
        for said in ["the reason is here", "exit code 3", "case.nix:"] {
            assert!(outcome.stderr.contains(said), "{said}: {}", outcome.describe());
        }
    }
    scene.store_is_sound();
}

#[test]
fn a_dry_run_builds_what_it_must_read() {
    let scene = scene();
    let tools = tools();
    let mut flags = vec!["--dry-run"];
    flags.extend(tools.iter().map(String::as_str));
    let outcome = done(scene.build("nested", &flags));
    assert!(outcome.stderr.contains("nested-43"), "{}", outcome.describe());
}

#[test]
fn it_can_be_interrupted() {
    let scene = scene();
    let mut command = scene.world.command("floe");
    command.args(["eval", "-f", "case.nix", "read-slow"]).args(tools());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("floe to start");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !processes_with("ifd-cancel-marker").iter().any(|pid| *pid != child.id()) {
        assert!(Instant::now() < deadline, "the builder does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("to signal floe");
    let status = child.wait().expect("floe to end");
    assert_eq!(status.code(), Some(130), "interrupted");
    no_process_remains("ifd-cancel-marker");
    scene.store_is_sound();
}
