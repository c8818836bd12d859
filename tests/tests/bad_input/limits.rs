//! Builders that want too much: time, silence, log, processes, memory, disk. Each is ended or told no, and the message
//! names the bound and its flag. What fills a whole file system is in `crash`.

use floe_tests::scene::{Scene, no_process_remains, says};

#[test]
fn a_builder_that_forks_forever_ends_at_the_timeout() {
    let marker = "86399.25";
    let scene = Scene::with_script(&format!(
        "while :; do ( $bb sleep {marker} & ); $bb usleep 10000; done"
    ));
    let outcome = scene.bad_fails(&["--timeout", "2"], &["timed out after 2 seconds"]);
    says(&outcome, &["see --timeout"]);
    no_process_remains(marker);
}

#[test]
fn a_builder_that_forks_forever_ends_at_the_process_limit() {
    let marker = "86399.125";
    // without --timeout: the shell gives up when it cannot fork
    let scene = Scene::with_script(&format!("while :; do $bb sleep {marker} & done"));
    let outcome = scene.bad_fails(&["--max-processes", "50"], &["it ran under --max-processes 50"]);
    says(&outcome, &["can't fork"]);
    no_process_remains(marker);
}

#[test]
fn a_builder_that_ignores_sigterm() {
    let marker = "86399.75";
    let scene = Scene::with_script(&format!(
        "trap \"\" TERM INT HUP; while :; do $bb sleep {marker}; done"
    ));
    let outcome = scene.bad_fails(&["--timeout", "2"], &["timed out after 2 seconds"]);
    assert!(outcome.wall_ms < 30_000, "it took {} ms to end the builder", outcome.wall_ms);
    no_process_remains(marker);
}

#[test]
fn a_silent_builder() {
    let scene = Scene::with_script("$bb sleep 86398.5");
    let outcome = scene.bad_fails(&["--max-silent-time", "2"], &["was silent for 2 seconds"]);
    says(&outcome, &["see --max-silent-time"]);
    no_process_remains("86398.5");
}

#[test]
fn a_builder_that_prints_endlessly_without_newlines() {
    let scene = Scene::with_script("$bb cat /dev/zero");
    let outcome = scene.bad_fails(
        &["--max-log-size", "5000000", "--timeout", "60"],
        &["wrote more than 5000000 bytes of log"],
    );
    says(&outcome, &["see --max-log-size"]);
    assert!(outcome.stderr.len() < 200_000, "the message has {} bytes", outcome.stderr.len());
}

#[test]
fn a_builder_that_eats_memory() {
    let scene = Scene::with_script("$bb dd if=/dev/zero of=/dev/null bs=300M count=1");
    let outcome =
        scene.bad_fails(&["--max-memory", "100000000"], &["it ran under --max-memory 100000000"]);
    says(&outcome, &["out of memory"]);
    says(&outcome, &["raise that if the build needs more"]);
}

#[test]
fn a_builder_that_writes_without_end() {
    let scene = Scene::with_script("mkdir $out; $bb cat /dev/zero > $out/big");
    let outcome =
        scene.bad_fails(&["--max-file-size", "2000000"], &["it ran under --max-file-size 2000000"]);
    says(&outcome, &["file too large", "file size limit exceeded", "exit code 153"]);
}
