//! The pure vocabulary of the store: hashes, store paths, content addresses, derivations,
//! placeholders and NAR; a table of what is equal, and bytes for serde. Everything here is a function of its arguments:
//! nothing opens a file, starts a process or knows where a store lies on disk.

pub mod base32;
pub mod bytes;
pub mod ca;
pub mod drv;
pub mod hash;
pub mod nar;
pub mod path;
pub mod placeholder;
pub mod shared;
