//! Values in the database: `version ‖ postcard`. The store's own rows and the engine's records are
//! written so. Nothing here knows what is in them, nor where they lie.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why bytes are no value of the version that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionedError {
    /// There is not even a version.
    #[error("it is empty")]
    Empty,
    /// Another layout.
    #[error("unknown row version {0}")]
    Version(u8),
    /// The layout does not fit.
    #[error(transparent)]
    Layout(#[from] postcard::Error),
    /// The value ends before the bytes do.
    #[error("{0} bytes too many")]
    Trailing(usize),
}

/// The bytes of a value.
///
/// # Panics
/// When the type is one that postcard cannot write, such as a sequence of unknown length.
pub fn encode<T: Serialize>(version: u8, value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![version]).expect("plain data, which postcard can write")
}

/// The inverse of [`encode`].
///
/// # Errors
/// When the bytes are of another version, damaged, or too many.
pub fn decode<T: DeserializeOwned>(version: u8, bytes: &[u8]) -> Result<T, VersionedError> {
    match bytes.split_first() {
        Some((&found, rest)) if found == version => match postcard::take_from_bytes(rest)? {
            (value, []) => Ok(value),
            (_, rest) => Err(VersionedError::Trailing(rest.len())),
        },
        Some((&found, _)) => Err(VersionedError::Version(found)),
        None => Err(VersionedError::Empty),
    }
}
