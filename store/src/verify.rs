//! Verification: does the disk still hold what the rows say? Reports, and mends nothing.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::fd::AsFd;
use std::path::PathBuf;

use floe_core::hash::Hash;
use floe_core::path::StorePath;

use crate::db::Family;
use crate::error::{IoContext, Result, StoreError};
use crate::key::{self, PathKey};
use crate::object::tree;
use crate::query::path_of;
use crate::row::{self, ObjectRow, TraceRow};
use crate::store::{Mode, Store};

/// What to look at.
#[derive(Clone, Copy)]
pub struct VerifyOptions<'a> {
    /// Read every object and compare its NAR's hash; otherwise only see that it is there.
    pub contents: bool,
    /// Told before each object.
    pub on_object: Option<&'a dyn Fn(&StorePath)>,
}

impl Default for VerifyOptions<'_> {
    fn default() -> Self {
        Self { contents: true, on_object: None }
    }
}

/// What was looked at, and what is wrong.
#[derive(Debug, Default)]
pub struct VerifyReport {
    /// Objects with rows.
    pub objects: usize,
    /// NAR bytes hashed.
    pub hashed_bytes: u64,
    /// What is wrong; empty when all is well.
    pub faults: Vec<Fault>,
}

/// One thing that is wrong, with what to do about it in its words.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A registered object has no files.
    Missing {
        /// The object.
        path: StorePath,
        /// Where its files should be.
        physical: PathBuf,
    },
    /// An object's files are not what was registered.
    Corrupted {
        /// The object.
        path: StorePath,
        /// Where its files are.
        physical: PathBuf,
        /// The registered NAR hash.
        expected: Hash,
        /// The one of the files.
        got: Hash,
    },
    /// The content is right, but somebody could change it, or did change who may run it.
    Mode {
        /// The object.
        path: StorePath,
        /// The file in it.
        file: String,
        /// Its mode.
        mode: u32,
    },
    /// An object's files cannot be read.
    Unreadable {
        /// The object.
        path: StorePath,
        /// Why.
        reason: String,
    },
    /// An object refers to one that is not registered.
    Dangling {
        /// The object.
        path: StorePath,
        /// What it refers to.
        reference: StorePath,
    },
    /// A file lies in the store without a row, and no owner is at work or died who may have left it.
    Orphan {
        /// The file.
        physical: PathBuf,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path, physical } => write!(
                f,
                "{path} is registered, but nothing lies at {physical:?}; remove its roots, run `floe store gc` and build it again"
            ),
            Self::Corrupted { path, physical, expected, got } => write!(
                f,
                "{path} was changed: the files at {physical:?} have the NAR hash {}, registered is {}; remove its roots, run `floe store gc` and build it again, and check the disk",
                got.sri(),
                expected.sri()
            ),
            Self::Mode { path, file, mode } => write!(
                f,
                "{path} was tampered with: {file} has the mode {mode:04o}, and nothing in the store may be other than 0444 or 0555; remove its roots, run `floe store gc` and build it again"
            ),
            Self::Unreadable { path, reason } => {
                write!(f, "{path} cannot be read: {reason}")
            }
            Self::Dangling { path, reference } => write!(
                f,
                "{path} refers to {reference}, which is not registered; build or add that, or remove the roots of the former and run `floe store gc`"
            ),
            Self::Orphan { physical } => write!(
                f,
                "{physical:?} lies in the store without being registered; `floe store gc` removes it"
            ),
        }
    }
}

impl Store {
    /// Compares the disk with the rows.
    pub fn verify(&self, options: &VerifyOptions<'_>) -> Result<VerifyReport, StoreError> {
        let mut report = VerifyReport::default();
        self.db.scan(Family::Objects, &[], None, |key, value| {
            let key = PathKey(key.to_vec());
            let row: ObjectRow = row::decode(&key.0, value)?;
            self.verify_object(&key, &row, options, &mut report)?;
            Ok(true)
        })?;
        self.verify_traces()?;
        self.verify_orphans(&mut report)?;
        Ok(report)
    }

    fn verify_object(
        &self,
        key: &PathKey,
        row: &ObjectRow,
        options: &VerifyOptions<'_>,
        report: &mut VerifyReport,
    ) -> Result<()> {
        let path = path_of(Family::Objects, key)?;
        if let Some(tell) = options.on_object {
            tell(&path);
        }
        report.objects += 1;
        for reference in &row.refs {
            let known = self.db.has(Family::Objects, &reference.0)?
                || self.db.has(Family::Derivations, &reference.0)?;
            if !known {
                let reference = path_of(Family::Objects, reference)?;
                report.faults.push(Fault::Dangling { path: path.clone(), reference });
            }
        }
        let physical = self.physical(&path);
        if physical.symlink_metadata().is_err() {
            report.faults.push(Fault::Missing { path, physical });
        } else if options.contents {
            let base = OsStr::new(path.base_name());
            match tree::digest(self.objects.as_fd(), base, path.as_str()) {
                Ok(contents) => {
                    let got = contents.nar_hash;
                    report.hashed_bytes += contents.nar_size;
                    let expected = row::sha256(row.nar_hash);
                    if got != expected {
                        report.faults.push(Fault::Corrupted { path, physical, expected, got });
                    } else if let Some((file, mode)) =
                        tree::wrong_mode(self.objects.as_fd(), base, path.as_str())?
                    {
                        report.faults.push(Fault::Mode { path, file, mode });
                    }
                }
                Err(e) => {
                    let reason = e.to_string();
                    report.faults.push(Fault::Unreadable { path, reason });
                }
            }
        }
        Ok(())
    }

    /// That they can be read. What they name may be gone: a trace outlives its object.
    fn verify_traces(&self) -> Result<()> {
        self.db.scan(Family::Trace, &[], None, |key, value| {
            key::split_trace(key).map_err(|reason| row::broken(Family::Trace, key, reason))?;
            let row: TraceRow = row::decode(key, value)?;
            for realisation in &row.realisations {
                path_of(Family::Trace, &realisation.path)?;
            }
            Ok(true)
        })
    }

    fn verify_orphans(&self, report: &mut VerifyReport) -> Result<()> {
        // An owner is at work, or died: what has no row is not yet registered, or goes when the
        // next owner opens the store.
        if self.mode() == Mode::ReadOnly && self.layout.unclean.exists() {
            return Ok(());
        }
        let dir = &self.layout.store;
        for entry in fs::read_dir(dir).at("list", dir)? {
            let entry = entry.at("list", dir)?;
            let name = entry.file_name();
            let path = name.to_str().and_then(|name| StorePath::from_base_name(name).ok());
            let fine = match path.as_ref().map(PathKey::of) {
                Some(key) => self.protect.is_held(&key) || self.db.has(Family::Objects, &key.0)?,
                None => false,
            };
            if !fine {
                report.faults.push(Fault::Orphan { physical: entry.path() });
            }
        }
        Ok(())
    }
}
