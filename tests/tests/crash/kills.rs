//! Two commands on one root, and commands that are killed or interrupted while a builder runs.

use floe_tests::process::interrupt;
use floe_tests::scene::{Scene, fails_with, no_process_remains, says};

#[test]
fn two_commands_on_one_root() {
    let marker = "4.03125";
    let scene = Scene::with_script(&format!("$bb sleep {marker}; echo made > $out"));
    let mut first = scene.start("bad", &[]);
    scene.wait_for(marker);
    // it waits for the first, says so, and finds the work done
    let second = scene.build("bad", &[]);
    assert!(second.success(), "{}", second.describe());
    says(&second, &[&format!("process {}", first.id())]);
    assert!(first.wait().expect("the first command").success());
    scene.good_is_kept();
    scene.store_is_sound();
}

#[test]
fn a_second_command_that_does_not_wait() {
    let marker = "5.03125";
    let scene = Scene::with_script(&format!("$bb sleep {marker}; echo made > $out"));
    let mut first = scene.start("bad", &[]);
    scene.wait_for(marker);
    let second = scene.build("bad", &["--no-wait"]);
    fails_with(&second, 1, &["is in use"]);
    says(&second, &[&format!("process {} holds", first.id())]);
    says(&second, &["wait for it to end, or run without --no-wait"]);
    assert!(first.wait().expect("the first command").success());
    scene.store_is_sound();
}

#[test]
fn killed_in_the_middle_of_a_build() {
    let marker = "86397.125";
    let scene = Scene::with_script(&format!("$bb sleep {marker}"));
    let mut child = scene.start("bad", &[]);
    scene.wait_for(marker);
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
    let mut child = scene.start("bad", &[]);
    scene.wait_for(marker);
    interrupt(&child);
    let status = child.wait().expect("floe to end");
    assert_eq!(status.code(), Some(130), "the exit code of an interrupted build");
    no_process_remains(marker);
    scene.good_is_kept();
    scene.store_is_sound();
}
