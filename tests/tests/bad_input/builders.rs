//! Builders that fail, are killed, cannot be started, leave things behind or print what nobody can read.

use std::time::Duration;

use floe_tests::scene::{Scene, no_process_remains, processes_with, says};

#[test]
fn a_builder_that_fails() {
    let scene = Scene::with_script("echo last words; exit 3");
    let outcome = scene.bad_fails(&[], &["builder for 'bad' failed with exit code 3"]);
    says(&outcome, &["last words"]);
    says(&outcome, &["the whole log: "]);
    insta::assert_snapshot!(scene.told(&outcome));
}

#[test]
fn a_builder_that_cannot_be_executed() {
    let scene = Scene::with_attributes("", "builder = \"/no/such/builder\";");
    let outcome = scene.bad_fails(&[], &["the builder /no/such/builder could not be executed"]);
    insta::assert_snapshot!(scene.told(&outcome));
}

#[test]
fn a_builder_that_is_killed() {
    // from outside, since the first process of a namespace cannot kill itself
    let marker = "86398.25";
    let scene = Scene::with_script(&format!("exec $bb sleep {marker}"));
    std::thread::scope(|scope| {
        scope.spawn(|| kill_when_seen(marker));
        let outcome = scene.bad_fails(&[], &["builder for 'bad' failed due to signal 9"]);
        says(&outcome, &["it was killed from outside"]);
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
fn a_builder_that_leaves_processes_behind() {
    let marker = "86399.5";
    let scene = Scene::with_script(&format!("$bb setsid $bb sleep {marker} & echo made > $out"));
    scene.made("bad");
    no_process_remains(marker);
    scene.store_is_sound();
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
