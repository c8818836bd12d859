//! Where a set is built: a store root that holds the toolchain and the sources and nothing else, and floe under a
//! condition in it. Compares nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::Wanted;
use super::condition::Condition;
use crate::floe::{Built, Floe};
use crate::study::Place;
use crate::{process, roots};

/// The study's folder of work.
#[derive(Debug)]
pub struct Work<'a> {
    place: &'a Place,
    folder: PathBuf,
}

/// A store root under a condition.
#[derive(Debug)]
pub struct Stage {
    /// floe in it.
    pub floe: Floe,
    condition: Condition,
}

/// What the expressions say of a specimen.
#[derive(Debug, Deserialize)]
struct About {
    cause: String,
}

impl<'a> Work<'a> {
    /// The work of this scale.
    pub fn new(place: &'a Place) -> Self {
        Self { place, folder: place.work.join(place.scale.name()) }
    }

    /// The words that name what a set builds.
    ///
    /// # Errors
    /// The package set cannot be copied.
    pub fn words(&self, wanted: &Wanted) -> Result<Vec<String>> {
        let pkgs = match wanted.careless {
            true => self.careless()?,
            false => self.place.top.join("pkgs"),
        };
        let pkgs = pkgs.to_str().context("the folder of work has a name that is no text")?;
        Ok(wanted.words.iter().map(|word| word.replace("{pkgs}", pkgs)).collect())
    }

    /// The first build, which all others are compared with: made once.
    ///
    /// # Errors
    /// It fails.
    pub fn first(&self, name: &str, words: &[String]) -> Result<(Stage, Built)> {
        let condition = Condition::named("again")?;
        let name = format!("first {name}");
        let stage = self.stage(condition, &name)?;
        let done = self.folder.join(format!("{name}.done"));
        if !done.exists() {
            stage.renew(None)?;
            stage.build(words)?;
            fs::write(&done, "").with_context(|| format!("cannot write {}", done.display()))?;
        }
        let built = stage.build(words)?;
        if built.builders() > 0 {
            bail!(
                "the first build of {name} is not in its store any more; delete {}",
                done.display()
            );
        }
        Ok((stage, built))
    }

    /// Another build, in a root of its own, with the sources of the first.
    ///
    /// # Errors
    /// It fails, or builds less than everything.
    pub fn second(
        &self,
        condition: &Condition,
        first: &Stage,
        words: &[String],
    ) -> Result<(Stage, Built)> {
        let stage = self.stage(*condition, "second")?;
        stage.renew(Some(first))?;
        let surroundings = condition.surroundings()?;
        let built = stage.build(words);
        drop(surroundings);
        Ok((stage, built?))
    }

    /// What gets into the output of each specimen.
    ///
    /// # Errors
    /// They do not evaluate.
    pub fn causes(&self, stage: &Stage) -> Result<BTreeMap<String, String>> {
        let words = ["eval", "-f", "experiments/studies/reproducibility", "about", "--json"];
        let said = process::succeed(&mut stage.floe.command(words))?.out;
        let about: BTreeMap<String, About> =
            serde_json::from_str(&said).context("what is said about specimens cannot be read")?;
        Ok(about.into_iter().map(|(name, about)| (name, about.cause)).collect())
    }

    fn stage(&self, condition: Condition, name: &str) -> Result<Stage> {
        let root = condition.root(&self.folder, name);
        Ok(Stage { floe: Floe::new(&self.place.floe, &root, &self.place.top), condition })
    }

    /// A copy of the package set whose builder takes no precautions.
    fn careless(&self) -> Result<PathBuf> {
        let copy = self.folder.join("careless");
        if copy.exists() {
            fs::remove_dir_all(&copy)
                .with_context(|| format!("cannot delete {}", copy.display()))?;
        }
        fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot make {}", self.folder.display()))?;
        process::succeed(Command::new("cp").arg("-r").arg(self.place.top.join("pkgs")).arg(&copy))?;
        let setup = copy.join("stdenv/setup.sh");
        let text = fs::read_to_string(&setup)
            .with_context(|| format!("cannot read {}", setup.display()))?;
        fs::write(&setup, without_precautions(&text)?)
            .with_context(|| format!("cannot write {}", setup.display()))?;
        Ok(copy)
    }
}

