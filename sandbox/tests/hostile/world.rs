//! A temporary world for builds: a scratch store, a build directory, objects, a shell with the
//! usual commands. Assertions belong in the tests.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use floe_sandbox::{Input, Outcome, RootFs, SandboxError, Spawner, Spec};

const APPLETS: &str = "awk cat chmod cp cut echo env grep head hostname id ln ls mkdir mv nc \
                       printenv ps pwd readlink rm rmdir route seq sh sleep sort stat tee test \
                       touch tr true umask uname wc wget yes";

/// Where builds of one test happen.
pub struct World {
    place: tempfile::TempDir,
    pub spawner: Spawner,
}

impl World {
    pub fn new() -> World {
        let busybox = busybox();
        let place = tempfile::tempdir().expect("a temporary directory");
        let bin = place.path().join("objects/00-commands/bin");
        fs::create_dir_all(&bin).expect("the commands' directory");
        fs::copy(busybox, bin.join("busybox")).expect("a copy of busybox");
        for applet in APPLETS.split_whitespace() {
            symlink("busybox", bin.join(applet)).expect("a command");
        }
        World { place, spawner: Spawner::new().expect("a spawner") }
    }

    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// The physical place of an object.
    pub fn object(&self, name: &str) -> PathBuf {
        self.path().join("objects").join(name)
    }

    /// An object as an input.
    pub fn input(&self, name: &str) -> Input {
        Input { host: self.object(name), name: name.to_owned() }
    }

    /// A build by a shell script, in directories named after `build`.
    pub fn script(&self, build: &str, script: &str) -> Spec {
        let (store, dir) =
            (self.path().join(build).join("store"), self.path().join(build).join("build"));
        fs::create_dir_all(&store).expect("a scratch store");
        fs::create_dir_all(&dir).expect("a build directory");
        let mut spec = Spec::new(RootFs::Bare { sh: busybox() }, store, dir, "/bin/sh");
        spec.args = vec![b"-c".to_vec(), script.into()];
        spec.env = vec![(b"PATH".to_vec(), b"/nix/store/00-commands/bin".to_vec())];
        spec.inputs = vec![self.input("00-commands")];
        spec
    }

    /// The hostile program as an object, compiled once per process.
    pub fn attack(&self, build: &str, arguments: &str) -> Spec {
        let object = self.object("01-attack");
        if !object.exists() {
            // On standard input: an ordinary user may be unable to read the repository's files.
            let mut compiler = Command::new("gcc")
                .args(["-static", "-O1", "-w", "-x", "c", "-o"])
                .arg(&object)
                .arg("-")
                .stdin(Stdio::piped())
                .spawn()
                .expect(
                    "gcc is needed to compile tests/hostile/attack.c: apt install gcc libc6-dev",
                );
            let source = include_bytes!("attack.c");
            let mut input = compiler.stdin.take().expect("it is piped");
            input.write_all(source).expect("the compiler reads its input");
            drop(input);
            let status = compiler.wait().expect("it was started");
            assert!(status.success(), "tests/hostile/attack.c does not compile");
        }
        let mut spec = self.script(build, &format!("exec /nix/store/01-attack {arguments}"));
        spec.inputs.push(self.input("01-attack"));
        spec
    }

    /// Runs a build; its outcome and its log.
    pub fn run(&self, spec: &Spec) -> (Outcome, String) {
        self.try_run(spec).expect("the build is started")
    }

    pub fn try_run(&self, spec: &Spec) -> Result<(Outcome, String), SandboxError> {
        let mut log = Vec::new();
        let running = self.spawner.spawn(spec)?;
        let outcome = running.wait(&mut |piece| log.extend_from_slice(piece))?;
        Ok((outcome, String::from_utf8_lossy(&log).into_owned()))
    }

    /// Runs a script that must succeed; its log.
    pub fn check(&self, build: &str, script: &str, expect: &str) {
        let (outcome, log) = self.run(&self.script(build, script));
        assert!(outcome.end.is_success(), "{outcome:?}\n{log}");
        assert_eq!(log, expect, "{script}");
    }
}

fn busybox() -> PathBuf {
    ["/bin/busybox", "/usr/bin/busybox"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .expect("these tests need a static busybox: apt install busybox-static")
}

/// A word for command lines that differs between the run with and the one without privilege.
pub fn marker(word: &str) -> String {
    let unprivileged = std::env::var_os("FLOE_TEST_UNPRIVILEGED").is_some();
    format!("{word}{}", u8::from(unprivileged))
}

/// How many processes on the host have this word in their command line.
pub fn processes_with(word: &str) -> usize {
    let entries = fs::read_dir("/proc").expect("/proc");
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok())
        .filter(|entry| entry.path().join("cmdline").exists())
        .filter(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let mine = entry.file_name().to_string_lossy() == std::process::id().to_string();
            !mine && String::from_utf8_lossy(&line).contains(word)
        })
        .count()
}

/// Runs this test program again as another user, if we are root and have not done so before.
pub fn again_without_privilege() -> Option<std::process::Output> {
    let root = fs::metadata("/proc/self").expect("/proc").uid() == 0;
    if !root || std::env::var_os("FLOE_TEST_UNPRIVILEGED").is_some() {
        return None;
    }
    // A copy, because nobody may be able to reach the place where tests are compiled.
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
    let program = dir.path().join("tests");
    fs::copy(std::env::current_exe().expect("this program"), &program).expect("a copy");
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .env("FLOE_TEST_UNPRIVILEGED", "1")
        .env_remove("TMPDIR")
        .current_dir("/")
        .output()
        .expect("setpriv is needed to change the user: apt install util-linux");
    Some(output)
}
