//! Tables of plain entries that only grow and of which little is looked at again: what is old of one can be laid aside in
//! a file, as the heap's pages are. Nothing is known here of what the entries mean.

use std::io;
use std::ops::{Index, IndexMut, Range};
use std::slice;

use crate::pages::{Pages, Shelf};

/// Less than this is not worth a mapping of its own.
const WORTH_BYTES: usize = 256 << 10;

/// Entries in the order in which they were added.
pub struct Table<T> {
    /// The oldest, in pages of their own, and how many there are.
    old: Option<(Pages, usize)>,
    new: Vec<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { old: None, new: Vec::new() }
    }
}

impl<T: Copy> Table<T> {
    fn old(&self) -> &[T] {
        let Some((pages, count)) = &self.old else { return &[] };
        // SAFETY: `lay_aside` wrote so many entries to these pages, which nobody else writes to, and
        // which begin where a page does.
        unsafe { slice::from_raw_parts(pages.start().cast().as_ptr(), *count) }
    }

    fn old_mut(&mut self) -> &mut [T] {
        let Some((pages, count)) = &mut self.old else { return &mut [] };
        // SAFETY: as in `old`; the table is borrowed alone, and with it the pages.
        unsafe { slice::from_raw_parts_mut(pages.start().cast().as_ptr(), *count) }
    }

    fn old_len(&self) -> usize {
        self.old.as_ref().map_or(0, |(_, count)| *count)
    }

    /// Adds an entry.
    pub fn push(&mut self, entry: T) {
        self.new.push(entry);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.old_len() + self.new.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An entry, if there are so many.
    pub fn get(&self, at: usize) -> Option<&T> {
        match at.checked_sub(self.old_len()) {
            Some(at) => self.new.get(at),
            None => self.old().get(at),
        }
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.old().iter().chain(&self.new)
    }

    /// Entries that were added without anything being laid aside in between.
    pub fn slice(&self, range: Range<usize>) -> &[T] {
        let old = self.old_len();
        match range.start < old {
            true => &self.old()[range],
            false => &self.new[range.start - old..range.end - old],
        }
    }

    /// The entries from one on, those at least that were added with it.
    pub fn tail(&self, at: usize) -> &[T] {
        match at.checked_sub(self.old_len()) {
            Some(at) => &self.new[at..],
            None => &self.old()[at..],
        }
    }

    /// Lays everything aside that is not too little, and gives back room that is not used.
    ///
    /// # Errors
    /// When there is no room in the file: then it stays in memory.
    pub fn lay_aside(&mut self, shelf: &mut Shelf) -> io::Result<()> {
        // The old place in the file is lost, so it is left for a larger one only.
        let grew = self.new.len() >= self.old_len() / 2;
        if grew && self.len() * size_of::<T>() >= WORTH_BYTES {
            let mut pages = Pages::map(self.len() * size_of::<T>())?;
            let start: *mut T = pages.start().cast().as_ptr();
            let (old, new) = (self.old(), self.new.as_slice());
            // SAFETY: the pages are new and have room for both, one after the other.
            unsafe {
                start.copy_from_nonoverlapping(old.as_ptr(), old.len());
                start.add(old.len()).copy_from_nonoverlapping(new.as_ptr(), new.len());
            }
            pages.lay_aside(shelf)?;
            self.old = Some((pages, self.len()));
            self.new = Vec::new();
            return Ok(());
        }
        self.new.shrink_to_fit();
        match &mut self.old {
            Some((pages, _)) => pages.lay_aside(shelf),
            None => Ok(()),
        }
    }
}

impl<T: Copy> Extend<T> for Table<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, entries: I) {
        self.new.extend(entries);
    }
}

impl<T: Copy> Index<usize> for Table<T> {
    type Output = T;
    #[inline]
    fn index(&self, at: usize) -> &T {
        match at.checked_sub(self.old_len()) {
            Some(at) => &self.new[at],
            None => &self.old()[at],
        }
    }
}

impl<T: Copy> IndexMut<usize> for Table<T> {
    #[inline]
    fn index_mut(&mut self, at: usize) -> &mut T {
        match at.checked_sub(self.old_len()) {
            Some(at) => &mut self.new[at],
            None => &mut self.old_mut()[at],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What happens to a table.
    #[derive(Debug, Clone)]
    enum Deed {
        Add(u16),
        Set(usize, u64),
        LayAside,
    }

    fn deeds() -> impl Strategy<Value = Vec<Deed>> {
        let deed = prop_oneof![
            4 => (1u16..30_000).prop_map(Deed::Add),
            4 => (any::<usize>(), any::<u64>()).prop_map(|(at, value)| Deed::Set(at, value)),
            2 => Just(Deed::LayAside),
        ];
        prop::collection::vec(deed, 1..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_table_holds_what_a_vector_holds(deeds in deeds()) {
            let mut shelf = Shelf::new(tempfile::tempfile().expect("a file")).expect("a shelf");
            let (mut table, mut vector) = (Table::default(), Vec::new());
            for deed in deeds {
                match deed {
                    Deed::Add(count) => {
                        let from = vector.len() as u64;
                        let entries: Vec<u64> = (from..from + u64::from(count)).collect();
                        vector.extend(&entries);
                        table.extend(entries.iter().copied());
                        prop_assert_eq!(table.slice(from as usize..vector.len()), &*entries);
                        prop_assert_eq!(table.tail(from as usize), &*entries);
                    }
                    Deed::Set(at, value) if !vector.is_empty() => {
                        let at = at % vector.len();
                        vector[at] = value;
                        table[at] = value;
                    }
                    Deed::Set(..) => {}
                    Deed::LayAside => table.lay_aside(&mut shelf).expect("there is room"),
                }
                prop_assert_eq!(table.len(), vector.len());
                prop_assert!(table.iter().eq(&vector));
                prop_assert!(table.get(vector.len()).is_none());
                if let Some(last) = vector.len().checked_sub(1) {
                    prop_assert_eq!((table.get(0), table[last]), (vector.first(), vector[last]));
                }
            }
        }
    }
}
