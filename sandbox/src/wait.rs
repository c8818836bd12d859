//! Following a build to its end: its log, its limits, its death. When [`Running::wait`] returns,
//! no process of the build is left: the builder is the first process of its pid namespace, so the
//! kernel kills and reaps all others before it reports the builder's own end.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::SandboxError;
use crate::layers::Layers;
use crate::network::Helper;
use crate::outcome::{End, Outcome};
use crate::spawn::Shared;
use crate::spec::Limits;
use crate::sys::{self, Started};

/// A build that was started. Dropping it kills the build and waits for its end.
#[derive(Debug)]
pub struct Running {
    /// The process, until it is reaped.
    child: Option<libc::pid_t>,
    killer: Killer,
    log: File,
    helper: Option<Helper>,
    limits: Limits,
    layers: Layers,
    begun: Instant,
    /// The threads that started the build must outlive it.
    _spawner: Arc<Shared>,
}

/// Ends a build from any thread.
#[derive(Clone, Debug)]
pub struct Killer {
    pidfd: Arc<OwnedFd>,
    asked: Arc<AtomicBool>,
}

impl Killer {
    /// Kills every process of the build. The one who waits for it gets [`End::Killed`], unless
    /// it had come to its end before.
    pub fn kill(&self) {
        self.asked.store(true, Ordering::Relaxed);
        // It fails only when the build is over.
        let _ = sys::kill(self.pidfd.as_fd());
    }
}

impl Running {
    pub(crate) fn new(
        spawner: Arc<Shared>,
        started: Started,
        log: File,
        limits: Limits,
        layers: Layers,
        begun: Instant,
    ) -> Running {
        Running {
            child: Some(started.pid),
            killer: Killer { pidfd: Arc::new(started.pidfd), asked: Arc::default() },
            log,
            helper: None,
            limits,
            layers,
            begun,
            _spawner: spawner,
        }
    }

    /// Gives the build a network helper to end with it.
    pub(crate) fn with_helper(mut self, helper: Option<Helper>) -> Running {
        self.helper = helper;
        self
    }

    /// A handle that can end the build while another thread waits for it.
    pub fn killer(&self) -> Killer {
        self.killer.clone()
    }

    /// The layers in force around the build.
    pub fn layers(&self) -> Layers {
        self.layers
    }

    /// Follows the build to its end, handing over its log (standard output and error in one
    /// stream) piece by piece as it comes.
    pub fn wait(mut self, on_log: &mut dyn FnMut(&[u8])) -> Result<Outcome, SandboxError> {
        let mut log_bytes = 0;
        let mut broken = self.follow(&mut log_bytes, on_log)?;
        if broken.is_some() {
            // It fails only when the build is over.
            let _ = sys::kill(self.killer.pidfd.as_fd());
        }
        let reaped = self.reap()?;
        if broken.is_none() {
            broken = self.drain(&mut log_bytes, on_log)?;
        }
        let end = match (broken, ExitStatus::from_raw(reaped.status)) {
            (Some(end), _) => end,
            (None, status) => match (status.code(), status.signal()) {
                (Some(code), _) => End::Exited(code),
                (None, Some(libc::SIGKILL)) if self.killer.asked.load(Ordering::Relaxed) => {
                    End::Killed
                }
                (None, signal) => End::Signaled(signal.unwrap_or_default()),
            },
        };
        self.helper = None;
        Ok(Outcome {
            end,
            wall: self.begun.elapsed(),
            cpu_user: reaped.cpu_user,
            cpu_system: reaped.cpu_system,
            max_resident_bytes: reaped.max_resident_bytes,
            log_bytes,
            layers: self.layers,
        })
    }

