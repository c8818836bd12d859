//! Store objects as bytes on disk: staging what builders left, adding sources, unpacking,
//! deduplicating, deleting. Everything is reached by directory handles, never by walking a
//! path a second time. What is *known* about objects (validity, references, roots) is kept
//! elsewhere; nothing here opens a database.

pub mod dedup;
pub mod delete;
mod handle;
pub mod merkle;
pub mod restore;
pub mod rewrite;
pub mod scan;
pub mod stage;
pub mod tree;
pub mod walk;

use std::io;

use floe_core::ca::CaError;
use floe_core::hash::Digest;
use floe_core::nar::NarError;
use floe_core::path::OutputName;

pub use walk::{Contents, FileKind, StagedFile};

/// What can go wrong with the bytes of an object.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// A system call failed.
    #[error("cannot {action} '{path}': {source}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Neither a file, a directory nor a symbolic link.
    #[error(
        "'{path}' is a {kind}: only regular files, directories and symbolic links may be in the store, so remove it or leave it out"
    )]
    Kind {
        /// The file.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// A program that would run as somebody else.
    #[error(
        "'{path}' has a set-user-id or set-group-id bit (mode {mode:04o}): remove it in the build"
    )]
    SetId {
        /// The file.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// The builder succeeded but did not make an output.
    #[error("builder for '{drv}' failed to produce output '{output}' at '{path}'")]
    NoOutput {
        /// The derivation's name.
        drv: String,
        /// The output.
        output: OutputName,
        /// Where it was to be.
        path: String,
    },
    /// A flat output that is no plain file.
    #[error(
        "output path '{path}' should be a non-executable regular file since recursive hashing is not enabled (outputHashMode is flat or text)"
    )]
    NotFlat {
        /// The output.
        path: String,
    },
    /// The tree cannot be an archive: too deep, a file that changes, names out of order.
    #[error("'{path}': {source}")]
    Nar {
        /// The file.
        path: String,
        /// Why.
        source: NarError,
    },
    /// A fixed output with another content than promised.
    #[error(
        "hash mismatch in fixed-output derivation '{drv}':\n  specified: {specified}\n     got:    {got}\n  if that is the content you want, give what was got as outputHash"
    )]
    Mismatch {
        /// The derivation's name.
        drv: String,
        /// The hash in the derivation.
        specified: String,
        /// The hash of what was built.
        got: String,
    },
    /// A fixed output that mentions store paths.
    #[error(
        "fixed-output derivation '{drv}' must not refer to store paths, but its output contains '{reference}'"
    )]
    FixedReference {
        /// The derivation's name.
        drv: String,
        /// The first path found.
        reference: String,
    },
    /// Outputs that refer to each other.
    #[error(
        "cycle detected in build of '{drv}' in the references of output '{to}' from output '{from}'"
    )]
    Cycle {
        /// The derivation's name.
        drv: String,
        /// The output that refers.
        from: OutputName,
        /// The output referred to, which refers back.
        to: OutputName,
    },
    /// No content address can be given.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// An object lies already where this one should go.
    #[error("'{path}' exists already")]
    Exists {
        /// The place.
        path: String,
    },
    /// The filter of a source tree failed.
    #[error("filtering '{path}': {source}")]
    Filter {
        /// The file that was asked about.
        path: String,
        /// The filter's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An archive with something else than was promised.
    #[error("'{path}' cannot be unpacked: {source}")]
    Unpack {
        /// Where it was to go.
        path: String,
        /// Why.
        source: NarError,
    },
    /// A file in `links/` whose content is not what its name says.
    #[error("the shared file of digest {digest} is damaged")]
    DamagedLink {
        /// Its name.
        digest: Digest,
    },
}

impl ObjectError {
    fn io(action: &'static str, path: &[u8]) -> impl FnOnce(rustix::io::Errno) -> ObjectError {
        move |errno| ObjectError::Io { action, path: show(path), source: errno.into() }
    }
}

/// Bytes of a path as text for a message.
fn show(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

#[cfg(test)]
mod tests;
