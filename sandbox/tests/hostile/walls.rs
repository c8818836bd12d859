//! What a builder sees, and the calls by which it could reach around the walls.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use floe_sandbox::{Layer, Layers, Policy};

use crate::world::World;
use crate::{inner, with_arguments};

#[test]
fn all_layers_are_in_force() {
    let world = World::new();
    let (outcome, _) = world.run(&world.script("a", ":"));
    assert_eq!(outcome.layers, Layers::all());
    assert!(outcome.end.is_success());
}

#[test]
fn the_world_is_nixs() {
    let world = World::new();
    world.check(
        "a",
        "pwd; umask; id -u; id -g; hostname; echo $$; cat /etc/hosts; cut -d: -f1,3,4 /etc/passwd; \
         cut -d: -f1,3 /etc/group; cat /proc/sys/kernel/domainname; readlink /proc/self/fd/0; \
         env | sort; ls /; ls /dev; ls /etc; grep -c . /proc/net/route; ls /proc/self/fd | wc -l",
        "/build\n0022\n1000\n100\nlocalhost\n1\n127.0.0.1 localhost\n::1 localhost\n\
         root:0:0\nnixbld:1000:100\nnobody:65534:65534\nroot:0\nnixbld:100\nnogroup:65534\n\
         (none)\n/dev/null\nPATH=/nix/store/00-commands/bin\nPWD=/build\nSHLVL=1\n\
         bin\nbuild\ndev\netc\nnix\nproc\ntmp\n\
         fd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n\
         group\nhosts\npasswd\n1\n4\n",
    );
}

#[test]
fn capabilities_and_cores_are_gone() {
    let world = World::new();
    world.check(
        "a",
        "grep -E '^(Cap|NoNewPrivs|Seccomp:|SigBlk|SigIgn)' /proc/self/status | tr -d '\\t'; \
         ulimit -c; readlink /proc/self/ns/user | wc -l",
        "SigBlk:0000000000000000\nSigIgn:0000000000000000\nCapInh:0000000000000000\n\
         CapPrm:0000000000000000\nCapEff:0000000000000000\nCapBnd:0000000000000000\n\
         CapAmb:0000000000000000\nNoNewPrivs:1\nSeccomp:2\n0\n1\n",
    );
}

#[test]
fn a_builder_sees_its_inputs_and_nothing_else() {
    let world = World::new();
    fs::create_dir(world.object("10-tree")).expect("an object");
    fs::write(world.object("10-tree").join("file"), "seen\n").expect("a file");
    fs::write(world.object("11-file"), "flat\n").expect("an object");
    symlink("10-tree/file", world.object("12-link")).expect("an object");
    fs::write(world.object("13-secret"), "secret\n").expect("an object");
    let secret = world.object("13-secret").display().to_string();
    let script = format!(
        "ls /nix/store; cat /nix/store/10-tree/file /nix/store/11-file /nix/store/12-link\n\
         for p in /nix/store/13-secret {secret} /proc/1/root{secret} /work /home /root /.host; do\n\
           if test -e $p || test -L $p || stat $p 2>/dev/null || cd $p 2>/dev/null; then echo SAW $p; fi\n\
         done\n\
         for p in 10-tree/file 10-tree/new 11-file; do\n\
           if (echo x > /nix/store/$p) 2>/dev/null; then echo WROTE $p; fi\n\
         done\n\
         for p in 10-tree 11-file 10-tree/file; do\n\
           rm -rf /nix/store/$p 2>/dev/null; mv /nix/store/$p /build 2>/dev/null && echo MOVED $p\n\
           chmod 777 /nix/store/$p 2>/dev/null && echo CHANGED $p\n\
           touch /nix/store/$p 2>/dev/null && echo TOUCHED $p\n\
         done\n\
         echo out > /nix/store/20-out; echo note > /build/note; echo t > /tmp/t; ls /nix/store"
    );
    let mut spec = world.script("a", &script);
    spec.inputs.extend(["10-tree", "11-file", "12-link"].map(|name| world.input(name)));
    let (outcome, log) = world.run(&spec);
    assert!(outcome.end.is_success(), "{outcome:?} {log}");
    assert_eq!(
        log,
        "00-commands\n10-tree\n11-file\n12-link\nseen\nflat\nseen\n\
         00-commands\n10-tree\n11-file\n12-link\n20-out\n"
    );
    let read = |path: PathBuf| fs::read_to_string(path).expect("a file");
    assert_eq!(read(spec.scratch_store.join("20-out")), "out\n");
    assert_eq!(read(spec.build_dir.join("note")), "note\n");
    assert_eq!(read(world.object("10-tree").join("file")), "seen\n");
}