    /// Reads the log until the builder has ended (`None`) or broken a limit.
    fn follow(
        &mut self,
        log_bytes: &mut u64,
        on_log: &mut dyn FnMut(&[u8]),
    ) -> Result<Option<End>, SandboxError> {
        let mut last_sound = Instant::now();
        let mut log_open = true;
        loop {
            let now = Instant::now();
            let timeout =
                self.limits.timeout.map(|limit| (self.begun + limit, End::TimedOut(limit)));
            let silent =
                self.limits.max_silent.map(|limit| (last_sound + limit, End::Silent(limit)));
            let nearest = [timeout, silent].into_iter().flatten().min_by_key(|(at, _)| *at);
            if let Some((at, end)) = nearest
                && at <= now
            {
                return Ok(Some(end));
            }
            let (ended, sound) = self.poll(nearest.map(|(at, _)| at - now), log_open)?;
            if ended {
                return Ok(None);
            }
            if sound {
                last_sound = Instant::now();
                match self.read(log_bytes, on_log)? {
                    Piece::Some | Piece::Later => {}
                    Piece::End => log_open = false,
                    Piece::TooLong(limit) => return Ok(Some(End::LogTooLong(limit))),
                }
            }
        }
    }

    /// Waits for the builder's end or for log, at most this long.
    fn poll(&self, wait: Option<Duration>, log_open: bool) -> Result<(bool, bool), SandboxError> {
        let wait = wait.map(|wait| Timespec {
            tv_sec: wait.as_secs() as i64,
            tv_nsec: i64::from(wait.subsec_nanos()),
        });
        let mut fds =
            [PollFd::new(&self.killer.pidfd, PollFlags::IN), PollFd::new(&self.log, PollFlags::IN)];
        let watched = if log_open { 2 } else { 1 };
        match poll(&mut fds[..watched], wait.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(following("waiting for it", error.into())),
        }
        let [ended, sound] = fds.map(|fd| !fd.revents().is_empty());
        Ok((ended, log_open && sound))
    }

    fn read(
        &mut self,
        log_bytes: &mut u64,
        on_log: &mut dyn FnMut(&[u8]),
    ) -> Result<Piece, SandboxError> {
        let mut buffer = [0; 64 * 1024];
        let count = match self.log.read(&mut buffer) {
            Ok(0) => return Ok(Piece::End),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Piece::Later),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Piece::Some),
            Err(error) => return Err(following("reading its log", error)),
        };
        let piece = &buffer[..count];
        let room = self.limits.max_log_bytes.map_or(u64::MAX, |limit| limit - *log_bytes);
        let taken = usize::try_from(room).map_or(count, |room| room.min(count));
        on_log(&piece[..taken]);
        *log_bytes += taken as u64;
        match self.limits.max_log_bytes {
            Some(limit) if taken < count => Ok(Piece::TooLong(limit)),
            _ => Ok(Piece::Some),
        }
    }

    /// Reads what the dead left in the pipe; it may break the last limit.
    fn drain(
        &mut self,
        log_bytes: &mut u64,
        on_log: &mut dyn FnMut(&[u8]),
    ) -> Result<Option<End>, SandboxError> {
        loop {
            match self.read(log_bytes, on_log)? {
                Piece::Some => {}
                Piece::Later | Piece::End => return Ok(None),
                Piece::TooLong(limit) => return Ok(Some(End::LogTooLong(limit))),
            }
        }
    }

    fn reap(&mut self) -> Result<sys::Reaped, SandboxError> {
        let pid = self
            .child
            .take()
            .ok_or_else(|| following("reaping it", io::Error::other("it was reaped before")))?;
        sys::reap(pid).map_err(|error| following("reaping it", error))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(pid) = self.child.take() {
            // Both fail only when the build is over already.
            let _ = sys::kill(self.killer.pidfd.as_fd());
            let _ = sys::reap(pid);
        }
    }
}

/// What one read of the log gave.
enum Piece {
    /// Some bytes; there may be more.
    Some,
    /// Nothing for now.
    Later,
    /// Nobody holds the log open any more.
    End,
    /// More than the limit, which is this.
    TooLong(u64),
}

fn following(doing: &'static str, source: io::Error) -> SandboxError {
    SandboxError::Follow { doing, source }
}
