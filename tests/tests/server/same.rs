//! The same bytes come out with a server and without.

use std::fs;

use floe_tests::Outcome;
use floe_tests::scene::{Scene, steps};
use serde_json::Value;

use crate::Served;

const MORE: &str = r#"  middle = sh "middle" [ "out" ] { inherit base; } "read word < $base; echo middle $word; echo middle $word > $out";
  spoken = builtins.trace "on the way" top;
  warned = builtins.warn "careful" top;
  imported = import (sh "made" [ "out" ] { } "echo '{ word = \"made\"; }' > $out");
  after = sh "after-${imported.word}" [ "out" ] { } "echo > $out";
  several = { inherit base middle; inner = { recurseForDerivations = true; inherit top; }; };
  nothing = { };
  wrong = sh "wrong" [ "out" ] { x = 1 + "text"; } "echo > $out";
  thrown = throw "never";
"#;

/// One world with a server and one without.
struct Pair {
    served: Served,
    alone: Scene,
}

impl Pair {
    fn new() -> Pair {
        let text = steps(MORE);
        Pair { served: Served::with_text(&text), alone: Scene::with_text(&text) }
    }

    /// The same command in both.
    #[track_caller]
    fn both(&self, attribute: &str, flags: &[&str]) -> Outcome {
        let served = self.served.build(attribute, &[&["-j1"], flags].concat());
        let alone = self.alone.build(attribute, &[&["-j1"], flags].concat());
        self.compare(&served, &alone);
        served
    }

    /// The same, where a builder may begin before or after the one before it is registered.
    #[track_caller]
    fn both_in_any_order(&self, flags: &[&str]) {
        let sorted = |mut outcome: Outcome| {
            let mut lines: Vec<&str> = outcome.stderr.lines().collect();
            lines.sort_unstable();
            outcome.stderr = lines.join("\n");
            outcome
        };
        let flags = [&["-j1"], flags].concat();
        let served = sorted(self.served.build("", &flags));
        self.compare(&served, &sorted(self.alone.build("", &flags)));
    }

    #[track_caller]
    fn compare(&self, served: &Outcome, alone: &Outcome) {
        let place = |scene: &Scene| scene.world.root().to_string_lossy().into_owned();
        let told = |scene: &Scene, outcome: &Outcome| {
            let stdout = outcome.stdout.replace(&place(scene), "ROOT");
            let timeless = |line: &&str| {
                !line.contains("its builder took") && !line.starts_with("since request")
            };
            let stdout: Vec<&str> = stdout.lines().filter(timeless).collect();
            let stdout = stdout.join("\n");
            (outcome.status.code(), stdout, scene.told(outcome))
        };
        assert_eq!(told(&self.served.scene, served), told(&self.alone, alone));
    }

    #[track_caller]
    fn command(&self, args: &[&str]) {
        self.compare(&self.served.floe(args), &self.alone.world.floe(args));
    }
}

#[test]
fn builds_say_the_same() {
    let pair = Pair::new();
    pair.both("top", &["--dry-run"]);
    pair.both("top", &["--dry-run", "--json"]);
    assert!(pair.both("top", &["-L"]).success());
    assert!(pair.both("top", &[]).success());
    pair.both("top", &["--json"]);
    pair.both("top", &["--physical"]);
    pair.both("top", &["--dry-run"]);
    pair.both("top", &["--argstr", "comment", "x"]);
    pair.both("top", &["--arg", "edit", "\"two\"", "--quiet"]);
    assert!(pair.both("several", &["--json"]).success());
    pair.command(&["explain", "top"]);
    pair.command(&["store", "ls"]);
    pair.command(&["store", "verify"]);
}

