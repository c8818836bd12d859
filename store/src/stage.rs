//! Putting an object's files into `ROOT/store` under their final name, before registration. Who
//! stages a path is alone with it, and it is protected from then on. What the files must look
//! like is the object half's affair (`object/`).

use std::path::Path;

use floe_core::hash::Digest;
use floe_core::path::StorePath;

use crate::db::Family;
use crate::error::Result;
use crate::key::PathKey;
use crate::protect::TempRoots;
use crate::store::Store;
use crate::trash;

/// What became of the files.
pub(crate) struct Placed {
    /// Keeps them until they are registered and rooted.
    pub(crate) hold: TempRoots,
    /// Whether `place` was called; otherwise the object was there already.
    pub(crate) fresh: bool,
}

impl Store {
    /// Calls `place` with the final name when no such object is there, and protects the path.
    pub(crate) fn place(
        &self,
        path: &StorePath,
        tree: &Digest,
        place: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Placed> {
        self.writable("add objects")?;
        let key = PathKey::of(path);
        let _alone = self.protect.stage_alone(&key);
        let hold = self.protect.hold(vec![key.clone()]);
        // From here on no collection removes the path, so what is valid stays valid.
        if self.db.has(Family::Objects, &key.0)? || self.protect.staged(&key) == Some(*tree) {
            return Ok(Placed { hold, fresh: false });
        }
        self.mark_unclean()?;
        let physical = self.physical(path);
        // Something unregistered may lie here from a build that failed after staging.
        trash::discard(&physical, &self.layout.trash)?;
        self.protect.set_staged(&key, *tree);
        match place(&physical) {
            Ok(()) => Ok(Placed { hold, fresh: true }),
            Err(e) => {
                trash::discard(&physical, &self.layout.trash)?;
                self.protect.unset_staged([&key]);
                Err(e)
            }
        }
    }
}
