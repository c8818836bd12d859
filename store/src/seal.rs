//! The seal on a database that was closed in order: how long its files were then. RocksDB takes the
//! readable beginning of a log for the whole of it, as it must after a crash; by the seal a log that
//! was cut off later is told from one that a crash cut off, and no registered row is lost unsaid.
//! Knows files, and no row.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{IoContext, Result, StoreError};

/// The seal's file in the database's directory; RocksDB leaves names alone that are not its own.
const NAME: &str = "SEALED";
/// What it is called while an owner opens the database, which may change the logs.
const BROKEN: &str = "SEALED.broken";
/// The first line, by which a seal that was written out in part is not taken for one.
const HEAD: &str = "floe seal 1";
/// The last line.
const END: &str = "end";

/// Whether a directory holds a database, be it a damaged one.
pub(crate) fn is_database(dir: &Path) -> bool {
    dir.join("CURRENT").exists() || dir.join(NAME).exists()
}

/// What the seal of a database says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sealed {
    /// There is none: an owner is at work, or died.
    Open,
    /// Every file is as long as it was when the database was closed.
    Whole,
}

impl Sealed {
    /// Compares the files with the seal. Somebody may break the seal meanwhile.
    pub(crate) fn look(dir: &Path) -> Result<Self> {
        loop {
            let Some(seal) = read(dir)? else { return Ok(Self::Open) };
            if is_outdated(dir, &seal)? {
                return Ok(Self::Open);
            }
            match fault(dir, &seal) {
                None => return Ok(Self::Whole),
                Some(message) if read(dir)?.as_ref() == Some(&seal) => {
                    return Err(StoreError::Corrupt { path: dir.to_path_buf(), message });
                }
                Some(_) => {}
            }
        }
    }
}

/// An owner's part: breaks the seal when it opens, and seals again what it closes.
#[derive(Debug)]
pub(crate) struct Seal {
    dir: PathBuf,
    found: Sealed,
    /// There is a database, and whoever had it before did not close it.
    crashed: bool,
    armed: AtomicBool,
}

impl Seal {
    /// Breaks the seal, if there is one and it is true. The caller owns the database, and says with
    /// [`Seal::opened`] or [`Seal::put_back`] what came of opening it.
    pub(crate) fn break_open(dir: &Path) -> Result<Self> {
        let found = Sealed::look(dir)?;
        let crashed = found == Sealed::Open && is_database(dir);
        let seal = dir.join(NAME);
        match found {
            Sealed::Open => remove(&seal)?,
            Sealed::Whole => fs::rename(&seal, dir.join(BROKEN)).at("break the seal", &seal)?,
        }
        Ok(Self { dir: dir.to_path_buf(), found, crashed, armed: AtomicBool::new(false) })
    }

    /// Whether all of the logs must be readable.
    pub(crate) fn was_whole(&self) -> bool {
        self.found == Sealed::Whole
    }

    /// Whether a log may end in a record that a crash cut short. Such a log must not be sealed.
    pub(crate) fn is_after_crash(&self) -> bool {
        self.crashed
    }

    /// The database is open.
    pub(crate) fn opened(&self) -> Result<()> {
        remove(&self.dir.join(BROKEN))
    }

    /// The database could not be opened: it is as closed as before.
    pub(crate) fn put_back(&self) {
        if self.was_whole() {
            // Without its seal the next opening makes do with what is readable; more cannot be done.
            let _ = fs::rename(self.dir.join(BROKEN), self.dir.join(NAME));
        }
    }

    /// Everything is synced and will be closed in order.
    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::Release);
    }
}

impl Drop for Seal {
    fn drop(&mut self) {
        if *self.armed.get_mut()
            && let Ok(files) = files(&self.dir)
        {
            let mut text = format!("{HEAD}\n");
            for (name, bytes) in files {
                text += &format!("{name} {bytes}\n");
            }
            // A database without a seal is read as after a crash.
            let _ = fs::write(self.dir.join(NAME), text + END + "\n");
        }
    }
}

