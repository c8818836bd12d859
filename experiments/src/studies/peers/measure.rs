//! How a build is measured: the command, the log to which actions add a byte, and a server that works for it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use super::system::Built;
use crate::process::{self, Measured};

/// Runs a command whose actions add a byte each to a log.
///
/// # Errors
/// It fails, or the log cannot be read.
pub fn logged(command: &mut Command, log: &Path) -> Result<Built> {
    fs::write(log, "").with_context(|| format!("cannot write {}", log.display()))?;
    let done = process::succeed(command)?;
    let actions = fs::metadata(log)?.len() as usize;
    Ok(built(&done, actions))
}

/// What a command took that nothing works for but itself.
pub fn built(done: &Measured, actions: usize) -> Built {
    Built { actions, wall_ms: done.wall_ms, cpu_ms: done.cpu_ms, peak_kb: done.peak_kb }
}

/// What a command and a server that works for it took.
pub fn served(done: &Measured, actions: usize, before: Used, after: Used) -> Built {
    // A server that was not there before, or was another, began with nothing.
    let began = if before.pid == after.pid { before.cpu_ms } else { 0.0 };
    Built {
        actions,
        wall_ms: done.wall_ms,
        cpu_ms: done.cpu_ms + after.cpu_ms - began,
        peak_kb: done.peak_kb.max(after.peak_kb),
    }
}

/// What a running process has used since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Used {
    /// Which; 0 where there is none.
    pub pid: i32,
    /// Processor time of it and of those of its children that ended.
    pub cpu_ms: f64,
    /// The most memory it held.
    pub peak_kb: u64,
}

impl Used {
    /// Of the process with this number; of none, nothing.
    ///
    /// # Errors
    /// There is no such process.
    pub fn of(pid: Option<i32>) -> Result<Self> {
        let Some(pid) = pid else { return Ok(Self::default()) };
        let gone = || format!("process {pid} is gone");
        // Its own clock, since the kernel tells others in hundredths of a second only.
        let clock: ClockId = clock_getcpuclockid(Pid::from_raw(pid)).with_context(gone)?;
        let own = clock_gettime(clock).with_context(gone)?;
        let own_ms = own.tv_sec() as f64 * 1e3 + own.tv_nsec() as f64 / 1e6;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(gone)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(gone)?;
        Ok(Self {
            pid,
            cpu_ms: own_ms + children_ms(&stat).with_context(gone)?,
            peak_kb: peak_kb(&status).with_context(gone)?,
        })
    }
}

/// The most memory that this process held: what it starts can be told from it only above that, since a kernel counts
/// what a process was before it became another program.
///
/// # Errors
/// The kernel does not say.
pub fn floor_kb() -> Result<u64> {
    peak_kb(&fs::read_to_string("/proc/self/status")?).context("the kernel tells no peak memory")
}

/// How many processes wanted a core in the last minute, for each core: above one there was not enough for all.
///
/// # Errors
/// The kernel does not say.
pub fn load_share() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    let load: f64 = text
        .split_whitespace()
        .next()
        .and_then(|load| load.parse().ok())
        .context("the kernel tells no load")?;
    let cores = std::thread::available_parallelism()?.get() as f64;
    Ok((load / cores * 100.0).round() / 100.0)
}

/// Processor time of children that ended, by `/proc/PID/stat`, whose ticks are hundredths of a second.
fn children_ms(stat: &str) -> Option<f64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(13)? + ticks(14)?) * 10.0)
}

fn peak_kb(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_says_what_it_used() {
        let me = i32::try_from(std::process::id()).expect("a number");
        let before = Used::of(Some(me)).expect("this process");
        let mut sum = 0u64;
        while Used::of(Some(me)).expect("this process").cpu_ms < before.cpu_ms + 2.0 {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        assert!(sum > 0 && before.peak_kb > 100, "{before:?}");
        assert!(floor_kb().expect("told") >= before.peak_kb);
        assert_eq!(Used::of(None).expect("nothing"), Used::default());
    }

    #[test]
    fn children_are_the_sixteenth_and_seventeenth_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 11 12 13 14 20 0";
        assert_eq!(children_ms(stat), Some(270.0));
        assert_eq!(peak_kb("VmPeak:\t 9 kB\nVmHWM:\t  512 kB\n"), Some(512));
    }

    #[test]
    fn another_servers_past_is_not_counted() {
        let done = process::succeed(Command::new("true").arg("")).expect("run");
        let used = |pid, cpu_ms| Used { pid, cpu_ms, peak_kb: 1 << 30 };
        let same = served(&done, 1, used(2, 30.0), used(2, 50.0));
        assert!((same.cpu_ms - done.cpu_ms - 20.0).abs() < 1e-6);
        assert_eq!(same.peak_kb, 1 << 30);
        let other = served(&done, 1, Used::default(), used(2, 50.0));
        assert!((other.cpu_ms - done.cpu_ms - 50.0).abs() < 1e-6);
    }
}
