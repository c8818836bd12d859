//! Bad input: expressions that are wrong and builders that misbehave. Each test makes the real fault happen and checks
//! the message, the exit code, that finished work is kept and that nothing is half registered. Faults of the host and
//! crashes are in `crash.rs`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use floe_tests::scene::{Scene, fails_saying, no_process_remains, processes_with, says};

/// Evaluation fails with the message, and the place in the file.
#[track_caller]
fn does_not_evaluate(text: &str, message: &str, place: &str) {
    let scene = Scene::with_text(text);
    let outcome = scene.build("", &[]);
    fails_saying(&outcome, &[message]);
    says(&outcome, &[place]);
}

#[test]
fn a_syntax_error_is_placed() {
    does_not_evaluate("{\n  a = 1\n}\n", "unexpected '}'", "case.nix:3");
}

#[test]
fn a_missing_attribute_is_placed() {
    does_not_evaluate("let s = { };\nin s.nope\n", "'nope' missing", "case.nix:2");
}

#[test]
fn a_missing_attribute_of_the_command_line_is_named() {
    let scene = Scene::with_text("{ there = 1; }\n");
    fails_saying(&scene.build("not-there", &[]), &["not-there"]);
}

#[test]
fn a_type_error_is_placed() {
    does_not_evaluate("let x = 1;\nin x + { }\n", "cannot add a set to an integer", "case.nix:2");
}

#[test]
fn infinite_recursion_is_placed() {
    does_not_evaluate("let\n  x = x + 1;\nin x\n", "infinite recursion", "case.nix:2");
}

#[test]
fn endless_calls_end_with_a_message() {
    let scene = Scene::with_text("let f = x: 1 + f (x + 1); in f 0\n");
    fails_saying(&scene.build("", &[]), &["depth", "stack overflow", "infinite recursion"]);
}

#[test]
fn deep_nesting_ends_with_a_message() {
    let scene = Scene::with_text(&format!("{}1{}", "(".repeat(200_000), ")".repeat(200_000)));
    fails_saying(&scene.build("", &[]), &["nest", "deep", "depth"]);
}

#[test]
fn a_missing_file_is_named() {
    does_not_evaluate("import ./gone.nix\n", "gone.nix", "case.nix:1");
}

#[test]
fn a_missing_case_is_named() {
    let scene = Scene::with_text("1");
    fails_saying(&scene.world.floe(["build", "-f", "absent.nix", "--no-link"]), &["absent.nix"]);
}

#[test]
fn a_builder_that_fails() {
    let scene = Scene::with_script("echo last words; exit 3");
    let outcome = scene.bad_fails(&[], &["exit code 3", "exit status 3", "code 3", "status 3"]);
    says(&outcome, &["last words"]);
}

#[test]
fn a_builder_that_cannot_be_executed() {
    let scene = Scene::with_attributes("", "builder = \"/no/such/builder\";");
    scene.bad_fails(&[], &["/no/such/builder"]);
}

#[test]
fn a_builder_that_is_killed() {
    // from outside, since the first process of a namespace cannot kill itself
    let marker = "86398.25";
    let scene = Scene::with_script(&format!("exec $bb sleep {marker}"));
    std::thread::scope(|scope| {
        scope.spawn(|| kill_when_seen(marker));
        scene.bad_fails(&[], &["signal 9", "sigkill", "killed"]);
    });
}