#[test]
fn failures_say_the_same() {
    let pair = Pair::new();
    for _ in 0..2 {
        assert_eq!(pair.both("above", &[]).status.code(), Some(100));
        pair.both_in_any_order(&["above", "top", "--keep-going"]);
        for wrong in ["wrong", "thrown", "absent", "nothing", "top.absent"] {
            assert_eq!(pair.both(wrong, &[]).status.code(), Some(1), "{wrong}");
            pair.both(wrong, &["--show-trace"]);
        }
        pair.both("top", &["--max-jobs", "0"]);
        pair.both("top", &["--allow-missing-layer", "no-such-layer"]);
        pair.both("top", &["--option", "no-such-setting", "true"]);
        pair.both("top", &["--rebuilder", "no-such-rebuilder"]);
    }
    for scene in [&pair.served.scene, &pair.alone] {
        fs::write(&scene.case, "{ a = }").expect("ours");
    }
    pair.both("top", &[]);
    for scene in [&pair.served.scene, &pair.alone] {
        fs::remove_file(&scene.case).expect("ours");
    }
    pair.both("top", &[]);
}

#[test]
fn what_evaluation_says_is_said_each_time() {
    let pair = Pair::new();
    for _ in 0..3 {
        let said = pair.both("spoken", &[]).stderr;
        assert!(said.contains("trace: on the way"), "{said}");
        pair.both("warned", &[]);
    }
    // After an edit, too.
    for scene in [&pair.served.scene, &pair.alone] {
        fs::write(&scene.case, steps(MORE).replace("one", "three")).expect("ours");
    }
    pair.both("spoken", &[]);
}

#[test]
fn what_evaluation_builds_is_built_once() {
    let pair = Pair::new();
    for _ in 0..2 {
        pair.both("after", &[]);
        pair.both("after", &["--dry-run"]);
    }
    let refused = pair.both("after", &["--option", "allow-import-from-derivation", "false"]);
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn reports_hold_the_same() {
    let pair = Pair::new();
    let report = |scene: &Scene| -> Vec<Value> {
        let text = fs::read_to_string(scene.world.work().join("report")).expect("the report");
        let mut lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
        for line in &mut lines {
            let fields = line.as_object_mut().expect("an object");
            // What is different in every run.
            fields.retain(|name, _| {
                let is_time = name == "at" || name.ends_with("_ms");
                !is_time && !name.starts_with("queries") && name != "derivations_resolved"
            });
        }
        lines
    };
    for flags in [&[][..], &["--argstr", "comment", "x"], &["--argstr", "comment", "x"]] {
        pair.both("top", &[&["--report", "report"], flags].concat());
        assert_eq!(report(&pair.served.scene), report(&pair.alone), "{flags:?}");
    }
    pair.both("top", &["--report", "no/such/folder/report"]);
}

#[test]
fn links_lead_to_the_same_places() {
    let pair = Pair::new();
    let link = |scene: &Scene, name: &str| {
        let target = fs::read_link(scene.world.work().join(name)).ok()?;
        Some(target.file_name().expect("a name").to_owned())
    };
    let build = |args: &[&str]| {
        let run = |mut command: std::process::Command| {
            floe_tests::process::run(&mut command).expect("floe to start")
        };
        let mut served = pair.served.scene.world.command("floe");
        served.args(["build", "-q", "--server", "-f", "case.nix"]).args(args);
        let mut alone = pair.alone.world.command("floe");
        alone.args(["build", "-q", "-f", "case.nix"]).args(args);
        pair.compare(&run(served), &run(alone));
    };
    for _ in 0..2 {
        build(&["base", "top", "base.dev"]);
        for name in ["result", "result-2", "result-3-dev"] {
            let served = link(&pair.served.scene, name);
            assert_eq!(served, link(&pair.alone, name), "{name}");
            assert!(served.is_some(), "{name}");
        }
        for scene in [&pair.served.scene, &pair.alone] {
            fs::remove_file(scene.world.work().join("result")).expect("a link");
        }
    }
    for scene in [&pair.served.scene, &pair.alone] {
        fs::write(scene.world.work().join("in-the-way"), "").expect("ours");
    }
    build(&["top", "-o", "in-the-way"]);
    build(&["top", "-o", "no/such/folder/link"]);
}
