//! Running one command to its end, with its output kept and a bound on its time. No knowledge of floe.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// No single command of a test may take longer than this.
pub const LIMIT: Duration = Duration::from_secs(180);

/// What a finished command left.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output, lossily as text.
    pub stdout: String,
    /// Its standard error, lossily as text and without colours.
    pub stderr: String,
    /// Wall time.
    pub wall_ms: u128,
}

impl Outcome {
    /// Whether it ended with exit code 0.
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// The lines of standard output.
    pub fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }

    /// One line on how it ended, and what it said; for failure messages.
    pub fn describe(&self) -> String {
        let end = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "no exit code".to_owned(),
        };
        format!(
            "{end} after {} ms\nstdout:\n{}\nstderr:\n{}",
            self.wall_ms,
            indent(&self.stdout),
            indent(&self.stderr)
        )
    }
}

/// Starts a command in the background, in a process group of its own; what it says is not kept.
pub fn start(command: &mut Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("a command starts")
}

/// Runs a command to its end in a process group of its own; over [`LIMIT`] the group is killed.
pub fn run(command: &mut Command) -> io::Result<Outcome> {
    run_with(command, Stdio::null())
}

/// As [`run`], with something to read.
pub fn run_with(command: &mut Command, stdin: impl Into<Stdio>) -> io::Result<Outcome> {
    let (mut out, mut err) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let started = Instant::now();
    let mut child = command
        .stdin(stdin)
        .stdout(out.try_clone()?)
        .stderr(err.try_clone()?)
        .process_group(0)
        .spawn()
        .map_err(|e| {
            io::Error::new(e.kind(), format!("cannot start {:?}: {e}", command.get_program()))
        })?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if started.elapsed() > LIMIT {
            kill_group(child.id());
            break child.wait()?;
        }
        std::thread::sleep(Duration::from_millis(3));
    };
    Ok(Outcome {
        status,
        stdout: contents(&mut out)?,
        stderr: without_colours(&contents(&mut err)?),
        wall_ms: started.elapsed().as_millis(),
    })
}

/// Kills the process group that a child started by [`run`] or with `process_group(0)` leads.
pub fn kill_group(leader: u32) {
    if let Some(pid) = i32::try_from(leader).ok().and_then(rustix::process::Pid::from_raw) {
        // it may be gone already, which is what was wanted
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
}

/// Interrupts a child, as Ctrl-C would.
pub fn interrupt(child: &std::process::Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        // it may be gone already, which its caller will see
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
    }
}

/// The text without escape sequences of the form that colours text.
pub fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\x1b[") {
        plain.push_str(&rest[..at]);
        let sequence = &rest[at + 2..];
        let end =
            sequence.find(|c: char| c.is_ascii_alphabetic()).map_or(sequence.len(), |e| e + 1);
        rest = &sequence[end..];
    }
    plain.push_str(rest);
    plain
}

/// The text without any escape sequences, and without the marks that move the cursor back to a line's beginning.
pub fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\x1b' => {
                // `[`, parameters, and a letter; anything else is two characters long
                if rest.next() == Some('[') {
                    let _ = rest.find(|c| c.is_ascii_alphabetic());
                }
            }
            '\r' | '\x07' => {}
            c => plain.push(c),
        }
    }
    plain
}

/// Every line moved to the right.
pub fn indent(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

fn contents(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
