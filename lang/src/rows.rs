//! Values as bytes, by number: what there is much of, and what few ask for again, takes little room so, and can be
//! laid aside. Nothing is known here of what the values mean.

use std::io;
use std::marker::PhantomData;

use postcard::{take_from_bytes, to_extend};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::pages::Shelf;
use crate::table::Table;

/// Writes plain data at the end of what was written.
pub(crate) fn append(bytes: &mut Vec<u8>, value: &impl Serialize) {
    let former = std::mem::take(bytes);
    *bytes = to_extend(value, former).expect("plain data can be written");
}

/// Values in the order in which they were added. Each is read anew when it is asked for.
pub struct Rows<T> {
    bytes: Table<u8>,
    /// Where each value ends in them; it begins where the former one ends.
    ends: Table<u32>,
    /// What is being written.
    draft: Vec<u8>,
    of: PhantomData<fn(&T) -> T>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Rows { bytes: Table::default(), ends: Table::default(), draft: Vec::new(), of: PhantomData }
    }
}

impl<T> Rows<T> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn row(&self, at: usize) -> Option<&[u8]> {
        let end = *self.ends.get(at)?;
        let start = at.checked_sub(1).map_or(0, |former| self.ends[former]);
        Some(self.bytes.slice(start as usize..end as usize))
    }

    /// The first field of a value, or its first fields as a tuple.
    pub fn first<'a, F: Deserialize<'a>>(&'a self, at: usize) -> Option<F> {
        let (fields, _) = take_from_bytes(self.row(at)?).expect("it was written here");
        Some(fields)
    }

    /// Lays everything aside that is not too little.
    ///
    /// # Errors
    /// When there is no room in the file: then it stays in memory.
    pub fn lay_aside(&mut self, shelf: &mut Shelf) -> io::Result<()> {
        self.draft = Vec::new();
        self.bytes.lay_aside(shelf)?;
        self.ends.lay_aside(shelf)
    }
}

impl<T: Serialize + DeserializeOwned> Rows<T> {
    /// Adds a value.
    pub fn push(&mut self, value: &T) {
        append(&mut self.draft, value);
        self.bytes.extend(self.draft.drain(..));
        let end = u32::try_from(self.bytes.len()).expect("the values take less than 4 GiB");
        self.ends.push(end);
    }

    /// A value.
    pub fn get(&self, at: usize) -> Option<T> {
        self.first(at)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;
    use crate::host::{Origin, Source};
    use floe_core::ca::Method;

    fn paths() -> impl Strategy<Value = PathBuf> {
        use std::os::unix::ffi::OsStringExt;
        let bytes = prop::collection::vec(1u8.., 0..40);
        bytes.prop_map(|bytes| std::ffi::OsString::from_vec(bytes).into())
    }

    fn sources() -> impl Strategy<Value = Source> {
        let origin = prop_oneof![
            paths().prop_map(Origin::Tree),
            (paths(), prop::collection::vec(paths(), 0..5))
                .prop_map(|(root, kept)| Origin::Filtered(root, kept)),
            prop::collection::vec(any::<u8>(), 0..40)
                .prop_map(|text| Origin::Text(text, Vec::new())),
        ];
        (".*", origin).prop_map(|(name, origin)| Source {
            name,
            origin,
            method: Method::Nar,
            expected: None,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn values_are_read_as_they_were_written(all in prop::collection::vec(sources(), 1..20), aside in 0..20usize) {
            let mut shelf = Shelf::new(tempfile::tempfile().expect("a file")).expect("a shelf");
            let mut rows = Rows::default();
            // Less is not worth laying aside.
            let long = Source { name: "long".repeat(100_000), ..all[0].clone() };
            let all: Vec<Source> = std::iter::once(long).chain(all).collect();
            for (at, source) in all.iter().enumerate() {
                rows.push(source);
                if at == aside {
                    rows.lay_aside(&mut shelf).expect("there is room");
                }
            }
            for (at, source) in all.iter().enumerate() {
                prop_assert_eq!(rows.first::<&str>(at), Some(source.name.as_str()));
                prop_assert_eq!(rows.get(at), Some(source.clone()));
            }
            prop_assert_eq!((rows.len(), rows.get(all.len())), (all.len(), None));
        }
    }
}
