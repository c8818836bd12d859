//! Where a graph is had: from the file that is kept with the study, or from its source, if the file is not there.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail};

use super::graph::Graph;
use super::plan::{Checkout, Debian, Nix, Origin};
use super::{debian, file, nix};
use crate::study::Place;

/// The graph: read, or made and kept.
///
/// # Errors
/// The file is damaged; or it is not there, and neither is what it is made from.
pub fn graph(origin: &Origin, place: &Place) -> Result<Graph> {
    let path = kept(origin, place);
    if path.exists() {
        return file::read(&path);
    }
    let made = make(origin, &place.work)?;
    file::write(&made, &path)?;
    Ok(made)
}

/// Makes the graph once more and holds it against the file, if its source is at hand. A suite of Debian moves on, so it is
/// made again only when its file was deleted.
///
/// # Errors
/// The source gives another graph than the file holds.
pub fn check(origin: &Origin, place: &Place) -> Result<()> {
    let at_hand = origin.nix.as_ref().is_some_and(|of| of.checkouts().all(|of| of.path().is_ok()));
    if at_hand && make(origin, &place.work)? != graph(origin, place)? {
        bail!(
            "the checkout gives another graph than {} holds; delete the file if that is meant",
            kept(origin, place).display()
        );
    }
    Ok(())
}

fn kept(origin: &Origin, place: &Place) -> PathBuf {
    place.folder.join("graphs").join(format!("{}.gz", origin.name))
}

fn make(origin: &Origin, work: &Path) -> Result<Graph> {
    let graph = match (&origin.nix, &origin.debian) {
        (Some(of), None) => evaluated(of, work)?,
        (None, Some(of)) => indexed(of, work)?,
        _ => bail!("the graph {} must be from 'nix' or from 'debian'", origin.name),
    };
    Ok(graph.compact())
}

fn evaluated(of: &Nix, work: &Path) -> Result<Graph> {
    let origin = format!("{} at {}", of.checkout.repository, of.checkout.commit);
    let checkout = of.checkout.path()?;
    let Some(pin) = &of.pin else {
        return Ok(nix::evaluate(origin, &of.expression, &checkout)?.graph);
    };
    let library = pin.checkout.path()?;
    fs::create_dir_all(work)?;
    let copy = tempfile::tempdir_in(work)?;
    copy_all(&checkout, copy.path())
        .with_context(|| format!("cannot copy {}", checkout.display()))?;
    let text = format!("{{ {} = {}; }}\n", pin.attribute, library.display());
    fs::write(copy.path().join(&pin.file), text)?;
    Ok(nix::evaluate(origin, &of.expression, copy.path())?.graph)
}

fn indexed(of: &Debian, work: &Path) -> Result<Graph> {
    let indices = debian::apt::fetch(&of.suite, &of.architecture, work)?;
    let origin = format!("Debian {}, {}, {}", of.suite, of.architecture, indices.state);
    let sources = debian::paragraphs(&indices.sources, &debian::SOURCE);
    let binaries = debian::paragraphs(&indices.binaries, &debian::BINARY);
    debian::graph(origin, &of.architecture, &sources, &binaries, of.reach)
}

impl Nix {
    fn checkouts(&self) -> impl Iterator<Item = &Checkout> {
        [Some(&self.checkout), self.pin.as_ref().map(|pin| &pin.checkout)].into_iter().flatten()
    }
}

impl Checkout {
    /// Where it is.
    fn path(&self) -> Result<PathBuf> {
        let path = env::var_os(&self.variable).with_context(|| {
            format!(
                "the graph must be made anew, and for that {} must name a checkout of github.com/{} at commit {}",
                self.variable, self.repository, self.commit
            )
        })?;
        Ok(std::path::absolute(path)?)
    }
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            fs::create_dir(&to)?;
            copy_all(&path, &to)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&path)?, &to)?;
        } else {
            fs::copy(&path, &to)?;
        }
    }
    Ok(())
}
