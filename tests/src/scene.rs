//! Scenes for tests of what goes wrong: a recipe whose builder misbehaves above one that does not, and the claims every
//! failure must satisfy. Says nothing about a particular fault.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::fixture;
use crate::oracle::busybox;
use crate::process::{Outcome, run, start};
use crate::world::World;

/// Plain derivations of /bin/sh with more of them: `base` writes what `edit` says, `top` needs one of its outputs and
/// `middle`, which is among `more`; `broken` fails below `above`.
pub fn steps(more: &str) -> String {
    format!("{STEPS}{more}}}\n")
}

const STEPS: &str = r#"{ edit ? "one", comment ? "" }: rec {
  sh = name: outputs: env: script: derivation ({
    inherit name outputs;
    system = "x86_64-linux";
    builder = "/bin/sh";
    args = [ "-e" "-c" script ];
  } // env);
  base = sh "base" [ "out" "dev" ] { inherit comment; } "echo ${edit} > $out; echo header > $dev";
  top = sh "top" [ "out" ] { inherit middle; inherit (base) dev; } "echo $middle $dev > $out";
  broken = sh "broken" [ "out" ] { } "echo about to fail; exit 3";
  above = sh "above" [ "out" ] { inherit broken; } "echo > $out";
"#;

/// A world with a `case.nix` that holds the attributes `good` and `bad`, the latter depending on the former.
pub struct Scene {
    /// Where it plays.
    pub world: World,
    /// The expression.
    pub case: PathBuf,
}

impl Scene {
    /// `bad` runs this script of busybox's shell; `$good` is its input and `$bb` the path of busybox.
    pub fn with_script(script: &str) -> Scene {
        Scene::with_attributes(script, "")
    }

    /// The same with more attributes, written in Nix, given to the derivation.
    pub fn with_attributes(script: &str, attributes: &str) -> Scene {
        Scene::with_set(&format!(
            "  good = ca \"good\" \"echo finished work > $out\";\n  \
             bad = ca' {{ inherit good; {attributes} }} \"bad\" ''\n{script}\n'';\n"
        ))
    }

    /// These definitions, which may use `ca` and `ca'` of the fixtures' library.
    pub fn with_set(definitions: &str) -> Scene {
        let library = fixture::folder().join("ca/lib.nix");
        let text = format!(
            "with import {} {{ busybox = {}; }};\nrec {{\n{definitions}}}\n",
            library.display(),
            busybox().display()
        );
        Scene::with_text(&text)
    }

    /// Any expression.
    pub fn with_text(text: &str) -> Scene {
        let world = World::new();
        let case = world.file("case.nix", text);
        Scene { world, case }
    }

    /// `floe build -f case.nix ATTRIBUTE --no-link` with more flags, not yet run.
    pub fn build_command(&self, attribute: &str, flags: &[&str]) -> Command {
        let mut command = self.world.command("floe");
        command.args(["build", "-f"]).arg(&self.case);
        if !attribute.is_empty() {
            command.arg(attribute);
        }
        command.arg("--no-link").args(flags);
        command
    }

    /// Builds an attribute.
    pub fn build(&self, attribute: &str, flags: &[&str]) -> Outcome {
        run(&mut self.build_command(attribute, flags)).expect("floe to start")
    }

    /// Starts building an attribute in the background, in a process group of its own.
    pub fn start(&self, attribute: &str, flags: &[&str]) -> Child {
        start(&mut self.build_command(attribute, flags))
    }

    /// Waits until a process with the text in its command line runs.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let started = Instant::now();
        while processes_with(text).is_empty() {
            assert!(started.elapsed() < Duration::from_secs(60), "the builder never started");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Builds an attribute, which must go well; where its output lies.
    #[track_caller]
    pub fn made(&self, attribute: &str) -> PathBuf {
        let outcome = self.build(attribute, &[]);
        assert!(outcome.success(), "{}", outcome.describe());
        self.world.physical(outcome.lines().last().expect("an output's path"))
    }

    /// What a command said on standard error, without what is different in every run: the place of the world, digests,
    /// times.
    pub fn told(&self, outcome: &Outcome) -> String {
        let place = std::fs::canonicalize(self.world.work()).expect("the world");
        let place = place.parent().expect("its parent").to_string_lossy().into_owned();
        let text = outcome.stderr.replace(&place, "WORLD");
        let lines = text.lines().map(|line| match line.rsplit_once(" in ") {
            Some((what, time)) if time.ends_with(" s") => format!("{what} in TIME"),
            _ if line.starts_with("  ") || line.starts_with("expected: ") => without_times(line),
            _ => without_digests(line),
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Builds `bad`, which must fail with exit status 100 and a message that holds one of `messages` and names the
    /// derivation; `good` must stay built, and the store consistent.
    #[track_caller]
    pub fn bad_fails(&self, flags: &[&str], messages: &[&str]) -> Outcome {
        let outcome = self.build("bad", flags);
        fails_with(&outcome, 100, messages);
        says(&outcome, &["bad"]);
        self.good_is_kept();
        self.store_is_sound();
        outcome
    }

    /// `good` is there without a builder having to run again.
    #[track_caller]
    pub fn good_is_kept(&self) {
        let report = self.world.work().join("kept.jsonl");
        let outcome = self.build("good", &["--report", &report.to_string_lossy()]);
        assert!(outcome.success(), "building what was finished before: {}", outcome.describe());
        let lines = std::fs::read_to_string(&report).expect("the report");
        assert!(!lines.contains("\"built\""), "finished work was lost and built again:\n{lines}");
    }

    /// Nothing is half registered, no lock is left, and when the next owner has come, no build's directory either.
    #[track_caller]
    pub fn store_is_sound(&self) {
        let outcome = self.world.floe(["store", "verify"]);
        assert!(outcome.success(), "floe store verify: {}", outcome.describe());
        // what needs the whole store gets it without waiting
        let outcome = self.world.floe(["store", "gc", "--dry-run", "--no-wait"]);
        assert!(outcome.success(), "a lock is left: {}", outcome.describe());
        for place in ["builds", "trash"] {
            let left: Vec<_> = std::fs::read_dir(self.world.root().join(place))
                .expect("a directory of the store")
                .flatten()
                .map(|entry| entry.file_name())
                .collect();
            assert!(left.is_empty(), "{place} holds {left:?}");
        }
    }
}

/// The line without store paths' digests, and with times replaced: a number before a unit, and the blanks before it,
/// of which there are more before a shorter time.
fn without_times(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let is_number = |word: &str| {
        let word = word.trim_start_matches(['~', '(']);
        !word.is_empty() && word.chars().all(|c| c.is_ascii_digit() || c == '.')
    };
    let is_unit = |word: &str| matches!(word.trim_end_matches(')'), "ms" | "s" | "min");
    let mut kept: Vec<&str> = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", |before| words[before]);
        if is_unit(word) && is_number(before) {
            kept.pop();
            while kept.last().is_some_and(|last| last.is_empty()) {
                kept.pop();
            }
            kept.push(if word.ends_with(')') { "TIME)" } else { "TIME" });
        } else {
            kept.push(word);
        }
    }
    without_digests(&kept.join(" "))
}

/// The line with each store path's digest replaced.
fn without_digests(line: &str) -> String {
    let digest = |text: &str| {
        text.len() > 32
            && text.as_bytes()[32] == b'-'
            && text.bytes().take(32).all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
    };
    let mut text = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let at_word = !text.ends_with(|last: char| last.is_ascii_alphanumeric());
        if at_word && digest(rest) {
            text += "DIGEST";
            rest = &rest[32..];
        } else {
            text.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    text
}

/// The command failed in an orderly way with this exit status, and said one of the messages.
#[track_caller]
pub fn fails_with(outcome: &Outcome, status: i32, messages: &[&str]) {
    fails_saying(outcome, messages);
    assert_eq!(outcome.status.code(), Some(status), "{}", outcome.describe());
}

/// An orderly failure, neither success nor a panic nor a signal, with one of the messages. (Exit code 101 alone is no
/// sign of a panic: Nix uses it for builds that timed out.)
#[track_caller]
pub fn fails_saying(outcome: &Outcome, messages: &[&str]) {
    let orderly = outcome.status.code().is_some_and(|code| code != 0);
    assert!(
        orderly && !outcome.stderr.contains("panicked at"),
        "an orderly failure was expected: {}",
        outcome.describe()
    );
    says(outcome, messages);
}

/// One of the messages is on standard error.
#[track_caller]
pub fn says(outcome: &Outcome, messages: &[&str]) {
    let said = outcome.stderr.to_lowercase();
    assert!(
        messages.iter().any(|message| said.contains(&message.to_lowercase())),
        "one of {messages:?} was expected on standard error: {}",
        outcome.describe()
    );
}

/// Process ids of this machine whose command line holds the text.
pub fn processes_with(text: &str) -> Vec<u32> {
    let own = std::process::id();
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != own)
        .filter(|pid| {
            std::fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(text))
        })
        .collect()
}

/// Waits until no process has the text in its command line; panics after five seconds.
#[track_caller]
pub fn no_process_remains(text: &str) {
    for _ in 0..100 {
        if processes_with(text).is_empty() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("processes of the build remain: {:?}", processes_with(text));
}
