//! `fetchTree { type = "path"; }`: a file or tree of this machine.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use floe_core::ca::Method;
use floe_core::path::{STORE_DIR, StorePath};
use floe_lang::host::FetchAttr;

use super::input::{Found, Input};
use super::{TreeError, Trees, at};

impl Trees {
    pub(super) fn path(&mut self, input: &Input) -> Result<Found, TreeError> {
        let text = input.need("path")?;
        if !text.starts_with('/') {
            let message =
                format!("cannot fetch input '{}' because it uses a relative path", input.shown());
            return Err(TreeError::Call(message));
        }
        let mut newest = 0;
        let stored = StorePath::parse(text).ok().filter(|path| path.name() == "source");
        let path = match stored {
            Some(path) if self.has(&path)? => path,
            _ => {
                let place = match Path::new(text).strip_prefix(STORE_DIR) {
                    Ok(inside) => self.store.objects_dir().join(inside),
                    Err(_) => PathBuf::from(text),
                };
                newest = newest_change(&place)?;
                self.add(&place, "source", Method::Nar)?
            }
        };
        let mut found = input.clone().at(path);
        found.default("lastModified", FetchAttr::Int(newest));
        Ok(found)
    }
}

/// When the youngest file of a tree changed, in seconds since 1970.
fn newest_change(root: &Path) -> Result<i64, TreeError> {
    let mut newest = 0;
    let mut open = vec![root.to_path_buf()];
    while let Some(place) = open.pop() {
        let meta = fs::symlink_metadata(&place).map_err(at("read", &place))?;
        newest = newest.max(meta.mtime());
        if meta.is_dir() {
            for entry in fs::read_dir(&place).map_err(at("read", &place))? {
                open.push(entry.map_err(at("read", &place))?.path());
            }
        }
    }
    Ok(newest)
}
