//! Bounds on what a build may use: processes, memory, the size of a file. A build that meets one
//! ends by itself or by the kernel's hand; the machine goes on.

use std::fs;
use std::time::Duration;

use floe_sandbox::{End, RESERVED_PIDS, Resource, Rlimit, SandboxError};

use crate::world::{World, marker, processes_with};

/// A build may have this many processes; where root starts it, some more.
const MOST: u32 = 40;

#[test]
fn a_fork_bomb_ends_at_the_process_limit() {
    let world = World::new();
    let sleeper = marker("57721");
    // it has no time limit: the shell gives up when it cannot fork
    let bomb = format!("echo begun; while :; do sleep {sleeper} & done");
    let mut spec = world.script("a", &bomb);
    spec.limits.max_processes = Some(MOST);
    let mut most = 0;
    let running = world.spawner.spawn(&spec).expect("a build");
    let mut log = Vec::new();
    let outcome = std::thread::scope(|scope| {
        let waiting = scope.spawn(move || running.wait(&mut |piece| log.extend_from_slice(piece)));
        while !waiting.is_finished() {
            most = most.max(processes_with(&sleeper));
            std::thread::sleep(Duration::from_millis(1));
        }
        waiting.join().expect("no panic").expect("an outcome")
    });
    assert!(matches!(outcome.end, End::Exited(1..)), "{outcome:?}");
    let allowed = if rustix::process::geteuid().is_root() { MOST + RESERVED_PIDS } else { MOST };
    assert!(most <= allowed as usize, "{most} processes at the same time");
    assert_eq!(processes_with(&sleeper), 0);
}

#[test]
fn a_build_within_the_process_limit_is_left_alone() {
    let world = World::new();
    // far more processes than the limit, but not at the same time
    let script = "i=0; while test $i -lt 600; do i=$((i+1)); true & wait; done; echo $i";
    let mut spec = world.script("a", script);
    spec.limits.max_processes = Some(MOST);
    let (outcome, log) = world.run(&spec);
    assert!(outcome.end.is_success(), "{outcome:?} {log}");
    assert_eq!(log, "600\n");
}

#[test]
fn the_hosts_own_limit_of_process_ids_stays() {
    let host = || fs::read_to_string("/proc/sys/kernel/pid_max").expect("/proc");
    let before = host();
    let world = World::new();
    let mut spec =
        world.script("a", "(echo 400 > /proc/sys/kernel/pid_max) 2>/dev/null || echo kept");
    spec.limits.max_processes = Some(MOST);
    assert_eq!(world.run(&spec).1, "kept\n");
    assert_eq!(host(), before);
}

#[test]
fn a_hog_of_memory_is_told_no() {
    let world = World::new();
    let mut spec = world.attack("a", "hog 512");
    let limit = |value| vec![Rlimit { resource: Resource::Data, value }];
    spec.limits.rlimits = limit(128 << 20);
    assert_eq!(world.run(&spec).1, "hog: ENOMEM\n");
    let mut spec = world.attack("b", "hog 64");
    spec.limits.rlimits = limit(128 << 20);
    assert_eq!(world.run(&spec).1, "hog: DONE\n");
}

#[test]
fn a_file_ends_at_its_limit() {
    let world = World::new();
    // SIGXFSZ ends the writer; the first process of a namespace would get EFBIG instead
    let mut spec = world.script("a", "yes > /nix/store/20-out; echo $?");
    spec.limits.rlimits = vec![Rlimit { resource: Resource::FileSize, value: 1 << 20 }];
    let (_, log) = world.run(&spec);
    assert!(log.ends_with("153\n"), "{log}");
    let size = fs::metadata(spec.scratch_store.join("20-out")).expect("the file").len();
    assert_eq!(size, 1 << 20);
}

#[test]
fn a_limit_that_cannot_be_kept_is_refused() {
    let world = World::new();
    // more than the hard limit of whoever is not root
    let mut spec = world.script("a", ":");
    let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let Some(hard) = hard.filter(|_| !rustix::process::geteuid().is_root()) else { return };
    spec.limits.rlimits = vec![Rlimit { resource: Resource::OpenFiles, value: hard + 1 }];
    let error = world.try_run(&spec).expect_err("more than allowed");
    assert!(matches!(error, SandboxError::Setup(_)), "{error}");
}
