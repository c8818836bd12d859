//! String contexts: interned sorted sets of handles, named by a small number and never copied.
//! What a handle stands for is the derivation graph's affair.

use std::hash::BuildHasher;
use std::io;

use floe_core::path::StorePath;
use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::graph::{DrvId, SourceId};
use crate::pages::Shelf;
use crate::table::Table;

/// A context; 0 is the empty one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Ctx(u32);

/// One thing that a string depends on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum CtxElem {
    /// A source.
    Source(SourceId),
    /// A store path known by its text: an index in the table of [`Contexts::path`].
    Path(u32),
    /// A derivation's file alone.
    DrvFile(DrvId),
    /// A derivation's file with everything it needs, all outputs included.
    DrvDeep(DrvId),
    /// An output.
    Output(DrvId, u32),
}

impl Ctx {
    pub(crate) const EMPTY: Ctx = Ctx(0);

    #[inline(always)]
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds it to those that a union is to be made of.
    pub(crate) fn add_to(self, parts: &mut Vec<Ctx>) {
        if !self.is_empty() && parts.last() != Some(&self) {
            parts.push(self);
        }
    }
}

/// The table of contexts of one evaluation.
pub(crate) struct Contexts {
    /// The elements of all sets, one after another.
    elems: Table<CtxElem>,
    /// Where each set ends in them; it begins where the former one ends.
    ends: Table<u32>,
    /// The sets by their content.
    ids: HashTable<Ctx>,
    unions: FxHashMap<(Ctx, Ctx), Ctx>,
    paths: Vec<StorePath>,
    path_ids: FxHashMap<StorePath, u32>,
}

fn elems<'a>(all: &'a Table<CtxElem>, ends: &Table<u32>, ctx: Ctx) -> &'a [CtxElem] {
    let at = ctx.0 as usize;
    let start = at.checked_sub(1).map_or(0, |former| ends[former]);
    all.slice(start as usize..ends[at] as usize)
}

impl Contexts {
    pub(crate) fn new() -> Contexts {
        let mut ends = Table::default();
        ends.push(0);
        Contexts {
            elems: Table::default(),
            ends,
            ids: HashTable::new(),
            unions: FxHashMap::default(),
            paths: Vec::new(),
            path_ids: FxHashMap::default(),
        }
    }

    /// Lays aside what can be, and gives back room that is not used.
    ///
    /// # Errors
    /// When there is no room in the file: then the rest stays in memory.
    pub(crate) fn lay_aside(&mut self, shelf: &mut Shelf) -> io::Result<()> {
        self.elems.lay_aside(shelf)?;
        self.ends.lay_aside(shelf)
    }

    pub(crate) fn elems(&self, ctx: Ctx) -> &[CtxElem] {
        elems(&self.elems, &self.ends, ctx)
    }

    pub(crate) fn intern(&mut self, mut elems: Vec<CtxElem>) -> Ctx {
        elems.sort_unstable();
        elems.dedup();
        if elems.is_empty() {
            return Ctx::EMPTY;
        }
        let hash = |elems: &[CtxElem]| FxBuildHasher.hash_one(elems);
        let found = self.ids.find(hash(&elems), |ctx| *self.elems(*ctx) == *elems);
        if let Some(&ctx) = found {
            return ctx;
        }
        let ctx = Ctx(self.ends.len() as u32);
        self.elems.extend(elems);
        let end = u32::try_from(self.elems.len()).expect("contexts hold fewer than 2^32 handles");
        self.ends.push(end);
        let (all, ends) = (&self.elems, &self.ends);
        let hash_of = |ctx: &Ctx| hash(self::elems(all, ends, *ctx));
        self.ids.insert_unique(hash_of(&ctx), ctx, hash_of);
        ctx
    }

    /// The union of many, without one for each step on the way.
    pub(crate) fn union_all(&mut self, all: &[Ctx]) -> Ctx {
        match all {
            [] => Ctx::EMPTY,
            [one] => *one,
            [a, b] => self.union(*a, *b),
            all => {
                let elems = all.iter().flat_map(|ctx| self.elems(*ctx)).copied().collect();
                self.intern(elems)
            }
        }
    }

    #[inline]
    pub(crate) fn union(&mut self, a: Ctx, b: Ctx) -> Ctx {
        if a == b || b.is_empty() {
            return a;
        }
        if a.is_empty() {
            return b;
        }
        self.union_slow(a, b)
    }

    fn union_slow(&mut self, a: Ctx, b: Ctx) -> Ctx {
        let key = if a.0 < b.0 { (a, b) } else { (b, a) };
        if let Some(&ctx) = self.unions.get(&key) {
            return ctx;
        }
        let mut elems = self.elems(a).to_vec();
        elems.extend_from_slice(self.elems(b));
        let ctx = self.intern(elems);
        self.unions.insert(key, ctx);
        ctx
    }

    /// The element for a store path known by its text.
    pub(crate) fn path_elem(&mut self, path: &StorePath) -> CtxElem {
        if let Some(&id) = self.path_ids.get(path) {
            return CtxElem::Path(id);
        }
        let id = self.paths.len() as u32;
        self.paths.push(path.clone());
        self.path_ids.insert(path.clone(), id);
        CtxElem::Path(id)
    }

    pub(crate) fn path(&self, id: u32) -> &StorePath {
        &self.paths[id as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sets_are_equal_numbers() {
        let mut all = Contexts::new();
        let a = all.intern(vec![CtxElem::DrvFile(DrvId(1))]);
        let b = all.intern(vec![CtxElem::Output(DrvId(2), 0)]);
        let ab = all.union(a, b);
        assert_eq!(ab, all.union(b, a));
        assert_eq!(ab, all.union(ab, a));
        assert_eq!(all.union(Ctx::EMPTY, a), a);
        assert_eq!(all.elems(ab).len(), 2);
        assert_eq!(all.union_all(&[b, Ctx::EMPTY, a, b]), ab);
        assert_eq!(all.intern(Vec::new()), Ctx::EMPTY);
    }
}
