//! Single files and unpacked archives from an address, with the memory of former fetches. A file of
//! this machine is always read anew: looking costs nothing, and its editor expects it.

use std::io;

use floe_core::ca::Method;
use floe_core::path::StorePath;

use super::cache::Known;
use super::{TreeError, Trees, at, scratch};
use crate::cancel::Cancel;
use crate::fetch::Bounds;
use crate::fetch::archive::{Limits, unpack};
use crate::fetch::download::{Downloaded, download, local_path};
use crate::local::MAX_DOWNLOAD_BYTES;

/// An archive in the store, unpacked.
pub(super) struct Tarball {
    pub(super) path: StorePath,
    pub(super) last_modified: i64,
}

impl Trees {
    /// A file as it is.
    pub(super) fn file(
        &mut self,
        url: &str,
        name: &str,
        method: Method,
    ) -> Result<StorePath, TreeError> {
        let kind = format!("file {method:?}");
        let key = [kind.as_str(), url, name];
        let known = self.recall_remote(&key, url)?;
        if let Some((path, known)) = &known
            && self.is_fresh(known.at_s)
        {
            return Ok(path.clone());
        }
        let dir = scratch()?;
        let dest = dir.path().join("file");
        let Some(got) = self.bring(url, known.as_ref(), &dest)? else {
            return Ok(known.expect("only what is known is kept").0);
        };
        if got.unchanged
            && let Some((path, known)) = known
        {
            self.remember(&key, known)?;
            return Ok(path);
        }
        let path = self.add(&dest, name, method)?;
        self.remember(&key, Known { etag: got.etag, ..Known::new(&path) })?;
        Ok(path)
    }

    /// An archive, unpacked; a single directory at its top is the tree.
    pub(super) fn tarball(&mut self, url: &str, name: &str) -> Result<Tarball, TreeError> {
        if let Some(place) = local_path(url) {
            let fault =
                |text: &str| Err(TreeError::Call(format!("tarball '{}' {text}", place.display())));
            if !place.is_absolute() {
                return Err(TreeError::Call(format!(
                    "tarball '{url}' must use an absolute path. The 'file' scheme does not support relative paths."
                )));
            }
            if !place.exists() {
                return fault("does not exist");
            }
            if place.join(".git").exists() {
                return fault("is a git repository, not a tarball; use builtins.fetchGit");
            }
            if place.is_dir() {
                return fault("is a directory, not a file; use builtins.path");
            }
        }
        let key = ["tarball", url, name];
        let tarball = |path, known: &Known| Tarball { path, last_modified: known.last_modified };
        let known = self.recall_remote(&key, url)?;
        if let Some((path, known)) = &known
            && self.is_fresh(known.at_s)
        {
            return Ok(tarball(path.clone(), known));
        }
        let dir = scratch()?;
        let dest = dir.path().join("archive");
        let Some(got) = self.bring(url, known.as_ref(), &dest)? else {
            let (path, known) = known.expect("only what is known is kept");
            return Ok(tarball(path, &known));
        };
        if got.unchanged
            && let Some((path, known)) = known
        {
            let found = tarball(path, &known);
            self.remember(&key, known)?;
            return Ok(found);
        }
        let into = dir.path().join("tree");
        std::fs::create_dir(&into).map_err(at("make the directory", &into))?;
        let unpacked = unpack(&dest, &into, Limits::default())
            .map_err(|source| TreeError::Archive { url: url.to_owned(), source })?;
        let path = self.add(&unpacked.root, name, Method::Nar)?;
        let last_modified = unpacked.last_modified;
        self.remember(&key, Known { etag: got.etag, last_modified, ..Known::new(&path) })?;
        Ok(Tarball { path, last_modified })
    }

    fn recall_remote(
        &mut self,
        key: &[&str],
        url: &str,
    ) -> Result<Option<(StorePath, Known)>, TreeError> {
        if url.starts_with("file:") { Ok(None) } else { self.recall(key) }
    }

    /// Brings a file; nothing when that failed and what is known must do.
    fn bring(
        &self,
        url: &str,
        known: Option<&(StorePath, Known)>,
        dest: &std::path::Path,
    ) -> Result<Option<Downloaded>, TreeError> {
        let etag = known.and_then(|(_, known)| known.etag.as_deref());
        let bounds = Bounds { max_bytes: MAX_DOWNLOAD_BYTES, cancel: &Cancel::default() };
        match download(url, etag, dest, &bounds, &mut io::sink()) {
            Ok(got) => Ok(Some(got)),
            Err(_) if known.is_some() => Ok(None),
            Err(source) => Err(TreeError::Fetch { url: url.to_owned(), source }),
        }
    }
}
