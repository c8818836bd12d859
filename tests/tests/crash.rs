//! Faults of the host and of floe's own process: full and read-only file systems, damaged metadata, two commands on
//! one root, kill -9 at any moment. Afterwards the store must be sound and finished work kept.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use floe_tests::oracle::busybox;
use floe_tests::process::run;
use floe_tests::scene::{Scene, fails_saying, no_process_remains, processes_with, says};
use floe_tests::{Outcome, fixture};

/// Starts a command in the background, in a process group of its own.
fn start(command: &mut Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("floe to start")
}

/// Waits until a process with the text in its command line runs.
#[track_caller]
fn wait_for(text: &str) {
    let started = Instant::now();
    while processes_with(text).is_empty() {
        assert!(started.elapsed() < Duration::from_secs(60), "the builder never started");
        std::thread::sleep(Duration::from_millis(10));
    }
}

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
    fails_saying(&outcome, &["no space left", "disk is full"]);
    says(&outcome, &["bad"]);
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
    assert_eq!(outcome.status.code(), Some(100));
    fails_saying(&outcome, &["there is no static shell"]);
    says(&outcome, &["apt-get install busybox-static"]);
}

#[test]
fn a_store_on_a_full_file_system() {
    let scene = Scene::with_script("echo made > $out");
    let outcome =
        build_in_namespace(&scene, "mount -t tmpfs -o size=64k tmpfs \"$FLOE_ROOT\"", "bad");
    fails_saying(&outcome, &["no space left", "disk is full"]);
    says(&outcome, &["root"]);
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
    fails_saying(&outcome, &["read-only"]);
    scene.good_is_kept();
    scene.store_is_sound();
}

#[test]
fn a_root_that_cannot_be_made() {
    let scene = Scene::with_script("echo made > $out");
    let outcome = scene.build("good", &["--root", "/proc/floe"]);
    fails_saying(&outcome, &["/proc/floe"]);
    assert_eq!(
        outcome.stderr.matches("No such file").count(),
        1,
        "a cause is told once: {}",
        outcome.stderr
    );
}

#[test]
fn a_truncated_database_file() {
    for kind in ["MANIFEST", "CURRENT", ".sst", ".log"] {
        let scene = Scene::with_script("echo made > $out");
        assert!(scene.build("good", &[]).success());
        let truncated = truncate_half(&scene.world.root().join("db"), kind);
        let outcome = scene.build("good", &[]);
        // a cut-off log loses its tail and is repaired by opening; other damage must be told
        if truncated && !outcome.success() {
            fails_saying(&outcome, &["db", "database", "metadata"]);
        }
        if outcome.success() {
            scene.store_is_sound();
        }
    }
}

/// Cuts every file of that kind to half its size; whether there was any.
fn truncate_half(dir: &Path, kind: &str) -> bool {
    let mut any = false;
    for entry in fs::read_dir(dir).expect("the database").flatten() {
        if entry.file_name().to_string_lossy().contains(kind) {
            let file =
                fs::File::options().write(true).open(entry.path()).expect("a file of the database");
            let size = file.metadata().expect("its size").len();
            file.set_len(size / 2).expect("to cut it");
            any = true;
        }
    }
    any
}

#[test]
fn two_commands_on_one_root() {
    let marker = "4.03125";
    let scene = Scene::with_script(&format!("$bb sleep {marker}; echo made > $out"));
    let mut first = start(&mut scene.build_command("bad", &[]));
    wait_for(marker);
    // it waits for the first and says so, or works beside it; it never fails half-way
    let second = scene.build("good", &[]);
    if !second.success() {
        fails_saying(&second, &["another floe", "lock", "in use"]);
    }
    assert!(first.wait().expect("the first command").success());
    scene.good_is_kept();
    scene.store_is_sound();
}

#[test]
fn a_second_command_that_does_not_wait() {
    let marker = "5.03125";
    let scene = Scene::with_script(&format!("$bb sleep {marker}; echo made > $out"));
    let mut first = start(&mut scene.build_command("bad", &[]));
    wait_for(marker);
    let second = scene.build("bad", &["--no-wait"]);
    fails_saying(&second, &["in use"]);
    says(&second, &[&format!("process {}", first.id())]);
    assert_eq!(second.status.code(), Some(1));
    assert!(first.wait().expect("the first command").success());
    scene.store_is_sound();
}

#[test]
fn killed_in_the_middle_of_a_build() {
    let marker = "86397.125";
    let scene = Scene::with_script(&format!("$bb sleep {marker}"));
    let mut child = start(&mut scene.build_command("bad", &[]));
    wait_for(marker);
    child.kill().expect("to kill floe");
    child.wait().expect("floe to be gone");
    no_process_remains(marker);
    scene.good_is_kept();
    scene.store_is_sound();
}

#[test]
fn interrupted_in_the_middle_of_a_build() {
    let marker = "86397.25";
    let scene = Scene::with_script(&format!("$bb sleep {marker}"));
    let mut child = start(&mut scene.build_command("bad", &[]));
    wait_for(marker);
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .expect("a process id");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("to interrupt floe");
    let status = child.wait().expect("floe to end");
    assert_eq!(status.code(), Some(130), "the exit code of an interrupted build");
    no_process_remains(marker);
    // no lock is left: what needs the whole store gets it without waiting
    let collection = scene.world.floe(["store", "gc", "--dry-run", "--no-wait"]);
    assert!(collection.success(), "{}", collection.describe());
    scene.good_is_kept();
    scene.store_is_sound();
}

#[test]
fn killed_in_the_middle_of_registration() {
    let library = fixture::folder().join("ca/lib.nix");
    let scene = Scene::with_text(&format!(
        "with import {} {{ busybox = {}; }};\nlet one = i: ca \"n-${{toString i}}\" \"echo ${{toString i}} $out > $out\";\n\
         in {{ all = ca' {{ deps = builtins.genList one 60; }} \"all\" \"echo $deps > $out\"; }}\n",
        library.display(),
        busybox().display()
    ));
    // the store exists before the first kill
    let note = scene.world.file("note", "text");
    assert!(scene.world.floe(["store", "add", &note.to_string_lossy()]).success());
    // each round has a little more time than the one before: kills fall on builds, registrations and the last moments
    for round in 1..=12_u64 {
        let mut child = start(&mut scene.build_command("all", &["-j", "2"]));
        std::thread::sleep(Duration::from_millis(round * 60));
        // it may have finished already
        let _ = child.kill();
        child.wait().expect("floe to be gone");
        scene.store_is_sound();
    }
    let outcome = scene.build("all", &[]);
    assert!(outcome.success(), "{}", outcome.describe());
    let info = scene.world.path_info(outcome.stdout.trim()).expect("its information");
    assert_eq!(info["references"].as_array().map(Vec::len), Some(60));
    scene.store_is_sound();
}
