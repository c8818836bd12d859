//! Prediction in real stores: what is foreseen, with a patch or without, what builds teach, and what becomes of patches
//! that do not fit. The model itself is the engine's to test.

use std::fs;

use floe_tests::Outcome;
use floe_tests::scene::Scene;
use serde_json::Value;

/// `base` leaves comments out, two use it, and `top` uses those; `docs`, `filtered` and `listed`
/// are made of a folder.
const GRAPH: &str = r#"let
  sh = name: env: script: derivation ({
    inherit name;
    system = "x86_64-linux";
    builder = "/bin/sh";
    args = [ "-e" "-c" script ];
  } // env);
in rec {
  base = sh "base-1.0" { src = ./src/base.c; } ''
    while read -r line; do case "$line" in //*) ;; *) echo "$line" ;; esac; done < $src > $out
  '';
  left = sh "left" { inherit base; } "read l < $base; echo left $l > $out";
  right = sh "right" { inherit base; } "read l < $base; echo right $l > $out";
  top = sh "top" { inherit left right; } "echo $left $right > $out";
  docs = sh "docs" { src = ./docs; } "for file in $src/*; do echo $file; done > $out";
  filtered = sh "filtered" {
    src = builtins.filterSource (path: type: baseNameOf path != "two") ./docs;
  } "for file in $src/*; do echo $file; done > $out";
  listed = sh "listed" { names = builtins.attrNames (builtins.readDir ./docs); } "echo $names > $out";
  untouched = sh "untouched" { src = ./src/other; } "echo > $out";
}
"#;

fn scene() -> Scene {
    let scene = Scene::with_text(GRAPH);
    scene.world.file("src/base.c", "// zero\nint x;\nint y;\n");
    scene.world.file("src/other", "");
    scene.world.file("docs/one", "1\n");
    scene.world.file("docs/two", "2\n");
    scene
}

#[track_caller]
fn done(outcome: Outcome) -> Outcome {
    assert!(outcome.success(), "{}", outcome.describe());
    outcome
}

#[track_caller]
fn json(outcome: Outcome) -> Value {
    serde_json::from_str(&done(outcome).stdout).expect("JSON")
}

/// `floe predict` with a patch.
fn predict(scene: &Scene, patch: &str, args: &[&str]) -> Outcome {
    scene.world.file("try.patch", patch);
    let all = [&["predict", "-f", "case.nix", "--patch", "try.patch"], args].concat();
    scene.world.floe(all)
}

/// What is foreseen for a derivation.
#[track_caller]
fn foreseen<'j>(said: &'j Value, name: &str) -> &'j Value {
    let mut all = said["derivations"].as_array().expect("derivations").iter();
    all.find(|foreseen| foreseen["name"] == name).expect("it is foreseen")
}

fn probability(said: &Value, name: &str) -> f64 {
    foreseen(said, name)["probability"].as_f64().expect("a number")
}

#[test]
fn what_edits_did_is_what_they_are_expected_to_do() {
    let scene = scene();
    let dry = || json(scene.build("top", &["--dry-run", "--json"]));
    let edit = |text: String| scene.world.file("src/base.c", text);
    done(scene.build("top", &[]));
    edit("// one\nint x;\n".to_owned());
    let first = dry();
    assert_eq!(first["will_build"], serde_json::json!(["base-1.0"]));
    assert_eq!(first["may_build"], serde_json::json!(["left", "right", "top"]));
    assert_eq!(foreseen(&first, "base-1.0")["likelihood"], "certain");
    done(scene.build("top", &[]));
    for nth in 0..8 {
        edit(format!("// comment {nth}\nint x;\n"));
        done(scene.build("top", &[]));
    }
    edit("// another comment\nint x;\n".to_owned());
    let later = dry();
    let why = foreseen(&later, "base-1.0")["why"].as_str().expect("text");
    assert_eq!(why, "its source 'base.c' changed, in comments only");
    assert!(probability(&later, "left") < 0.2, "{later:#}");
    assert_eq!(foreseen(&later, "left")["likelihood"], "unlikely");
    assert_eq!(foreseen(&later, "left")["why"], "if 'base-1.0' comes out otherwise");
    // Both run in the same futures: whoever uses both is no likelier to run than either.
    assert!(probability(&later, "top") <= probability(&later, "left") + 0.001, "{later:#}");
    edit("// another comment\nint z;\n".to_owned());
    let code = dry();
    assert!(probability(&code, "left") > 0.6, "{code:#}");
    // Times are those of former runs.
    assert_eq!(foreseen(&later, "base-1.0")["own_time"], true);
    let expected = &later["expected"];
    let wall: Vec<u64> = ["low", "median", "high"]
        .iter()
        .map(|end| expected["wall_ms"][end].as_u64().expect("milliseconds"))
        .collect();
    assert!(wall.is_sorted() && expected["builders"]["low"] == 1, "{expected}");
}

#[test]
fn a_dry_run_reads_well() {
    let scene = scene();
    let told = |flags: &[&str]| scene.told(&done(scene.build("top", flags)));
    insta::assert_snapshot!("predicted-cold", told(&["--dry-run", "-j2"]));
    done(scene.build("top", &["-j2"]));
    scene.world.file("src/base.c", "// zero\nint changed;\nint y;\n");
    insta::assert_snapshot!("predicted-edit", told(&["--dry-run", "-j2"]));
    let bare = ["--dry-run", "-j2", "--rebuilder", "input-addressed"];
    done(scene.build("top", &["-j2", "--rebuilder", "input-addressed"]));
    scene.world.file("src/base.c", "// one\nint changed;\nint y;\n");
    insta::assert_snapshot!("predicted-without-cutoffs", told(&bare));
}

