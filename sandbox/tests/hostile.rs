//! Hostile builders against the real sandbox of this host: what they see, what they may change,
//! how they end. Everything runs a second time without privilege when it is started as root.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{World, again_without_privilege, marker, processes_with};
use floe_sandbox::{
    Bind, End, EnterSpec, Layer, Layers, Network, Policy, RootFs, SandboxError, enter,
};

#[test]
fn everything_again_without_privilege() {
    if let Some(output) = again_without_privilege() {
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}\n{errors}");
    }
}

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
fn the_network_is_out_of_reach() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    let script = format!(
        "if nc -w 2 127.0.0.1 {port} </dev/null 2>/dev/null; then echo REACHED; fi; \
         nc -l -p 5000 -e cat & sleep 0.3; echo own | nc -w 2 127.0.0.1 5000"
    );
    let (_, log) = world.run(&world.script("a", &script));
    assert_eq!(log, "own\n");
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
    const NAME: &str = "a_killed_parent_takes_its_builds_along";
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
fn a_masked_proc_is_refused_unless_the_policy_allows_it() {
    const NAME: &str = "a_masked_proc_is_refused_unless_the_policy_allows_it";
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

/// Whether this process was started by one of its own tests.
fn inner() -> bool {
    std::env::var_os("FLOE_TEST_INNER").is_some()
}

/// The arguments that run one test of this program.
fn with_arguments<'a>(command: &'a mut Command, name: &str) -> &'a mut Command {
    command.args(["--exact", name, "--nocapture"]).env("FLOE_TEST_INNER", "1")
}

