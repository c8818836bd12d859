//! What a spec can ask for, and what is said when it cannot be had.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use floe_sandbox::{Bind, EnterSpec, RootFs, SandboxError, enter};

use crate::world::World;

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