#[test]
fn a_patch_is_tried_on_what_is_evaluated_and_on_nothing_else() {
    let scene = scene();
    done(scene.build("", &[]));
    let patch = "diff --git a/src/base.c b/src/base.c\n--- a/src/base.c\n+++ b/src/base.c\n\
                 @@ -1,3 +1,3 @@\n // zero\n-int x;\n+int other;\n int y;\n\
                 diff --git a/docs/three b/docs/three\nnew file mode 100644\n--- /dev/null\n+++ b/docs/three\n\
                 @@ -0,0 +1 @@\n+3\n\
                 diff --git a/docs/one b/docs/one\ndeleted file mode 100644\n--- a/docs/one\n+++ /dev/null\n\
                 @@ -1 +0,0 @@\n-1\n";
    let tried = json(predict(&scene, patch, &["--json"]));
    let will = serde_json::json!(["base-1.0", "docs", "filtered", "listed"]);
    assert_eq!(tried["will_build"], will);
    assert_eq!(tried["may_build"], serde_json::json!(["left", "right", "top"]));
    let work = scene.world.work();
    assert_eq!(
        fs::read_to_string(work.join("src/base.c")).expect("there"),
        "// zero\nint x;\nint y;\n"
    );
    assert!(work.join("docs/one").exists() && !work.join("docs/three").exists());
    let null = json(scene.build("", &["--dry-run", "--json"]));
    assert_eq!(null["will_build"], serde_json::json!([]), "nothing happened");

    // The same edit in earnest is the same request.
    scene.world.file("src/base.c", "// zero\nint other;\nint y;\n");
    scene.world.file("docs/three", "3\n");
    fs::remove_file(work.join("docs/one")).expect("it is there");
    assert_eq!(json(scene.build("", &["--dry-run", "--json"])), tried);

    // An expression is patched like any file, from wherever the patch was made.
    let patch = "--- old/project/case.nix\n+++ new/project/case.nix\n@@ -13,3 +13,3 @@\n\
                 \x20  left = sh \"left\" { inherit base; } \"read l < $base; echo left $l > $out\";\n\
                 -  right = sh \"right\" { inherit base; } \"read l < $base; echo right $l > $out\";\n\
                 +  right = sh \"right\" { inherit base; } \"read l < $base; echo RIGHT $l > $out\";\n\
                 \x20  top = sh \"top\" { inherit left right; } \"echo $left $right > $out\";\n";
    done(scene.build("", &[]));
    let tried = json(predict(&scene, patch, &["--json", "--strip", "2", "top"]));
    assert_eq!(tried["will_build"], serde_json::json!(["right"]));
    assert_eq!(foreseen(&tried, "right")["why"], "its instructions changed");
    let tried = json(predict(&scene, patch, &["--json", "top"]));
    assert_eq!(tried["will_build"], serde_json::json!(["right"]), "found in the folder above");
}

#[test]
fn a_patch_that_does_not_fit_says_where() {
    let scene = scene();
    let hunk = "@@ -1,2 +1,2 @@\n // zero\n-int x;\n+int z;\n";
    let head = |name: &str| format!("--- a/{name}\n+++ b/{name}\n");
    let patches = [
        String::new(),
        "no patch\n".to_owned(),
        head("src/base.c") + &hunk.replace("int x", "int q"),
        head("src/absent.c") + hunk,
        head("../base.c") + hunk,
        "diff --git a/x.png b/x.png\nindex 1..2 100644\nBinary files a/x.png and b/x.png differ\n"
            .to_owned(),
    ];
    let mut words = Vec::new();
    for patch in patches {
        let outcome = predict(&scene, &patch, &["top"]);
        assert_eq!(outcome.status.code(), Some(1), "{}", outcome.describe());
        words.push(scene.told(&outcome));
    }
    let absent = scene.world.floe(["predict", "-f", "case.nix", "--patch", "absent.patch"]);
    words.push(scene.told(&absent));
    insta::assert_snapshot!("patches-that-do-not-fit", words.join("\n"));
}

#[test]
fn builds_score_what_was_foreseen() {
    let scene = scene();
    let stats = || json(scene.world.floe(["stats", "--json"]));
    done(scene.build("top", &[]));
    assert_eq!(stats()["predictions"], 0, "what was never built is no feat");
    assert_eq!(stats()["certain"], serde_json::json!({ "predictions": 1, "ran": 1 }));
    for nth in 0..5 {
        scene.world.file("src/base.c", format!("// comment {nth}\nint x;\n"));
        done(scene.build("top", &[]));
    }
    let scored = stats();
    assert_eq!((&scored["predictions"], &scored["requests"]), (&15.into(), &5.into()));
    let brier = |of: &str| scored["brier"][of].as_f64().expect("a number");
    assert!(brier("predicted") < 0.25, "{scored:#}");
    assert_eq!(scored["reliability"].as_array().map(Vec::len), Some(10));
    assert_eq!(scored["times"]["requests"], 5);
    done(scene.build("top", &[]));
    assert_eq!(stats(), scored, "a null build teaches nothing");
    let text = done(scene.world.floe(["stats"])).stdout;
    for words in ["Brier score", "the base rate", "Reliability", "Expected times"] {
        assert!(text.contains(words), "{text}");
    }
    let other = json(scene.world.floe(["stats", "--json", "--rebuilder", "verifying"]));
    assert_eq!(other["predictions"], 0, "each rebuilder has an account of its own");
}
