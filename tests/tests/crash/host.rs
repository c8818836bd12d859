//! What the host does not give: space, a writable file system, a shell.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use floe_tests::Outcome;
use floe_tests::process::run;
use floe_tests::scene::{Scene, fails_with, says};

/// Runs the build of an attribute in a mount namespace of its own (and, without root, a user
/// namespace), after shell commands that mount something over the store root, which exists already.
fn build_in_namespace(scene: &Scene, prepare: &str, attribute: &str) -> Outcome {
    fs::create_dir_all(scene.world.root()).expect("the store root");
    let inner = scene.build_command(attribute, &[]);
    let mut command = Command::new("unshare");
    if !rustix::process::getuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "--propagation", "private", "sh", "-ec"]);
    command
        .arg(format!("{prepare}; exec \"$@\""))
        .arg("sh")
        .arg(inner.get_program())
        .args(inner.get_args());
    command.env_clear().current_dir(scene.world.work());
    for (name, value) in inner.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    run(&mut command).expect("unshare of util-linux")
}

#[test]
fn a_builder_that_fills_the_disk() {
    let scene = Scene::with_script("mkdir $out; dd if=/dev/zero of=$out/big bs=1M count=200");
    let outcome =
        build_in_namespace(&scene, "mount -t tmpfs -o size=64m tmpfs \"$FLOE_ROOT\"", "bad");
    fails_with(&outcome, 100, &["no space left", "disk is full"]);
    says(&outcome, &["builder for 'bad'"]);
}

#[test]
fn ten_builders_on_a_disk_that_fills() {
    let scene = Scene::with_text(
        r#"let
             make = name: inputs: size: derivation {
               inherit name inputs;
               system = "x86_64-linux";
               builder = "/bin/sh";
               args = [ "-ec" "sleep 1; dd if=/dev/urandom of=$out bs=1M count=${toString size}" ];
             };
           in make "top" (builtins.genList (n: make "part-${toString n}" [ ] (2 * n + 2)) 10) 1"#,
    );
    // On 64 MB, all at the same time; then with room.
    let twice = "mount -t tmpfs -o size=64m tmpfs \"$FLOE_ROOT\"; \
                 if \"$@\" -j 10 --keep-going; then exit 9; fi; \
                 echo room >&2; mount -o remount,size=1g \"$FLOE_ROOT\"";
    let outcome = build_in_namespace(&scene, twice, "");
    assert!(outcome.success(), "{}", outcome.describe());
    let (first, second) = outcome.stderr.split_once("room\n").expect("the second run");
    let words = ["no space left", "disk is full"];
    let said = first.to_lowercase();
    assert!(words.iter().any(|word| said.contains(word)), "{first}");
    let (first, second) = (built(first), built(second));
    assert!(first.len() < 10, "they do not fit: {first:?}");
    assert!(first.is_disjoint(&second), "finished work is lost: {first:?}, then {second:?}");
    assert_eq!(first.len() + second.len(), 11, "{first:?}, then {second:?}");
}

#[test]
fn what_builders_said_before_the_disk_was_full() {
    // So many that a page of the file system which was begun before does not hold what is written of them.
    let scene = Scene::with_text(
        r#"builtins.genList (n: derivation {
             name = "bad-${toString n}";
             system = "x86_64-linux";
             builder = "/bin/sh";
             args = [ "-ec" "echo cannot find zlib.h; sleep 3; exit 1" ];
           }) 40"#,
    );
    let fills = "mount -t tmpfs -o size=64m tmpfs \"$FLOE_ROOT\"; \
                 (for i in $(seq 200); do \
                    if [ $(ls \"$FLOE_ROOT\"/log/* | grep -c bad-) = 40 ]; then break; fi; sleep 0.02; \
                  done; \
                  for i in $(seq 100); do \
                    dd if=/dev/zero bs=4k >>\"$FLOE_ROOT/big\" 2>/dev/null || sleep 0.05; \
                  done) & exec \"$@\" -j 40 --keep-going";
    let outcome = build_in_namespace(&scene, fills, "");
    fails_with(&outcome, 1, &["no space left", "the disk is full"]);
    says(&outcome, &["before that, 'bad-0' failed"]);
    says(&outcome, &["cannot find zlib.h"]);
}

/// What was built, by the lines that tell of it.
fn built(text: &str) -> BTreeSet<&str> {
    let names = text.lines().filter_map(|line| line.strip_prefix("built ")?.split(' ').next());
    names.collect()
}

#[test]
fn no_static_shell_is_installed() {
    let scene = Scene::with_text(
        "derivation { name = \"bad\"; system = \"x86_64-linux\"; builder = \"/bin/sh\"; args = [ \"-c\" \"echo > $out\" ]; }",
    );
    // a device over each place where one is looked for
    let hide = "for shell in /bin/busybox /usr/bin/busybox /bin/busybox.static; do \
                if [ -e $shell ]; then mount --bind /dev/null $shell; fi; done";
    let outcome = build_in_namespace(&scene, hide, "");
    fails_with(&outcome, 100, &["there is no static shell"]);
    says(&outcome, &["apt-get install busybox-static"]);
}

#[test]
fn a_store_on_a_full_file_system() {
    let scene = Scene::with_script("echo made > $out");
    let outcome =
        build_in_namespace(&scene, "mount -t tmpfs -o size=64k tmpfs \"$FLOE_ROOT\"", "bad");
    fails_with(&outcome, 1, &["the disk is full; free some space"]);
    says(&outcome, &["/root"]);
}

#[test]
fn a_store_on_a_read_only_file_system() {
    let scene = Scene::with_script("echo made > $out");
    assert!(scene.build("good", &[]).success());
    let outcome = build_in_namespace(
        &scene,
        "mount --bind \"$FLOE_ROOT\" \"$FLOE_ROOT\"; mount -o remount,ro,bind \"$FLOE_ROOT\"",
        "bad",
    );
    fails_with(&outcome, 1, &["the file system is read-only"]);
    says(&outcome, &["remount it writable or choose another store with --root DIR"]);
    scene.good_is_kept();
    scene.store_is_sound();
}

#[test]
fn a_root_that_cannot_be_made() {
    let scene = Scene::with_script("echo made > $out");
    let outcome = scene.build("good", &["--root", "/proc/floe"]);
    fails_with(&outcome, 1, &["cannot create the store root \"/proc/floe\""]);
    says(&outcome, &["choose a place below a directory that you may write to, with --root DIR"]);
    assert_eq!(
        outcome.stderr.matches("No such file").count(),
        1,
        "a cause is told once: {}",
        outcome.stderr
    );
}
