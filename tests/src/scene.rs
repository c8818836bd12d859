//! Scenes for tests of what goes wrong: a recipe whose builder misbehaves above one that does not, and the claims every
//! failure must satisfy. Says nothing about a particular fault.

use std::path::PathBuf;
use std::process::Command;

use crate::fixture;
use crate::oracle::busybox;
use crate::process::{Outcome, run};
use crate::world::World;

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
        let library = fixture::folder().join("ca/lib.nix");
        let text = format!(
            "with import {} {{ busybox = {}; }};\nrec {{\n  good = ca \"good\" \"echo finished work > $out\";\n  \
             bad = ca' {{ inherit good; {attributes} }} \"bad\" ''\n{script}\n'';\n}}\n",
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

    /// Builds `bad`, which must fail in an orderly way with a message that holds one of `messages` and names the
    /// derivation; `good` must stay built, and the store consistent.
    #[track_caller]
    pub fn bad_fails(&self, flags: &[&str], messages: &[&str]) -> Outcome {
        let outcome = self.build("bad", flags);
        fails_saying(&outcome, messages);
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

    /// Nothing is half registered.
    #[track_caller]
    pub fn store_is_sound(&self) {
        let outcome = self.world.floe(["store", "verify"]);
        assert!(outcome.success(), "floe store verify: {}", outcome.describe());
    }
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
