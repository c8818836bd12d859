//! Archives into directories and back: unpacking a NAR beneath a handle, dumping an object.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use floe_core::nar::{Event, NarError, Reader};
use rustix::fs::{AtFlags, Mode, mkdirat, symlinkat, utimensat};
use rustix::io::Errno;

use super::handle::{self, TIMES};
use super::scan::Needles;
use super::walk::{Action, Contents, Plan, walk};
use super::{ObjectError, show};

/// Unpacks one archive as `name` in `dir`, where nothing may lie yet; files get the modes and
/// times of the store. On an error what was made so far stays, for the caller to delete.
/// The input is left behind the archive.
pub fn restore<R: Read>(input: R, dir: BorrowedFd<'_>, name: &OsStr) -> Result<R, ObjectError> {
    let mut work = Restore { dir, open: Vec::new(), name: name.as_bytes().to_owned() };
    let mut reader = Reader::new(input);
    let mut shown = work.name.clone();
    loop {
        let event = reader.next_event().map_err(|source| unpack(&shown, source))?;
        let Some(event) = event else {
            return Ok(reader.into_inner());
        };
        if let Event::Entry(name) = &event {
            shown = work.shown(name);
        }
        work.event(event, &mut reader, &shown)?;
    }
}

/// Writes the NAR of the object called `name` in `dir`; messages call it `shown`.
pub fn dump(
    dir: BorrowedFd<'_>,
    name: &OsStr,
    shown: &str,
    mut out: impl Write,
) -> Result<Contents, ObjectError> {
    let none = Needles::new([]);
    let plan = Plan { out: Some(&mut out), ..Plan::new(Action::Read, &none) };
    let contents = walk(dir, name.as_bytes(), shown.as_bytes(), plan)?;
    out.flush().map_err(|source| ObjectError::Io {
        action: "write the archive of",
        path: shown.to_owned(),
        source,
    })?;
    Ok(contents)
}

fn unpack(shown: &[u8], source: NarError) -> ObjectError {
    ObjectError::Unpack { path: show(shown), source }
}

struct Restore<'a> {
    dir: BorrowedFd<'a>,
    /// The directories that are open, outermost first.
    open: Vec<(Vec<u8>, OwnedFd)>,
    /// What the next tree is called.
    name: Vec<u8>,
}

impl Restore<'_> {
    fn parent(&self) -> BorrowedFd<'_> {
        self.open.last().map_or(self.dir, |(_, dir)| dir.as_fd())
    }

    fn shown(&self, name: &[u8]) -> Vec<u8> {
        let mut shown = Vec::new();
        for (dir, _) in &self.open {
            shown.extend_from_slice(dir);
            shown.push(b'/');
        }
        shown.extend_from_slice(name);
        shown
    }

    fn event<R: Read>(
        &mut self,
        event: Event,
        reader: &mut Reader<R>,
        shown: &[u8],
    ) -> Result<(), ObjectError> {
        let made = |errno| match errno {
            Errno::EXIST => ObjectError::Exists { path: show(shown) },
            errno => ObjectError::io("create", shown)(errno),
        };
        let timed = ObjectError::io("set mode and time of", shown);
        match event {
            Event::Entry(name) => self.name = name,
            Event::Directory => {
                mkdirat(self.parent(), &self.name, Mode::RWXU).map_err(made)?;
                let dir = handle::open_dir(self.parent(), &self.name)
                    .map_err(ObjectError::io("open", shown))?;
                self.open.push((std::mem::take(&mut self.name), dir));
            }
            Event::EndDirectory => {
                if let Some((_, dir)) = self.open.pop() {
                    handle::finish(dir.as_fd(), true).map_err(timed)?;
                }
            }
            Event::Symlink(target) => {
                symlinkat(&target, self.parent(), &self.name).map_err(made)?;
                utimensat(self.parent(), &self.name, &TIMES, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(timed)?;
            }
            Event::File { executable, size } => {
                let file = handle::create(self.parent(), &self.name).map_err(made)?;
                let mut file = File::from(file);
                copy(reader, &mut file, size).map_err(|source| ObjectError::Io {
                    action: "write",
                    path: show(shown),
                    source,
                })?;
                handle::finish(file.as_fd(), executable).map_err(timed)?;
            }
        }
        Ok(())
    }
}

/// Small files take one read and one write.
fn copy(mut input: impl Read, out: &mut File, size: u64) -> io::Result<()> {
    let mut buffer = vec![0; size.clamp(1, 256 << 10) as usize];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => out.write_all(&buffer[..len])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
