//! A build's log: every byte to its file, lines to whoever watches, the last lines to the error
//! message. Builders print anything, so lines are cut, never trusted.

use std::collections::VecDeque;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use floe_core::path::StorePath;

use super::phase;
use crate::event::{Event, Events};
use crate::job::Job;

/// Lines kept for the error message.
const TAIL_LINES: usize = 25;

/// Longest line passed on; the file has it whole.
const MAX_LINE_BYTES: usize = 4096;

/// Where the log of the build of this derivation lies.
pub fn log_path(log_dir: &Path, deriver: &StorePath) -> PathBuf {
    let base = deriver.base_name();
    log_dir.join(&base[..2]).join(format!("{base}.log"))
}

/// One build's log, while it is written.
pub struct BuildLog {
    job: u32,
    name: Arc<str>,
    events: Events,
    path: PathBuf,
    file: BufWriter<File>,
    /// The first failure to write; the build goes on, the log is what suffers.
    fault: Option<io::Error>,
    line: Vec<u8>,
    tail: VecDeque<Vec<u8>>,
}

impl BuildLog {
    /// Starts the log of a job, in the place of an earlier one of the same derivation.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(
        log_dir: &Path,
        deriver: &StorePath,
        job: &Job,
        events: &Events,
    ) -> io::Result<Self> {
        let path = log_path(log_dir, deriver);
        let place = |error: io::Error| {
            io::Error::new(
                error.kind(),
                format!("cannot create the log {}: {error}", path.display()),
            )
        };
        if let Some(dir) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o755).create(dir).map_err(place)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o644);
        let file = options.open(&path).map_err(place)?;
        Ok(BuildLog {
            job: job.id,
            name: Arc::clone(&job.recipe.name),
            events: events.clone(),
            path: path.clone(),
            file: BufWriter::new(file),
            fault: None,
            line: Vec::new(),
            tail: VecDeque::new(),
        })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes more output.
    pub fn take(&mut self, bytes: &[u8]) {
        if self.fault.is_none()
            && let Err(error) = self.file.write_all(bytes)
        {
            self.events.send(Event::Note(format!(
                "the log {} is incomplete: {error}",
                self.path.display()
            )));
            self.fault = Some(error);
        }
        let mut rest = bytes;
        while let Some(at) = memchr::memchr(b'\n', rest) {
            self.extend_line(&rest[..at]);
            self.end_line();
            rest = &rest[at + 1..];
        }
        self.extend_line(rest);
    }

    /// Writes out what is left.
    pub fn finish(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
        if let Err(error) = self.file.flush()
            && self.fault.is_none()
        {
            self.fault = Some(error);
        }
    }

    /// The last lines.
    pub fn tail(&self) -> Vec<Vec<u8>> {
        self.tail.iter().cloned().collect()
    }

    fn extend_line(&mut self, bytes: &[u8]) {
        let room = MAX_LINE_BYTES.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let said = phase::said(&line);
        if let Some(phase) = said.phase {
            self.events.send(Event::Phase { job: self.job, phase });
        }
        if said.is_for_floe {
            return;
        }
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(line.clone());
        self.events.send(Event::Log { job: self.job, name: Arc::clone(&self.name), line });
    }
}

impl Write for BuildLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
