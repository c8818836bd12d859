//! A world with a hostile program and short ways to build with it. No attack of its own.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use floe_tests::oracle::busybox;
use floe_tests::process::run;
use floe_tests::scene::processes_with;
use floe_tests::{Outcome, World};

/// Where an attack happens.
pub struct Place {
    pub world: World,
}

/// What stands before each expression: `ca` and `ca'` of the fixtures, and `attack`, the hostile program.
const LIBRARY: &str = include_str!("../../fixtures/ca/lib.nix");

impl Place {
    /// A world whose `case.nix` is this set's content.
    pub fn with(attributes: &str) -> Place {
        let world = World::new();
        world.file("lib.nix", LIBRARY);
        let source = world.file("attack.c", include_str!("attack.c"));
        let status = Command::new("gcc")
            .args(["-static", "-O1", "-w", "-o"])
            .arg(world.work().join("attack"))
            .arg(source)
            .status()
            .expect("gcc is needed to compile attack.c: apt install gcc libc6-dev");
        assert!(status.success(), "attack.c does not compile");
        let place = Place { world };
        place.set(attributes);
        place
    }

    /// Writes the content of the set in `case.nix`.
    pub fn set(&self, attributes: &str) {
        let text = format!(
            "with import ./lib.nix {{ busybox = {}; }};\n\
             let attack = builtins.path {{ name = \"attack\"; path = ./attack; }};\n\
             flat = {{ __contentAddressed = false; outputHashMode = \"flat\"; outputHashAlgo = \"sha256\"; }};\n\
             in rec {{\n{attributes}\n}}\n",
            busybox().display()
        );
        self.world.file("case.nix", text);
    }

    /// Runs a command in a shell after these words of it.
    pub fn within(&self, words: &str, inner: &Command) -> Outcome {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{words}; exec \"$0\" \"$@\"")]);
        shell.arg(inner.get_program()).args(inner.get_args());
        shell.env_clear().current_dir(self.world.work());
        for (name, value) in inner.get_envs() {
            if let Some(value) = value {
                shell.env(name, value);
            }
        }
        run(&mut shell).expect("sh")
    }

    /// A world with one derivation `x` whose builder runs this script.
    pub fn script(script: &str) -> Place {
        Place::with(&format!("x = ca' {{ inherit attack; }} \"x\" ''\n{script}\n'';"))
    }

    /// `floe build -f case.nix` with more arguments, not yet run.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.world.command("floe");
        command.args(["build", "-f", "case.nix", "--no-link"]).args(args);
        command
    }

    /// Runs it.
    pub fn build(&self, args: &[&str]) -> Outcome {
        run(&mut self.command(args)).expect("floe to start")
    }

    /// Starts it, its output thrown away.
    pub fn start(&self, args: &[&str]) -> Child {
        self.command(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("floe to start")
    }

    /// Starts it and waits until a process with this word in its arguments runs.
    #[track_caller]
    pub fn start_until(&self, args: &[&str], marker: &str) -> Child {
        let mut child = self.start(args);
        while processes_with(marker).is_empty() {
            assert!(child.try_wait().expect("its state").is_none(), "floe ended early");
            std::thread::sleep(Duration::from_millis(10));
        }
        child
    }

    /// Runs it to a good end; the physical place of the last output.
    #[track_caller]
    pub fn made(&self, args: &[&str]) -> PathBuf {
        let outcome = self.build(args);
        assert!(outcome.success(), "{}", outcome.describe());
        self.world.physical(outcome.lines().last().expect("an output's path"))
    }

    /// Whatever is below the store root, with its mode; links are not followed.
    pub fn below(&self, name: &str) -> Vec<(PathBuf, u32)> {
        let mut found = Vec::new();
        walk(&self.world.root().join(name), &mut found);
        found
    }

    /// No build left anything, and the store holds what it should.
    #[track_caller]
    pub fn is_clean(&self) {
        let left: Vec<_> = self.below("builds").into_iter().skip(1).collect();
        assert!(left.is_empty(), "{left:?}");
        let verify = self.world.floe(["store", "verify"]);
        assert!(verify.success(), "{}", verify.describe());
    }
}

fn walk(path: &Path, found: &mut Vec<(PathBuf, u32)>) {
    let Ok(meta) = fs::symlink_metadata(path) else { return };
    if meta.is_symlink() {
        return;
    }
    found.push((path.to_path_buf(), meta.permissions().mode() & 0o7777));
    if meta.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            walk(&entry.path(), found);
        }
    }
}

/// A directory of the host's with a file in it, and all that could be changed about them.
pub struct Canary {
    pub dir: PathBuf,
    before: String,
}

impl Canary {
    pub fn new(world: &World) -> Canary {
        let dir = world.work().join("canary");
        fs::create_dir(&dir).expect("a directory");
        fs::write(dir.join("file"), "alive\n").expect("a file");
        let before = state(&dir);
        Canary { dir, before }
    }

    #[track_caller]
    pub fn is_alive(&self) {
        assert_eq!(self.before, state(&self.dir));
    }
}

fn state(dir: &Path) -> String {
    let mut text = String::new();
    for path in [dir.to_path_buf(), dir.join("file")] {
        let meta = fs::symlink_metadata(&path).expect("the canary");
        text += &format!(
            "{:o} {} {} {} {}\n",
            meta.mode(),
            meta.uid(),
            meta.nlink(),
            meta.mtime_nsec(),
            meta.ino()
        );
    }
    let names: Vec<_> =
        fs::read_dir(dir).expect("a directory").flatten().map(|e| e.file_name()).collect();
    text + &format!("{names:?} {:?}", fs::read(dir.join("file")))
}
