//! One copy in memory of values that are equal. What they mean, and who keeps the table, is not known here.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash};
use std::ops::Deref;
use std::sync::Arc;

/// The one that the table keeps of all that are equal to this one; this one, if it is the first.
pub fn shared<T, L, S>(known: &mut HashSet<Arc<T>, S>, one: L) -> Arc<T>
where
    T: ?Sized + Eq + Hash,
    L: Deref<Target = T> + Into<Arc<T>>,
    S: BuildHasher,
{
    if let Some(known) = known.get(&*one) {
        return Arc::clone(known);
    }
    let one: Arc<T> = one.into();
    known.insert(Arc::clone(&one));
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lists_are_one() {
        let mut known: HashSet<Arc<[u8]>> = HashSet::new();
        let first = shared(&mut known, vec![1, 2]);
        let other: Arc<[u8]> = Arc::new([1, 2]);
        assert!(Arc::ptr_eq(&first, &shared(&mut known, other)));
        assert!(!Arc::ptr_eq(&first, &shared(&mut known, vec![3])));
        assert_eq!(known.len(), 2);
    }
}
