//! The BLAKE3 Merkle root of a tree: floe's own digest of an object.
//!
//! The digest of a node is BLAKE3 in key derivation mode with the context [`CONTEXT`], of:
//! - for a file: `f`, or `x` if it may be executed, and the plain BLAKE3 of its content;
//! - for a symbolic link: `l` and its target;
//! - for a directory: `d`, and for every entry in ascending order of the names' bytes: the
//!   name's length (two bytes, little-endian), the name, and the digest of the entry's node.
//!
//! The plain BLAKE3 of a file's content is what `links/` is named by.

use floe_core::hash::Digest;

/// Keeps these digests apart from all others.
pub const CONTEXT: &str = "floe 2026 store object tree node v1";

fn node(kind: u8) -> blake3::Hasher {
    // The key derived from the context is the same every time.
    thread_local! {
        static START: blake3::Hasher = blake3::Hasher::new_derive_key(CONTEXT);
    }
    let mut hasher = START.with(Clone::clone);
    hasher.update(&[kind]);
    hasher
}

/// The node of a file.
pub fn file(executable: bool, content: &Digest) -> Digest {
    let mut hasher = node(if executable { b'x' } else { b'f' });
    hasher.update(content.as_bytes());
    hasher.finalize().into()
}

/// The node of a symbolic link.
pub fn symlink(target: &[u8]) -> Digest {
    let mut hasher = node(b'l');
    hasher.update(target);
    hasher.finalize().into()
}

/// The node of a directory; entries come in ascending order.
pub fn directory<'a>(entries: impl IntoIterator<Item = (&'a [u8], Digest)>) -> Digest {
    let mut hasher = node(b'd');
    for (name, digest) in entries {
        let len = u16::try_from(name.len()).expect("a file name has at most 255 bytes");
        hasher.update(&len.to_le_bytes());
        hasher.update(name);
        hasher.update(digest.as_bytes());
    }
    hasher.finalize().into()
}
