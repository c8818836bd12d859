//! The store root in which a strategy's trials run: made with the whole set in it, and given up when a trial has been seen
//! to begin in it before, since its outputs may be there already. Knows nothing of what trials find.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::graph::{self, Graph};
use super::rows::Strategy;
use crate::floe::{Built, Floe};
use crate::process;
use crate::study::Place;

/// What is built.
#[derive(Debug, Clone)]
pub struct Order {
    /// Under what.
    pub strategy: Strategy,
    /// Attributes of the package set.
    pub targets: Vec<String>,
    /// Builders at the same time.
    pub jobs: u32,
}

/// A root that holds, or will hold, the unpatched set.
#[derive(Debug)]
pub struct Store {
    floe: Floe,
    folder: PathBuf,
    order: Order,
}

/// Arguments of the package set that make its derivations of this grain.
fn words_of(grain: &str) -> Result<&'static [&'static str]> {
    match grain {
        "package" => Ok(&[]),
        "file" => Ok(&["--argstr", "grain", "file"]),
        "split" => Ok(&["--arg", "split", "true"]),
        other => bail!("there is no grain '{other}'; there are package, file and split"),
    }
}

impl Store {
    /// The strategy's root. Those of other strategies are deleted: one takes half a gigabyte.
    ///
    /// # Errors
    /// A folder cannot be read or deleted.
    pub fn open(place: &Place, order: Order) -> Result<Self> {
        let roots = place.work.join("roots");
        let name = format!("{}-{}", order.strategy.grain, order.strategy.rebuilder);
        fs::create_dir_all(&roots).with_context(|| format!("cannot make {}", roots.display()))?;
        for entry in fs::read_dir(&roots)? {
            let entry = entry?;
            if *entry.file_name() != *name {
                delete(&entry.path())?;
            }
        }
        let folder = roots.join(name);
        Ok(Self { floe: Floe::new(&place.floe, &folder.join("store"), &place.top), folder, order })
    }

    /// Empties the root and puts in what the host gives: the toolchain, and sources that were fetched for another root.
    ///
    /// # Errors
    /// It cannot be emptied, or floe fails.
    pub fn renew(&self) -> Result<()> {
        delete(&self.folder)?;
        fs::create_dir_all(self.tried())
            .with_context(|| format!("cannot make {}", self.tried().display()))?;
        process::succeed(&mut self.floe.command(["seed", "--quiet"]))?;
        let fetched = self.fetched();
        fs::create_dir_all(&fetched)
            .with_context(|| format!("cannot make {}", fetched.display()))?;
        for entry in fs::read_dir(&fetched)? {
            let path = entry?.path();
            process::succeed(self.floe.command(["store", "add", "--flat"]).arg(&path))?;
        }
        Ok(())
    }

    /// Keeps the sources that were fetched, for [`Store::renew`] of other roots.
    ///
    /// # Errors
    /// One cannot be copied.
    pub fn keep_fetched(&self) -> Result<()> {
        let listed = process::succeed(&mut self.floe.command(["store", "ls"]))?.out;
        for path in listed.lines().filter(|path| path.ends_with(".crate")) {
            let object = self.floe.object(path);
            let (_, name) = path.split_at(path.find('-').map_or(0, |at| at + 1));
            fs::copy(&object, self.fetched().join(name))
                .with_context(|| format!("cannot copy {}", object.display()))?;
        }
        Ok(())
    }

    /// Sees to it that the unpatched set is built and was the last thing built, and that `trial` never began here. Returns
    /// that null build.
    ///
    /// # Errors
    /// The set does not build, or is never done building.
    pub fn ready(&self, trial: &str) -> Result<Built> {
        if !self.tried().is_dir() || self.mark(trial).exists() {
            self.renew()?;
            self.build(&[])?;
            self.keep_fetched()?;
        }
        // Whatever a trial that was interrupted left unbuilt, the first build mends.
        for _ in 0..2 {
            let built = self.build(&[])?;
            if built.builders() == 0 {
                return Ok(built);
            }
        }
        bail!(
            "under {} the set is built again and again, so nothing can be compared with it",
            self.order.strategy.rebuilder
        )
    }

    /// Notes that a trial begins.
    ///
    /// # Errors
    /// The note cannot be written.
    pub fn begin(&self, trial: &str) -> Result<()> {
        let mark = self.mark(trial);
        fs::write(&mark, "").with_context(|| format!("cannot write {}", mark.display()))
    }

    /// Builds the set with more arguments.
    ///
    /// # Errors
    /// It does not build.
    pub fn build(&self, more: &[&str]) -> Result<Built> {
        let jobs = self.order.jobs.to_string();
        let words = ["--quiet", "--rebuilder", &self.order.strategy.rebuilder, "-j", &jobs];
        self.floe.build(self.set()?.into_iter().chain(words).chain(more.iter().copied()))
    }

    /// All derivations of the unpatched set.
    ///
    /// # Errors
    /// It does not evaluate.
    pub fn graph(&self) -> Result<Graph> {
        let words = ["derivation", "show", "--recursive"].into_iter().chain(self.set()?);
        graph::read(&process::succeed(&mut self.floe.command(words))?.out)
    }

    /// Bytes on the disk.
    ///
    /// # Errors
    /// The root cannot be read.
    pub fn bytes(&self) -> Result<u64> {
        self.floe.stored_bytes()
    }

    /// Where the bytes of a store path lie.
    pub fn object(&self, path: &str) -> PathBuf {
        self.floe.object(path)
    }

    fn set(&self) -> Result<Vec<&str>> {
        let mut words = vec!["-f", "pkgs"];
        words.extend(self.order.targets.iter().map(String::as_str));
        words.extend(words_of(&self.order.strategy.grain)?);
        Ok(words)
    }

    fn tried(&self) -> PathBuf {
        self.folder.join("tried")
    }

    fn mark(&self, trial: &str) -> PathBuf {
        self.tried().join(trial.replace(['/', ' '], "_"))
    }

    /// Beside all roots.
    fn fetched(&self) -> PathBuf {
        self.folder.join("../../fetched")
    }
}

/// Deletes a folder with what lies in it, store objects too, whose directories may not be written.
fn delete(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if !folder.exists() {
        return Ok(());
    }
    let place = || format!("cannot delete {}", folder.display());
    let mut folders = vec![folder.to_path_buf()];
    while let Some(inside) = folders.pop() {
        fs::set_permissions(&inside, fs::Permissions::from_mode(0o700)).with_context(place)?;
        for entry in fs::read_dir(&inside).with_context(place)? {
            let entry = entry.with_context(place)?;
            if entry.file_type().with_context(place)?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    fs::remove_dir_all(folder).with_context(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_be_written_is_deleted_too() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().expect("a directory");
        let folder = place.path().join("root");
        fs::create_dir_all(folder.join("store/object/lib")).expect("made");
        fs::write(folder.join("store/object/lib/file"), "").expect("written");
        for path in ["store/object/lib", "store/object"] {
            fs::set_permissions(folder.join(path), fs::Permissions::from_mode(0o555)).expect("set");
        }
        delete(&folder).expect("deleted");
        assert!(!folder.exists());
        delete(&folder).expect("nothing to delete");
    }

    #[test]
    fn grains_are_known_by_name() {
        assert_eq!(words_of("file").expect("known"), ["--argstr", "grain", "file"]);
        assert!(words_of("crate").expect_err("unknown").to_string().contains("package, file"));
    }
}