/// The files that the seal names and their lengths; `None` where there is no seal.
fn read(dir: &Path) -> Result<Option<Vec<(String, u64)>>> {
    let path = dir.join(NAME);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        // Not UTF-8: not what we wrote.
        Err(e) if e.kind() == io::ErrorKind::InvalidData => return Ok(None),
        Err(e) => return Err(StoreError::io("read the seal", &path, e)),
    };
    let lines: Vec<&str> = text.lines().collect();
    let [HEAD, files @ .., END] = lines.as_slice() else { return Ok(None) };
    Ok(files
        .iter()
        .map(|line| {
            let (name, bytes) = line.split_once(' ')?;
            Some((name.to_owned(), bytes.parse().ok()?))
        })
        .collect())
}

/// Whether files came since: whoever opens a database begins new ones, also if it knows no seals.
fn is_outdated(dir: &Path, seal: &[(String, u64)]) -> Result<bool> {
    let files = files(dir).at("list", dir)?;
    Ok(files.iter().any(|(file, _)| seal.iter().all(|(name, _)| name != file)))
}

/// What is wrong with the files, in words.
fn fault(dir: &Path, seal: &[(String, u64)]) -> Option<String> {
    seal.iter().find_map(|(name, bytes)| match fs::metadata(dir.join(name)) {
        Ok(meta) if meta.len() == *bytes => None,
        Ok(meta) => Some(format!(
            "its file {name} has {} bytes, and had {bytes} when the database was closed",
            meta.len()
        )),
        Err(error) => Some(format!("its file {name} of {bytes} bytes cannot be found: {error}")),
    })
}

/// The files that hold rows, or say which do, and their lengths.
fn files(dir: &Path) -> io::Result<Vec<(String, u64)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let holds_rows = |name: &&str| {
            [".log", ".sst"].iter().any(|end| name.ends_with(end))
                || name.starts_with("MANIFEST-")
                || *name == "CURRENT"
        };
        if let Some(name) = name.to_str().filter(holds_rows) {
            files.push((name.to_owned(), entry.metadata()?.len()));
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io("remove the seal", path, e))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(dir: &Path) {
        let seal = Seal::break_open(dir).expect("no seal yet");
        seal.opened().expect("opened");
        seal.arm();
    }

    #[test]
    fn a_seal_tells_a_log_that_was_cut_off() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let log = dir.path().join("000004.log");
        fs::write(&log, "0123456789").expect("a log");
        assert_eq!(Sealed::look(dir.path()).expect("no seal"), Sealed::Open);
        sealed(dir.path());
        assert_eq!(Sealed::look(dir.path()).expect("a seal"), Sealed::Whole);
        fs::write(&log, "01234").expect("cut");
        let text = Sealed::look(dir.path()).expect_err("cut off").to_string();
        assert!(text.contains("000004.log has 5 bytes, and had 10"), "{text}");
        fs::remove_file(&log).expect("removed");
        let text = Seal::break_open(dir.path()).expect_err("gone").to_string();
        assert!(text.contains("000004.log of 10 bytes cannot be found"), "{text}");
    }

    #[test]
    fn a_seal_that_others_did_not_break_is_outdated() {
        let dir = tempfile::tempdir().expect("temporary directory");
        fs::write(dir.path().join("000004.log"), "0123456789").expect("a log");
        sealed(dir.path());
        fs::write(dir.path().join("000004.log"), "01234").expect("changed");
        fs::write(dir.path().join("MANIFEST-000005"), "").expect("a new file");
        assert_eq!(Sealed::look(dir.path()).expect("no fault"), Sealed::Open);
    }

    #[test]
    fn a_broken_seal_comes_back_only_when_opening_failed() {
        let dir = tempfile::tempdir().expect("temporary directory");
        fs::write(dir.path().join("1.log"), "x").expect("a log");
        sealed(dir.path());
        let failed = Seal::break_open(dir.path()).expect("whole");
        assert!(failed.was_whole());
        failed.put_back();
        assert_eq!(Sealed::look(dir.path()).expect("a seal"), Sealed::Whole);
        // killed between the two: no seal, so that no log is missed which the owner removed
        drop(Seal::break_open(dir.path()).expect("whole"));
        assert_eq!(Sealed::look(dir.path()).expect("no seal"), Sealed::Open);
        // a seal written out in part is none
        fs::write(dir.path().join(NAME), format!("{HEAD}\n1.log 9\n")).expect("a torn seal");
        assert_eq!(Sealed::look(dir.path()).expect("no seal"), Sealed::Open);
    }
}