/// What the package set's builder does so that the bytes are the same every time, and what it is without that.
const PRECAUTIONS: [(&str, &str); 4] = [
    (" LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=1 PERL_HASH_SEED=0", ""),
    (" -ffile-prefix-map=$NIX_BUILD_TOP=.", ""),
    ("-Wl,--build-id=none", "-Wl,--build-id"),
    ("settle() { find . -exec touch -h -d @1 {} +; }", "settle() { :; }"),
];

/// The builder's text without its precautions.
///
/// # Errors
/// It has none of one kind any more, so the study must learn of it.
fn without_precautions(text: &str) -> Result<String> {
    let mut text = text.to_owned();
    for (precaution, otherwise) in PRECAUTIONS {
        if !text.contains(precaution) {
            bail!("setup.sh does not say '{precaution}' any more; see PRECAUTIONS in {}", file!());
        }
        text = text.replace(precaution, otherwise);
    }
    Ok(text)
}

impl Stage {
    /// Empties the root and puts the toolchain and another root's sources in.
    ///
    /// # Errors
    /// It cannot be emptied, or floe fails.
    fn renew(&self, sources: Option<&Stage>) -> Result<()> {
        roots::delete(self.floe.root())?;
        self.condition.prepare(self.floe.root())?;
        self.run(&self.floe.command(["seed", "--quiet"]))?;
        let Some(from) = sources else { return Ok(()) };
        let listed = process::succeed(&mut from.floe.command(["store", "ls"]))?.out;
        // Under a name without a digest, as they were fetched.
        let place = tempfile::tempdir()?;
        for path in listed.lines().filter(|path| path.ends_with(".crate")) {
            let (_, name) = path.split_once('-').context("a store path has a name")?;
            let file = place.path().join(name);
            fs::copy(from.floe.object(path), &file)
                .with_context(|| format!("cannot copy {path} of another store"))?;
            let mut add = Command::new("chmod");
            process::succeed(add.arg("-R").arg("a+rX").arg(place.path()))?;
            self.run(self.floe.command(["store", "add", "--flat"]).arg(&file))?;
        }
        Ok(())
    }

    /// Builds under the condition.
    fn build(&self, words: &[String]) -> Result<Built> {
        let jobs = self.condition.jobs.to_string();
        let how = ["-j", &jobs, "--cores", &jobs, "--quiet"].map(str::to_owned);
        self.floe
            .build_as(words.iter().cloned().chain(how), |command| self.condition.command(&command))
    }

    /// What `floe build --check` says when it builds all of it again.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn check(&self, words: &[String]) -> Result<String> {
        let mut command = self.floe.command(["build", "--no-link", "--check", "--quiet"]);
        let said = process::measure(&mut self.condition.command(command.args(words)))?;
        Ok(said.err)
    }

    fn run(&self, command: &Command) -> Result<()> {
        process::succeed(&mut self.condition.command(command)).map(drop)
    }

    /// Deletes the root.
    ///
    /// # Errors
    /// Something cannot be deleted.
    pub fn delete(&self) -> Result<()> {
        roots::delete(self.floe.root())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_set_has_the_precautions_that_are_taken_away() {
        // As it is now: compiled code is kept from one checkout to the next.
        let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
        let setup = std::path::Path::new(&package).join("../pkgs/stdenv/setup.sh");
        let text = fs::read_to_string(setup).expect("the package set's builder");
        let careless = without_precautions(&text).expect("all of them are there");
        assert!(!careless.contains("SOURCE_DATE_EPOCH") && !careless.contains("prefix-map"));
        assert!(careless.contains("CFLAGS=\"${optimize:--O1} -fPIC -w\""), "{careless}");
        assert!(without_precautions("cc").is_err());
    }
}
