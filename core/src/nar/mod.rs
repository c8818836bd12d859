//! NAR, the archive form of a file tree that Nix hashes and ships: a writer and a reader of
//! events. Neither knows a file system; both keep memory bounded whatever the archive says.

mod read;
mod write;

pub use read::{Event, Reader};
pub use write::Writer;

use std::io;

/// Levels of nested directories that are read or written; Nix's own bound.
pub const MAX_DEPTH: usize = 64;
/// Bytes of a file name.
pub const MAX_NAME: usize = 255;
/// Bytes of a symbolic link's target.
pub const MAX_TARGET: usize = 4095;

const MAGIC: &[u8] = b"nix-archive-1";

/// Why an archive cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum NarError {
    /// The stream below failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The stream does not start like an archive.
    #[error("input doesn't look like a Nix archive")]
    Magic,
    /// The stream ends within the archive.
    #[error("bad archive: it ends early, at byte {at}")]
    Truncated {
        /// Where.
        at: u64,
    },
    /// Another word had to follow.
    #[error("bad archive: expected '{expected}' at byte {at}, got '{}'", found.escape_ascii())]
    Word {
        /// The word that had to follow.
        expected: &'static str,
        /// What stands there.
        found: Vec<u8>,
        /// Where it ends.
        at: u64,
    },
    /// A word, name or target beyond the bound for it.
    #[error("bad archive: {what} of {len} bytes at byte {at}, at most {max} are allowed")]
    Long {
        /// What it is.
        what: &'static str,
        /// How long it claims to be.
        len: u64,
        /// The bound.
        max: usize,
        /// Where.
        at: u64,
    },
    /// Padding that is not zero.
    #[error("bad archive: padding before byte {at} is not zero")]
    Padding {
        /// Where.
        at: u64,
    },
    /// A name that no file may have.
    #[error("bad archive: invalid file name '{}'", name.escape_ascii())]
    Name {
        /// The name.
        name: Vec<u8>,
    },
    /// Entries out of order, or one twice.
    #[error(
        "bad archive: directory is not sorted: '{}' follows '{}'",
        name.escape_ascii(),
        previous.escape_ascii()
    )]
    Unsorted {
        /// The entry before.
        previous: Vec<u8>,
        /// The entry that may not follow it.
        name: Vec<u8>,
    },
    /// An empty target, or one with a zero byte.
    #[error("bad archive: invalid symlink target '{}'", target.escape_ascii())]
    Target {
        /// The target.
        target: Vec<u8>,
    },
    /// Directories nested beyond [`MAX_DEPTH`].
    #[error("bad archive: directory nesting exceeds maximum depth of {MAX_DEPTH}")]
    Depth,
    /// Bytes after the end of the archive.
    #[error("bad archive: something follows its end at byte {at}")]
    Rest {
        /// Where the archive ends.
        at: u64,
    },
    /// A file's content had another length than was announced.
    #[error("file of {announced} bytes has {found}: it changed while it was read")]
    Size {
        /// The length written before the content.
        announced: u64,
        /// The length of the content.
        found: u64,
    },
}

/// Checks the name of a directory entry.
pub fn check_entry(name: &[u8]) -> Result<(), NarError> {
    let bad = name.is_empty()
        || name == b"."
        || name == b".."
        || name.len() > MAX_NAME
        || memchr::memchr2(b'/', 0, name).is_some();
    if bad { Err(NarError::Name { name: name.to_owned() }) } else { Ok(()) }
}

/// Checks that `name` may follow `previous` (empty at the start) in a directory.
fn check_order(previous: &[u8], name: &[u8]) -> Result<(), NarError> {
    if !previous.is_empty() && name <= previous {
        return Err(NarError::Unsorted { previous: previous.to_owned(), name: name.to_owned() });
    }
    Ok(())
}

fn check_target(target: &[u8]) -> Result<(), NarError> {
    if target.is_empty() || target.len() > MAX_TARGET || target.contains(&0) {
        return Err(NarError::Target { target: target.to_owned() });
    }
    Ok(())
}

/// Zero bytes after `len` bytes of content.
const fn padding(len: u64) -> usize {
    (len.wrapping_neg() & 7) as usize
}

#[cfg(test)]
mod tests;
