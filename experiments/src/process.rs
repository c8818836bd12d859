//! A process, measured: wall time, processor time and peak memory of it and of all that it started and waited for.
//! Knows no tool.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use wait4::Wait4;

/// What a process took, and what it said.
#[derive(Debug)]
pub struct Measured {
    /// How it ended.
    pub status: ExitStatus,
    /// From its start until it was waited for, in milliseconds.
    pub wall_ms: f64,
    /// Processor time of it and its children, in milliseconds.
    pub cpu_ms: f64,
    /// The most memory that one process among them held, in KiB.
    pub peak_kb: u64,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

/// Runs a command to its end, whatever that is.
///
/// # Errors
/// It cannot be started.
pub fn measure(command: &mut Command) -> Result<Measured> {
    // Files, since a pipe would have to be read while it runs, by a thread that takes a core.
    let (mut out, mut err) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(err.try_clone()?);
    let started = Instant::now();
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let used = child
        .wait4()
        .with_context(|| format!("cannot wait for {}", command.get_program().display()))?;
    let wall_ms = started.elapsed().as_secs_f64() * 1e3;
    let cpu_ms = (used.rusage.utime + used.rusage.stime).as_secs_f64() * 1e3;
    Ok(Measured {
        status: used.status,
        wall_ms,
        cpu_ms,
        peak_kb: used.rusage.maxrss / 1024,
        out: text(&mut out)?,
        err: text(&mut err)?,
    })
}

/// Runs a command that must succeed.
///
/// # Errors
/// It cannot be started or fails; the message holds the end of what it said.
pub fn succeed(command: &mut Command) -> Result<Measured> {
    let done = measure(command)?;
    if !done.status.success() {
        let said = [done.out.as_str(), done.err.as_str()].concat();
        let from = said.char_indices().rev().nth(2000).map_or(0, |(at, _)| at);
        bail!("{} ended with {}:\n{}", shown(command), done.status, &said[from..]);
    }
    Ok(done)
}

/// A command as a shell would be told it.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

fn text(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_and_its_children_are_measured() {
        let script =
            "sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done'; echo said; echo aloud >&2";
        let done = succeed(Command::new("sh").args(["-c", script])).expect("run");
        assert_eq!((done.out.as_str(), done.err.as_str()), ("said\n", "aloud\n"));
        assert!(done.cpu_ms > 5.0 && done.wall_ms > 5.0 && done.peak_kb > 100, "{done:?}");
    }

    #[test]
    fn a_failure_says_what_was_said() {
        let fault =
            succeed(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).expect_err("failed");
        assert!(fault.to_string().contains("exit status: 3:\nwhy"), "{fault}");
    }
}
