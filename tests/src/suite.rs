//! The language tests of a checkout of Nix's sources (`tests/functional/lang`), run as that
//! project's own driver runs them. Knows how a test is run and compared; which may fail is for the
//! caller to say.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::World;
use crate::process::{Outcome, run_with};

/// How far a test gets. Each level includes those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Not even the exit status is right.
    Nothing,
    /// The exit status is right.
    Exit,
    /// The value is right, or the last line of the error that says what is wrong.
    Value,
    /// All output is right, byte for byte.
    Bytes,
}

/// One test and how far it got.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Such as `eval-okay-sort`.
    pub name: String,
    /// How far.
    pub level: Level,
}

impl Verdict {
    /// `parse-okay`, `parse-fail`, `eval-okay`, `eval-fail` or `driver`.
    pub fn category(&self) -> &'static str {
        CATEGORIES.iter().find(|category| self.name.starts_with(**category)).unwrap_or(&"driver")
    }
}

/// The kinds of test, by the beginning of their names.
pub const CATEGORIES: [&str; 5] = ["parse-okay", "parse-fail", "eval-okay", "eval-fail", "driver"];

const CONF: &str = "experimental-features = nix-command flakes\nshow-trace = true\n";

/// What the driver itself asserts: flags, exit status, a text and whether the output has it.
const ASSERTIONS: &[(&[&str], i32, &str, bool)] = &[
    (&["--eval", "-E", "builtins.trace \"Hello\" 123"], 0, "Hello", true),
    (&["--eval", "-E", "builtins.trace \"Hello\" 123"], 0, "123", true),
    (&["--eval", "-E", "builtins.addErrorContext \"Hello\" 123"], 0, "123", true),
    (&["--trace-verbose", "--eval", "-E", "builtins.traceVerbose \"Hello\" 123"], 0, "Hello", true),
    (&["--eval", "-E", "builtins.traceVerbose \"Hello\" 123"], 0, "Hello", false),
    (
        &["--show-trace", "--eval", "-E", "builtins.addErrorContext \"Hello\" 123"],
        0,
        "Hello",
        false,
    ),
    (
        &["--show-trace", "--eval", "-E", "builtins.addErrorContext \"Hello %\" (throw \"Foo\")"],
        1,
        "Hello %",
        true,
    ),
    (
        &["--show-trace", "lang/non-eval-fail-bad-drvPath.nix"],
        1,
        "store path '2chwzswhhmpxbgc981i2vcz7xj4d1in9-cachix-1.7.3-bin' is not a valid derivation path",
        true,
    ),
    (
        &["--eval", "-E", "let x = builtins.trace { x = x; } true; in x"],
        0,
        "trace: { x = «potential infinite recursion»; }",
        true,
    ),
    (
        &[
            "--eval",
            "-E",
            "let x = { repeating = x; tracing = builtins.trace x true; }; in x.tracing",
        ],
        0,
        "trace: { repeating = «repeated»; tracing = «potential infinite recursion»; }",
        true,
    ),
    (&["--eval", "-E", "builtins.warn \"Hello\" 123"], 0, "warning: Hello", true),
    (
        &["--eval", "-E", "let x = builtins.warn { x = x; } true; in x"],
        1,
        "expected a string but found a set",
        true,
    ),
    (&["--eval", "--abort-on-warn", "-E", "builtins.warn \"Hello\" 123"], 1, "Hello", true),
];

/// A checkout's language tests.
pub struct Suite {
    functional: PathBuf,
    conf: tempfile::TempDir,
    /// What the checkout says that it is, such as `2.34.8`.
    pub version: String,
}

impl Suite {
    /// The tests of a checkout of Nix's sources.
    pub fn open(source: &Path) -> Result<Suite, String> {
        let functional = source.join("tests/functional").canonicalize();
        let functional = functional
            .map_err(|e| format!("{} holds no tests/functional: {e}", source.display()))?;
        let version = fs::read_to_string(source.join(".version")).unwrap_or_default();
        let conf = tempfile::tempdir().map_err(|e| e.to_string())?;
        fs::write(conf.path().join("nix.conf"), CONF).map_err(|e| e.to_string())?;
        Ok(Suite { functional, conf, version: version.trim().to_owned() })
    }

