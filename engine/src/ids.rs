//! Task ids, one after another in one text: each node of a graph has one, and few are ever looked at.

use std::ops::Index;

/// The task ids of a graph, by the graph's indices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ids {
    text: String,
    /// Where each ends in the text; it begins where the former one ends.
    ends: Vec<usize>,
}

impl Ids {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds one.
    pub fn push(&mut self, id: &str) {
        self.text.push_str(id);
        self.ends.push(self.text.len());
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|at| &self[at])
    }

    /// Gives back room that is not used.
    pub fn shrink_to_fit(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

impl Index<usize> for Ids {
    type Output = str;
    fn index(&self, at: usize) -> &str {
        let start = at.checked_sub(1).map_or(0, |former| self.ends[former]);
        &self.text[start..self.ends[at]]
    }
}

impl<S: AsRef<str>> Extend<S> for Ids {
    fn extend<I: IntoIterator<Item = S>>(&mut self, ids: I) {
        ids.into_iter().for_each(|id| self.push(id.as_ref()));
    }
}

impl<S: AsRef<str>> FromIterator<S> for Ids {
    fn from_iter<I: IntoIterator<Item = S>>(all: I) -> Ids {
        let mut ids = Ids::default();
        ids.extend(all);
        ids.shrink_to_fit();
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_place() {
        let all = ["a", "", "b/c", "ö"];
        let mut ids: Ids = all[..2].iter().collect();
        ids.extend(&all[2..]);
        assert_eq!(ids.iter().collect::<Vec<_>>(), all);
        assert_eq!((ids.len(), &ids[2]), (4, "b/c"));
        assert!(!ids.is_empty() && Ids::default().is_empty());
    }
}
