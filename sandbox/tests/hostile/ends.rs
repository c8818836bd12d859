//! How builds end: by themselves, by a limit on their time or noise, by whoever started them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use floe_sandbox::End;

use crate::world::{World, marker, processes_with};
use crate::{eventually, inner, with_arguments};

#[test]
fn a_fork_bomb_that_ignores_sigterm_ends_at_the_timeout() {
    let world = World::new();
    let mut spec = world.script(
        "a",
        &format!("trap '' TERM INT HUP; while :; do sleep {} & sleep 0.01; done", marker("31415")),
    );
    spec.limits.timeout = Some(Duration::from_secs(1));
    let (outcome, _) = world.run(&spec);
    assert_eq!(outcome.end, End::TimedOut(Duration::from_secs(1)));
    assert!(outcome.wall < Duration::from_secs(20), "{outcome:?}");
    assert_eq!(processes_with(&marker("31415")), 0);
}

#[test]
fn silence_ends_a_build() {
    let world = World::new();
    let mut spec = world.script("a", "echo one; sleep 0.4; echo two; sleep 60");
    spec.limits.max_silent = Some(Duration::from_secs(1));
    let (outcome, log) = world.run(&spec);
    assert_eq!(outcome.end, End::Silent(Duration::from_secs(1)));
    assert_eq!(log, "one\ntwo\n");
}

#[test]
fn endless_output_ends_a_build() {
    let world = World::new();
    let mut spec = world.script("a", "yes | tr -d '\\n'");
    spec.limits.max_log_bytes = Some(1_000_000);
    let (outcome, log) = world.run(&spec);
    assert_eq!(outcome.end, End::LogTooLong(1_000_000));
    assert_eq!(log.len(), 1_000_000);
    assert_eq!(outcome.log_bytes, 1_000_000);
    let mut short = world.script("b", "echo 12345");
    short.limits.max_log_bytes = Some(3);
    assert_eq!(world.run(&short).0.end, End::LogTooLong(3));
}

#[test]
fn orphans_die_with_their_builder() {
    let world = World::new();
    let mut spec = world.script(
        "a",
        &format!("/nix/store/01-attack daemon {0}; sleep {0} & echo end", marker("27182")),
    );
    spec.inputs = world.attack("b", "").inputs;
    let (outcome, log) = world.run(&spec);
    assert!(outcome.end.is_success(), "{outcome:?}");
    assert_eq!(log, "left\nend\n");
    assert_eq!(processes_with(&marker("27182")), 0);
}

#[test]
fn a_kill_and_a_drop_leave_nothing() {
    let world = World::new();
    let running = world
        .spawner
        .spawn(&world.script("a", &format!("sleep {0} & sleep {0}", marker("16180"))))
        .expect("a build");
    let killer = running.killer();
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        killer.kill();
    });
    let outcome = running.wait(&mut |_| {}).expect("an outcome");
    stopper.join().expect("the stopper");
    assert_eq!(outcome.end, End::Killed);
    assert_eq!(processes_with(&marker("16180")), 0);
    drop(
        world
            .spawner
            .spawn(&world.script("b", &format!("sleep {0} & sleep {0}", marker("16180"))))
            .expect("a build"),
    );
    assert_eq!(processes_with(&marker("16180")), 0);
}

#[test]
fn a_killed_parent_takes_its_builds_along() {
    const NAME: &str = "ends::a_killed_parent_takes_its_builds_along";
    if inner() {
        let world = World::new();
        let running = world
            .spawner
            .spawn(&world.script("a", &format!("sleep {0} & sleep {0}", marker("14142"))));
        println!("{}", world.path().display());
        // The outer test kills us here.
        drop(running.expect("a build").wait(&mut |_| {}));
        return;
    }
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let mut parent = with_arguments(&mut command, NAME)
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program again");
    let lines = BufReader::new(parent.stdout.take().expect("its output")).lines();
    let place = lines
        .map_while(Result::ok)
        .find_map(|line| line.find('/').map(|at| line[at..].to_owned()))
        .expect("the place of its build");
    eventually("the build runs", || processes_with(&marker("14142")) > 1);
    parent.kill().expect("SIGKILL");
    parent.wait().expect("its end");
    eventually("no process is left", || processes_with(&marker("14142")) == 0);
    fs::remove_dir_all(place).expect("its directories");
}

#[test]
fn ends_are_told_apart() {
    let world = World::new();
    assert_eq!(world.run(&world.script("a", "exit 3")).0.end, End::Exited(3));
    let crash = world.script("b", "exec env sh -c 'ulimit -t 1; while :; do :; done'");
    assert!(matches!(world.run(&crash).0.end, End::Signaled(_)));
    let busy = world.script("c", "i=0; while test $i -lt 20000; do i=$((i+1)); done & wait");
    assert!(world.run(&busy).0.cpu_user > Duration::from_millis(1));
}
