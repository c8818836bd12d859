//! Expressions that are wrong: each error names what, the place in the file, and costs exit status 1.

use std::fs;

use floe_tests::scene::{Scene, fails_with, says};

/// Evaluation fails with exit status 1, the message, and the place in the file.
#[track_caller]
fn does_not_evaluate(text: &str, message: &str, place: &str) -> (Scene, String) {
    let scene = Scene::with_text(text);
    let outcome = scene.build("", &[]);
    fails_with(&outcome, 1, &[message]);
    says(&outcome, &[place]);
    let told = scene.told(&outcome);
    (scene, told)
}

#[test]
fn a_syntax_error_is_placed() {
    let (_, told) = does_not_evaluate("{\n  a = 1\n}\n", "unexpected '}'", "case.nix:3:1");
    insta::assert_snapshot!(told);
}

#[test]
fn a_missing_attribute_is_placed() {
    let text = "let s = { north = 1; };\nin s.nort\n";
    let (_, told) = does_not_evaluate(text, "'nort' missing", "case.nix:2:4");
    insta::assert_snapshot!(told);
}

#[test]
fn a_missing_attribute_of_the_command_line_is_named() {
    let scene = Scene::with_text("{ there = 1; }\n");
    let outcome = scene.build("not-there", &[]);
    fails_with(&outcome, 1, &["not-there"]);
    insta::assert_snapshot!(scene.told(&outcome));
}

#[test]
fn a_type_error_is_placed() {
    let text = "let x = 1;\nin x + { }\n";
    let (_, told) = does_not_evaluate(text, "cannot add a set to an integer", "case.nix:2:8");
    insta::assert_snapshot!(told);
}

#[test]
fn infinite_recursion_is_placed() {
    let (_, told) =
        does_not_evaluate("let\n  x = x + 1;\nin x\n", "infinite recursion", "case.nix:2:7");
    insta::assert_snapshot!(told);
}

#[test]
fn endless_calls_end_with_a_message() {
    let text = "let f = x: 1 + f (x + 1); in f 0\n";
    does_not_evaluate(text, "max-call-depth exceeded", "case.nix:1");
}

#[test]
fn deep_nesting_ends_with_a_message() {
    let scene = Scene::with_text(&format!("{}1{}", "(".repeat(200_000), ")".repeat(200_000)));
    fails_with(&scene.build("", &[]), 1, &["nest", "deep", "depth"]);
}

#[test]
fn a_missing_file_is_named() {
    let (_, told) = does_not_evaluate("import ./gone.nix\n", "gone.nix", "case.nix:1:1");
    insta::assert_snapshot!(told);
}

#[test]
fn a_missing_case_is_named() {
    let scene = Scene::with_text("1");
    let outcome = scene.world.floe(["build", "-f", "absent.nix", "--no-link"]);
    fails_with(&outcome, 1, &["absent.nix"]);
    insta::assert_snapshot!(scene.told(&outcome));
}

/// Reading a device, a pipe or an endless file would take all memory, or all time.
#[test]
fn files_that_never_end_are_refused() {
    let device = "it is a device, which has no content of its own";
    for read in ["builtins.readFile /dev/zero", "import /dev/zero", "import /dev/urandom"] {
        let (_, told) =
            does_not_evaluate(&format!("let x = 1;\nin {read}\n"), device, "case.nix:2");
        assert!(told.contains("/dev/"), "{told}");
    }
    let text = "builtins.hashFile \"sha256\" /dev/zero\n";
    does_not_evaluate(text, device, "case.nix:1");
    let (_, told) = does_not_evaluate("builtins.readFile /dev/zero\n", device, "case.nix:1");
    insta::assert_snapshot!(told);
    // as sources of derivations, devices were never taken
    let text = "derivation { name = \"x\"; system = \"x86_64-linux\"; builder = \"/bin/sh\"; src = /dev/zero; }";
    let scene = Scene::with_text(text);
    fails_with(&scene.build("", &[]), 1, &["/dev/zero' is a character device"]);
}

#[test]
fn pipes_and_huge_files_are_refused() {
    let scene =
        Scene::with_text("{ pipe = builtins.readFile ./pipe; huge = builtins.readFile ./huge; }");
    let pipe = scene.world.work().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .expect("a pipe");
    let outcome = scene.build("pipe", &[]);
    fails_with(&outcome, 1, &["it is a named pipe, which may never end"]);
    says(&outcome, &["case.nix:1"]);
    let huge = fs::File::create(scene.world.work().join("huge")).expect("a file");
    huge.set_len(1 << 40).expect("a size without content");
    let outcome = scene.build("huge", &[]);
    fails_with(&outcome, 1, &["it is larger than 1024 MiB"]);
    says(&outcome, &["/huge'"]);
}

#[test]
fn names_that_are_no_ascii_are_shown() {
    let (_, told) =
        does_not_evaluate("{ \u{e9} = 1; }\n", "unexpected invalid token", "case.nix:1:3");
    assert!(!told.contains("panicked"), "{told}");
}

#[test]
fn strings_have_a_limit() {
    let text = "let\n  f = n: s: if n == 0 then s else f (n - 1) (s + s);\nin builtins.stringLength (f 40 \"xxxx\")\n";
    does_not_evaluate(text, "longer than the limit of 1 GiB", "case.nix:2");
}
