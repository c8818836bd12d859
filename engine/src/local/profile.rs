//! The sandbox profile: what could influence a result besides the derivation. It is the second
//! column of the build trace's key and is left out where traces are exchanged.

use std::io;
use std::path::{Path, PathBuf};

use floe_core::hash::Digest;

use crate::digests::{Digests, Snapshot};
use crate::recipe::RootKind;

/// Raised when the sandbox changes in a way that a builder can see.
const SANDBOX_VERSION: u32 = 1;

/// Where a static shell is looked for, in order.
const SHELLS: [&str; 4] =
    ["/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static", "/usr/lib/floe/busybox"];

/// The static shell that stands at `/bin/sh` in a bare root: `FLOE_SANDBOX_SHELL`, or Debian's
/// static busybox.
pub fn find_shell() -> Option<PathBuf> {
    match std::env::var_os("FLOE_SANDBOX_SHELL") {
        Some(path) => Some(PathBuf::from(path)),
        None => SHELLS.iter().map(PathBuf::from).find(|path| path.is_file()),
    }
}

/// The profile of each kind of root on this machine.
#[derive(Debug, Clone)]
pub struct Profiles {
    shell: Option<PathBuf>,
    bare: Digest,
    seed: Digest,
    none: Digest,
}

impl Profiles {
    /// Reads the shell, unless `digests` knows it as it is, and computes the profiles. Without a shell, bare roots are refused when
    /// they are needed, so its absence is no error here.
    ///
    /// # Errors
    /// When there is a shell and it cannot be read.
    pub fn load(shell: Option<PathBuf>, digests: &Digests) -> io::Result<Self> {
        let shell_digest = match &shell {
            Some(path) => {
                // What a link leads to is what counts.
                let path = path.canonicalize()?;
                let read = || {
                    let mut hasher = blake3::Hasher::new();
                    hasher.update_reader(std::fs::File::open(&path)?)?;
                    io::Result::Ok(hasher.finalize().as_bytes().to_vec())
                };
                digests.of("shell", &path, Snapshot::of_entries(&path, &[])?, read)?
            }
            None => Digest::of(b"no shell").0.to_vec(),
        };
        let profile = |kind: &str, shell: &[u8]| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(format!("floe sandbox {SANDBOX_VERSION} {kind}\0").as_bytes());
            hasher.update(shell);
            Digest(*hasher.finalize().as_bytes())
        };
        Ok(Profiles {
            bare: profile("bare", &shell_digest),
            seed: profile("seed", b""),
            none: profile("none", b""),
            shell,
        })
    }

    /// The shell, if there is one.
    pub fn shell(&self) -> Option<&Path> {
        self.shell.as_deref()
    }

    /// The profile of a build with such a root.
    pub fn of(&self, root: RootKind) -> Digest {
        match root {
            RootKind::Bare => self.bare,
            RootKind::Seed => self.seed,
            RootKind::None => self.none,
        }
    }
}
