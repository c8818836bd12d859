//! Paths and texts as bytes, for serde: a path need not be UTF-8, and bytes go at once instead of one by one.
//! To be named in `#[serde(with = "floe_core::bytes")]`. What the bytes mean is not known here.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use serde::de::{Deserializer, Error, Visitor};
use serde::ser::Serializer;

/// What is nothing but bytes.
pub trait AsBytes {
    /// Its bytes.
    fn bytes(&self) -> Cow<'_, [u8]>;
    /// What has these bytes.
    fn of(bytes: &[u8]) -> Self;
}

impl AsBytes for Box<[u8]> {
    fn bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self)
    }

    fn of(bytes: &[u8]) -> Self {
        bytes.into()
    }
}

impl AsBytes for Vec<u8> {
    fn bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self)
    }

    fn of(bytes: &[u8]) -> Self {
        bytes.into()
    }
}

impl AsBytes for PathBuf {
    fn bytes(&self) -> Cow<'_, [u8]> {
        self.as_os_str().as_bytes().into()
    }

    fn of(bytes: &[u8]) -> Self {
        OsStr::from_bytes(bytes).into()
    }
}

/// Each path ends with a zero, which no path holds.
impl AsBytes for Vec<PathBuf> {
    fn bytes(&self) -> Cow<'_, [u8]> {
        let parts = self.iter().flat_map(|path| [path.as_os_str().as_bytes(), &[0]]);
        parts.flatten().copied().collect()
    }

    fn of(bytes: &[u8]) -> Self {
        let paths = bytes.split_inclusive(|byte| *byte == 0);
        paths.map(|path| PathBuf::of(path.strip_suffix(&[0]).unwrap_or(path))).collect()
    }
}

/// Writes it.
///
/// # Errors
/// Those of the format.
pub fn serialize<S: Serializer>(value: &impl AsBytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(&value.bytes())
}

/// Reads it.
///
/// # Errors
/// Those of the format: there are no bytes.
pub fn deserialize<'de, D: Deserializer<'de>, T: AsBytes>(deserializer: D) -> Result<T, D::Error> {
    struct Bytes<T>(std::marker::PhantomData<T>);

    impl<T: AsBytes> Visitor<'_> for Bytes<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<T, E> {
            Ok(T::of(bytes))
        }
    }

    deserializer.deserialize_bytes(Bytes(std::marker::PhantomData))
}