fn eventually(what: &str, test: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !test() {
        assert!(Instant::now() < deadline, "{what}: not within 20 seconds");
        std::thread::sleep(Duration::from_millis(50));
    }
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

#[test]
fn errors_name_what_and_where() {
    let world = World::new();
    let mut spec = world.script("a", ":");
    spec.builder = b"/nix/store/00-commands/bin/nothing".to_vec();
    let text = world.try_run(&spec).expect_err("no such builder").to_string();
    assert!(text.contains("/nix/store/00-commands/bin/nothing"), "{text}");

    let mut spec = world.script("b", ":");
    spec.inputs.push(world.input("00-commands"));
    let text = world.try_run(&spec).expect_err("named twice").to_string();
    assert!(text.contains("/nix/store/00-commands") && text.contains("once"), "{text}");

    let mut spec = world.script("c", ":");
    spec.inputs.push(world.input("99-gone"));
    let text = world.try_run(&spec).expect_err("no such input").to_string();
    assert!(text.contains("99-gone"), "{text}");

    let mut spec = world.script("d", ":");
    spec.env.push((b"X".to_vec(), b"a\0b".to_vec()));
    assert!(matches!(world.try_run(&spec), Err(SandboxError::BadSpec { field: "env", .. })));
}

#[test]
fn the_hosts_network_is_by_policy_only_and_recorded() {
    let world = World::new();
    let mut spec = world.script("a", ":");
    spec.network = Network::Host;
    assert!(matches!(world.try_run(&spec), Err(SandboxError::LayerMissing { .. })));
    let net = Layer::NetNamespace;
    spec = world.script("b", ":");
    spec.network = Network::Host;
    spec.policy = Policy::strict().allow_missing(net);
    let (outcome, _) = world.run(&spec);
    assert_eq!(outcome.layers, Layers::all().without(net));
}

#[test]
fn extra_binds_keep_their_rights() {
    let world = World::new();
    for name in ["ro", "rw"] {
        fs::create_dir(world.path().join(name)).expect("a directory");
    }
    let bind = |name: &str| Bind {
        host: world.path().join(name),
        inside: PathBuf::from("/extra/deep").join(name),
        writable: name == "rw",
    };
    let script =
        "echo x > /extra/deep/rw/file; (echo x > /extra/deep/ro/file) 2>/dev/null || echo kept";
    let mut spec = world.script("a", script);
    spec.binds = vec![bind("ro"), bind("rw")];
    let (_, log) = world.run(&spec);
    assert_eq!(log, "kept\n");
    assert!(world.path().join("rw/file").exists());
}

#[test]
fn compilers_work_in_a_seed() {
    let world = World::new();
    let seed = world.path().join("seed");
    fs::create_dir_all(seed.join("etc")).expect("a seed");
    for name in ["bin", "lib", "lib64", "sbin"] {
        symlink(format!("usr/{name}"), seed.join(name)).expect("a link");
    }
    if PathBuf::from("/etc/alternatives").is_dir() {
        symlink("/etc/.alternatives", seed.join("etc/alternatives")).expect("a link");
    }
    let script = "set -e\n\
        echo 'int puts(const char *); int main(void) { return puts(\"made\") < 0; }' > m.c\n\
        printf 'all: m\\n\\t./m\\n' > Makefile\n\
        make -s -j2\n\
        perl -e 'print \"perl\\n\"; mkdir \"d\"; rename \"m.c\", \"d/m.c\" or die'\n\
        tar -cf x.tar d && tar -xf x.tar && cp -a d e && install -m 755 m /nix/store/30-m\n\
        if command -v cmake >/dev/null; then\n\
          printf 'cmake_minimum_required(VERSION 3.10)\nproject(p C)\nadd_executable(p d/m.c)\n' > CMakeLists.txt\n\
          (cmake -S . -B o && cmake --build o) > cmake.log 2>&1 || { cat cmake.log; exit 1; }\n\
          test \"$(o/p)\" = made\n\
        fi\n\
        if command -v python3 >/dev/null; then python3 -c 'import subprocess; subprocess.run([\"true\"], check=True)'; fi\n";
    let mut spec = world.script("a", script);
    spec.root = RootFs::Seed(seed);
    spec.inputs.clear();
    spec.env = vec![(b"PATH".to_vec(), b"/usr/bin:/bin".to_vec())];
    spec.binds =
        vec![Bind { host: PathBuf::from("/usr"), inside: PathBuf::from("/usr"), writable: false }];
    if PathBuf::from("/etc/alternatives").is_dir() {
        spec.binds.push(Bind {
            host: PathBuf::from("/etc/alternatives"),
            inside: PathBuf::from("/etc/.alternatives"),
            writable: false,
        });
    }
    let (outcome, log) = world.run(&spec);
    assert!(outcome.end.is_success(), "{outcome:?}\n{log}");
    assert_eq!(log, "made\nperl\n");
}

#[test]
fn a_user_mode_network_leads_out_but_not_to_the_hosts_loopback() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    let script = format!(
        "route -n | grep -c '^0.0.0.0'; cat /etc/nsswitch.conf; \
         for host in 127.0.0.1 10.0.2.2; do \
           if nc -w 2 $host {port} </dev/null >/dev/null 2>&1; then echo REACHED $host; fi; done"
    );
    let mut spec = world.script("a", &script);
    spec.network = Network::UserMode;
    let tun = fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun");
    if let Err(error) = tun {
        // Not possible for this user on this host: that must be said, and nothing started.
        let text = world.try_run(&spec).expect_err("no network").to_string();
        assert!(text.contains("/dev/net/tun"), "{error}: {text}");
        return;
    }
    let (outcome, log) = world.run(&spec);
    assert!(outcome.end.is_success(), "{outcome:?}\n{log}");
    assert_eq!(outcome.layers, Layers::all());
    assert_eq!(log, "1\nhosts: files dns\nservices: files\n");
}

#[test]
fn entering_keeps_the_callers_world_and_adds_the_store() {
    let world = World::new();
    let marker = world.path().join("marker");
    fs::File::create(&marker).and_then(|mut file| file.write_all(b"x")).expect("a file");
    fs::write(world.object("11-file"), "flat\n").expect("an object");
    let script = format!(
        "test \"$(cat /nix/store/11-file)\" = flat && test -e {} && test \"$(pwd)\" = {} && \
         ! touch /nix/store/x 2>/dev/null && test \"$(id -u)\" = {} && exit 7",
        marker.display(),
        world.path().display(),
        rustix::process::geteuid().as_raw(),
    );
    let status = enter(&EnterSpec {
        store: world.path().join("objects"),
        argv: vec![b"sh".to_vec(), b"-c".to_vec(), script.into_bytes()],
        env: vec![(b"PATH".to_vec(), b"/nowhere:/usr/bin:/bin".to_vec())],
        directory: world.path().to_owned(),
    })
    .expect("the program runs");
    assert_eq!(status.code(), Some(7));
}
