//! The resident server from outside: what it answers is what the command answers alone, whoever asks at the same time,
//! however files are edited, and whatever happens to the server, its clients and its root.

mod edits;
mod faults;
mod requests;
mod same;
mod steps;

use std::ffi::OsStr;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use floe_tests::Outcome;
use floe_tests::process::{run, start};
use floe_tests::scene::{Scene, processes_with};
use serde_json::Value;

/// A scene whose builds are asked of a server.
struct Served {
    scene: Scene,
}

impl Served {
    fn over(scene: Scene) -> Served {
        Served { scene }
    }

    fn with_text(text: &str) -> Served {
        Served::over(Scene::with_text(text))
    }

    /// `floe build --server -f case.nix ATTRIBUTE --no-link`, not yet run.
    fn command(&self, attribute: &str, flags: &[&str]) -> Command {
        let mut command = self.scene.build_command(attribute, flags);
        command.arg("--server");
        command
    }

    fn build(&self, attribute: &str, flags: &[&str]) -> Outcome {
        run(&mut self.command(attribute, flags)).expect("floe to start")
    }

    #[track_caller]
    fn built(&self, attribute: &str, flags: &[&str]) -> Outcome {
        let outcome = self.build(attribute, flags);
        assert!(outcome.success(), "{}", outcome.describe());
        outcome
    }

    /// Starts building an attribute in the background.
    fn start(&self, attribute: &str, flags: &[&str]) -> Child {
        start(&mut self.command(attribute, flags))
    }

    fn floe<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Outcome {
        self.scene.world.floe(args)
    }

    /// What `floe server status` says.
    #[track_caller]
    fn status(&self) -> Value {
        let outcome = self.floe(["server", "status", "--json"]);
        assert!(outcome.success(), "{}", outcome.describe());
        serde_json::from_str(&outcome.stdout).expect("JSON")
    }

    /// The server's process.
    #[track_caller]
    fn pid(&self) -> i32 {
        i32::try_from(self.status()["pid"].as_u64().expect("a number")).expect("a process")
    }

    /// Kills the server as nothing can refuse.
    #[track_caller]
    fn kill(&self) -> i32 {
        let pid = self.pid();
        signal(pid, rustix::process::Signal::KILL);
        until("the server is dead", || !is_alive(pid));
        pid
    }

    /// The counters of a request's report.
    #[track_caller]
    fn report(&self, attribute: &str, flags: &[&str]) -> Value {
        let file = self.scene.world.work().join("builders.jsonl");
        let name = file.to_string_lossy().into_owned();
        self.built(attribute, &[&["--report", &name], flags].concat());
        let text = std::fs::read_to_string(&file).expect("the report");
        serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
    }

    /// How many builders a request needed, by its report.
    #[track_caller]
    fn builders(&self, attribute: &str, flags: &[&str]) -> u64 {
        self.report(attribute, flags)["builders_run"].as_u64().expect("a number")
    }
}

fn signal(pid: i32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a process");
    // It may be gone already, which its caller will see.
    let _ = rustix::process::kill_process(pid, signal);
}

/// Whether a process runs, other than as a corpse.
fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(60), "it never came to pass that {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The processes of a builder, sorted.
fn builders_with(marker: &str) -> Vec<u32> {
    let mut pids = processes_with(marker);
    pids.sort_unstable();
    pids
}