#[test]
fn set_id_bits_and_attributes_are_refused_by_every_call() {
    let world = World::new();
    let (_, log) = world.run(&world.attack("a", "set-id"));
    let verdict = |line: &str| match line {
        "openat2" | "io_uring_setup" => "ENOSYS",
        "setxattr" | "setxattrat" | "setflags" => "ENOTSUP|EOPNOTSUPP",
        "chmod_plain" => "DONE",
        _ => "EPERM",
    };
    check_verdicts(&log, 19, verdict);
    for entry in fs::read_dir(world.path().join("a/build")).expect("the build directory") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("metadata").permissions().mode();
        assert_eq!(mode & 0o6000, 0, "{:?}", entry.path());
    }
}

#[test]
fn no_call_reaches_around_the_walls() {
    let world = World::new();
    let (_, log) = world.run(&world.attack("a", "walls"));
    let verdict = |line: &str| match line {
        "clone3" => "ENOSYS",
        "vsock" | "af_alg" => "EAFNOSUPPORT",
        "tty" => "ENXIO",
        "sysrq" => "EACCES|EROFS|EPERM|ENOENT",
        "setuid" => "EINVAL",
        "core_pattern" | "write_root" | "write_etc" => "EACCES|EROFS|EPERM",
        "kcore" => "EPERM|EACCES|ENOENT",
        "root_of_one" => "ENOENT",
        "signal_outside" => "ESRCH",
        "mkdir_plain" => "DONE",
        _ => "EPERM",
    };
    check_verdicts(&log, 34, verdict);
}

/// Each line of the log is a trial with its verdict.
fn check_verdicts(log: &str, trials: usize, verdict: impl Fn(&str) -> &'static str) {
    let wrong: Vec<&str> = log
        .lines()
        .filter(|line| {
            let (name, got) = line.split_once(": ").unwrap_or((line, ""));
            !verdict(name).split('|').any(|allowed| allowed == got)
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(log.lines().count(), trials, "{log}");
}

#[test]
fn unknown_calls_do_not_exist() {
    let world = World::new();
    let (_, log) = world.run(&world.attack("a", "unknown"));
    assert_eq!(log, "unknown: 0 wrong\n");
}

#[test]
fn a_builder_may_trace_its_own_children() {
    let world = World::new();
    let (_, log) = world.run(&world.attack("a", "trace"));
    assert_eq!(log, "trace_own_child: DONE\n");
}

#[test]
fn builds_share_no_abstract_socket() {
    let world = World::new();
    let first = world.spawner.spawn(&world.attack("a", "listen floe-test")).expect("a build");
    std::thread::sleep(Duration::from_millis(300));
    let (_, log) = world.run(&world.attack("b", "connect floe-test"));
    assert_eq!(log, "connect: ECONNREFUSED\n");
    drop(first);
}

#[test]
fn a_masked_proc_is_refused_unless_the_policy_allows_it() {
    const NAME: &str = "walls::a_masked_proc_is_refused_unless_the_policy_allows_it";
    if !inner() {
        // As in a container: a part of /proc is covered, so no namespace may mount it afresh.
        let script = "mount -t tmpfs none /proc/sys && exec \"$0\" \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
        command.arg(std::env::current_exe().expect("this program"));
        let output = with_arguments(&mut command, NAME).output().expect("unshare (util-linux)");
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}\n{errors}");
        return;
    }
    let world = World::new();
    let mut spec = world.script("a", ":");
    let text = world.try_run(&spec).expect_err("refused").to_string();
    assert!(text.contains("/proc") && text.contains("unmasked"), "{text}");
    let proc = Layer::PrivateProc;
    let found = floe_sandbox::probe();
    let missing: Vec<Layer> = found.iter().filter(|s| !s.available).map(|s| s.layer).collect();
    assert_eq!(missing, [proc]);

    let outer = std::process::id();
    let script = format!(
        "test -e /proc/self/status && cat /proc/{outer}/environ /proc/{outer}/root/etc/passwd; \
         (echo x > /proc/self/comm) 2>/dev/null || echo kept"
    );
    spec = world.script("b", &script);
    spec.policy = Policy::strict().allow_missing(proc);
    let (outcome, log) = world.run(&spec);
    assert_eq!(outcome.layers, Layers::all().without(proc));
    let denied = log.lines().filter(|line| line.contains("Permission denied")).count();
    assert_eq!((denied, log.lines().last()), (2, Some("kept")), "{log}");
}