/// Kills the builder as soon as it has become the process with the text in its command line.
fn kill_when_seen(text: &str) {
    for _ in 0..3000 {
        for pid in processes_with(text) {
            if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
                // gone already is as good
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                return;
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_builder_that_writes_no_output() {
    let scene = Scene::with_script("echo nothing");
    scene.bad_fails(&[], &["failed to produce output", "output 'out'", "no output"]);
}

#[test]
fn a_builder_that_leaves_one_output_out() {
    let scene = Scene::with_attributes("echo x > $out", "outputs = [ \"out\" \"dev\" ];");
    scene.bad_fails(&[], &["dev"]);
}

#[test]
fn a_builder_that_writes_a_pipe() {
    let scene = Scene::with_script("mkdir $out; mkfifo $out/pipe");
    scene.bad_fails(&[], &["pipe"]);
}

#[test]
fn a_builder_that_writes_a_device_node() {
    // either the sandbox refuses to make it, or the store refuses to take it
    let scene = Scene::with_script("mkdir $out; mknod $out/node c 1 3");
    scene.bad_fails(&[], &["node"]);
}

#[test]
fn a_builder_that_writes_a_set_id_file() {
    let scene = Scene::with_script("mkdir $out; echo x > $out/file; chmod 4755 $out/file");
    scene.bad_fails(&[], &["file"]);
}

#[test]
fn a_builder_that_forks_forever() {
    let marker = "86399.25";
    let scene = Scene::with_script(&format!(
        "while :; do ( $bb sleep {marker} & ); $bb usleep 10000; done"
    ));
    scene.bad_fails(&["--timeout", "2"], &["timed out", "timeout"]);
    no_process_remains(marker);
}

#[test]
fn a_builder_that_leaves_processes_behind() {
    let marker = "86399.5";
    let scene = Scene::with_script(&format!("$bb setsid $bb sleep {marker} & echo made > $out"));
    let outcome = scene.build("bad", &[]);
    assert!(outcome.success(), "{}", outcome.describe());
    no_process_remains(marker);
    scene.store_is_sound();
}

#[test]
fn a_builder_that_ignores_sigterm() {
    let marker = "86399.75";
    let scene = Scene::with_script(&format!(
        "trap \"\" TERM INT HUP; while :; do $bb sleep {marker}; done"
    ));
    let outcome = scene.bad_fails(&["--timeout", "2"], &["timed out", "timeout"]);
    assert!(outcome.wall_ms < 30_000, "it took {} ms to end the builder", outcome.wall_ms);
    no_process_remains(marker);
}

#[test]
fn a_silent_builder() {
    let scene = Scene::with_script("$bb sleep 86398.5");
    scene.bad_fails(&["--max-silent-time", "2"], &["silent", "silence", "no output for"]);
    no_process_remains("86398.5");
}

#[test]
fn a_builder_that_prints_endlessly_without_newlines() {
    let scene = Scene::with_script("$bb cat /dev/zero");
    scene.bad_fails(&["--timeout", "20"], &["log", "timed out"]);
}

#[test]
fn a_builder_that_prints_binary() {
    let scene = Scene::with_script(
        "head -c 300000 /dev/urandom >&2; printf '\\033]0;title\\007\\033[2J\\n'; echo made > $out",
    );
    let outcome = scene.build("bad", &["-L"]);
    assert!(outcome.success(), "{}", outcome.describe());
    assert!(
        !outcome.stderr.contains("\x1b]0;"),
        "escape sequences of a builder reached the terminal"
    );
    scene.store_is_sound();
}

#[test]
fn a_wrong_fixed_output_hash() {
    let wrong = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let attributes =
        format!("__contentAddressed = false; outputHashMode = \"flat\"; outputHash = \"{wrong}\";");
    let scene = Scene::with_attributes("echo content > $out", &attributes);
    let outcome = scene.bad_fails(&[], &["mismatch"]);
    says(&outcome, &[wrong]);
    // the SHA-256 of "content\n", for the reader to copy
    says(
        &outcome,
        &[
            "sha256-Q0copBCnj1b8G1iZw1k0NuYasMcx6QctleltspAgXlM=",
            "434728a410a78f56fc1b5899c3593436e61ab0c731e9072d95e96db290205e53",
        ],
    );
}

#[test]
fn a_forbidden_reference() {
    let scene = Scene::with_attributes("echo $good > $out", "allowedReferences = [ ];");
    scene.bad_fails(&[], &["not allowed to refer", "allowedReferences"]);
}

#[test]
fn a_cycle_between_outputs() {
    let scene = Scene::with_attributes(
        "echo $dev > $out; echo $out > $dev",
        "outputs = [ \"out\" \"dev\" ];",
    );
    scene.bad_fails(&[], &["cycle"]);
}

#[test]
fn a_corrupted_object_is_found() {
    let scene = Scene::with_script("echo made > $out");
    let outcome = scene.build("good", &[]);
    let path = outcome.stdout.trim().to_owned();
    let file = scene.world.physical(&path);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("the object as a file");
    fs::write(&file, "finished lies\n").expect("the object to be writable");
    let verify = scene.world.floe(["store", "verify"]);
    fails_saying(&verify, &["good"]);
    says(&verify, &["corrupt", "mismatch", "differs", "changed"]);
}