    /// Runs everything, on two threads.
    pub fn run(&self) -> Vec<Verdict> {
        let names = self.names();
        let next = AtomicUsize::new(0);
        let verdicts = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let world = World::new();
                    while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let level = self.test(&world, name);
                        let verdict = Verdict { name: name.clone(), level };
                        verdicts.lock().expect("no test panicked").push(verdict);
                    }
                });
            }
        });
        let world = World::new();
        let mut verdicts = verdicts.into_inner().expect("no test panicked");
        verdicts.extend(ASSERTIONS.iter().enumerate().map(|(index, assertion)| Verdict {
            name: format!("driver-{:02}", index + 1),
            level: self.assertion(&world, assertion),
        }));
        verdicts.sort_by(|a, b| a.name.cmp(&b.name));
        verdicts
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.functional.join("lang")).expect("the folder of the tests");
        let names = entries.filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let name = name.strip_suffix(".nix")?;
            let known = CATEGORIES[..4].iter().any(|category| name.starts_with(category));
            (known && !self.file(name, "exp-disabled").exists()).then(|| name.to_owned())
        });
        names.collect()
    }

    fn file(&self, name: &str, ending: &str) -> PathBuf {
        self.functional.join("lang").join(format!("{name}.{ending}"))
    }

    fn command(&self, world: &World) -> Command {
        let mut command = world.command("nix-instantiate");
        command
            .current_dir(&self.functional)
            .env("NIX_CONF_DIR", self.conf.path())
            .env("NIX_REMOTE", "dummy://")
            .env("NIX_STORE_DIR", "/nix/store")
            .env("TEST_VAR", "foo")
            .env("LC_ALL", "C.UTF-8");
        command
    }

    fn assertion(&self, world: &World, assertion: &(&[&str], i32, &str, bool)) -> Level {
        let (flags, status, text, has) = *assertion;
        let outcome = finish(self.command(world).args(flags), Stdio::null());
        if outcome.status.code() != Some(status) {
            return Level::Nothing;
        }
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        if said.contains(text) == has { Level::Bytes } else { Level::Exit }
    }

    fn test(&self, world: &World, name: &str) -> Level {
        let file = format!("lang/{name}.nix");
        let mut command = self.command(world);
        let fails = name.contains("-fail-");
        let flags = fs::read_to_string(self.file(name, "flags"));
        let mut stdin = Stdio::null();
        let mut expected = "exp";
        if name.starts_with("parse") {
            command.args(["--parse", "-"]);
            stdin = File::open(self.functional.join(&file)).expect("the test's file").into();
        } else if fails {
            let flags = flags.unwrap_or_else(|_| "--eval --strict --show-trace".to_owned());
            let words = flags.lines().flat_map(|line| {
                line.split('#').next().unwrap_or_default().split_ascii_whitespace()
            });
            command.args(words).arg(&file);
        } else if self.file(name, "exp.xml").exists() {
            expected = "exp.xml";
            command.args(["--eval", "--xml", "--no-location", "--strict", &file]);
        } else {
            let flags = flags.unwrap_or_default();
            command
                .env("NIX_PATH", "lang/dir3:lang/dir4")
                .env("HOME", "/fake-home")
                .args(flags.lines().next().unwrap_or_default().split_ascii_whitespace())
                .args(["--eval", "--strict", &file]);
        }
        let mut outcome = finish(&mut command, stdin);
        self.clean(name, &mut outcome, fails);
        let status = if fails { 1 } else { 0 };
        if outcome.status.code() != Some(status) {
            return Level::Nothing;
        }
        let read = |ending| lossy(fs::read(self.file(name, ending)).unwrap_or_default());
        let errors = read("err.exp");
        let all_errors = outcome.stderr == errors || expected == "exp.xml";
        let right = if fails {
            last_error(&outcome.stderr) == last_error(&errors)
        } else {
            outcome.stdout == read(expected)
        };
        match (right, all_errors) {
            (true, true) => Level::Bytes,
            (true, false) => Level::Value,
            (false, _) => Level::Exit,
        }
    }

    /// What the driver does to outputs before it compares them.
    fn clean(&self, name: &str, outcome: &mut Outcome, merged: bool) {
        let here = self.functional.display().to_string();
        for text in [&mut outcome.stdout, &mut outcome.stderr] {
            *text = text.replace(&here, "/pwd");
        }
        if merged {
            outcome.stderr = format!("{}{}", outcome.stdout, outcome.stderr);
        }
        let script = self.file(name, "postprocess");
        if !script.exists() {
            return;
        }
        let folder = tempfile::tempdir().expect("a temporary directory");
        let place = |ending: &str| folder.path().join(format!("{name}.{ending}"));
        fs::write(place("out"), &outcome.stdout).expect("the output");
        fs::write(place("err"), &outcome.stderr).expect("the errors");
        let mut command = Command::new("bash");
        command.current_dir(&self.functional).arg(&script).arg(folder.path().join(name));
        finish(&mut command, Stdio::null());
        let read = |ending| lossy(fs::read(place(ending)).unwrap_or_default());
        (outcome.stdout, outcome.stderr) = (read("out"), read("err"));
    }
}

fn finish(command: &mut Command, stdin: Stdio) -> Outcome {
    run_with(command, stdin).expect("the command to start")
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The last line that says what is wrong, with the next one where it says nothing itself.
fn last_error(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let at = lines.iter().rposition(|line| line.starts_with("error:"))?;
    let next = if lines[at] == "error:" { lines.get(at + 1).copied() } else { None };
    Some(format!("{} {}", lines[at], next.unwrap_or_default()))
}
