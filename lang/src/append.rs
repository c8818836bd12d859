//! A vector that grows through a shared reference and never moves what it holds. Holds data
//! of the derivation graph; knows nothing of it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST_BITS: u32 = 6;
const BUCKETS: usize = 26;

/// Elements live in buckets of doubling size, each allocated once.
pub(crate) struct AppendVec<T> {
    reserved: AtomicU32,
    buckets: [OnceLock<Box<[OnceLock<T>]>>; BUCKETS],
}

fn place(index: u32) -> (usize, usize) {
    let shifted = index + (1 << FIRST_BITS);
    let bucket = 31 - shifted.leading_zeros() - FIRST_BITS;
    (bucket as usize, (shifted - (1 << (bucket + FIRST_BITS))) as usize)
}

impl<T> AppendVec<T> {
    /// An empty one.
    pub(crate) fn new() -> Self {
        AppendVec { reserved: AtomicU32::new(0), buckets: [const { OnceLock::new() }; BUCKETS] }
    }

    /// How many elements were pushed.
    pub(crate) fn len(&self) -> u32 {
        self.reserved.load(Ordering::Acquire)
    }

    /// Adds an element and gives its index.
    pub(crate) fn push(&self, value: T) -> u32 {
        let index = self.reserved.fetch_add(1, Ordering::AcqRel);
        let (bucket, offset) = place(index);
        let slots = self.buckets[bucket].get_or_init(|| {
            (0..1usize << (bucket as u32 + FIRST_BITS)).map(|_| OnceLock::new()).collect()
        });
        assert!(slots[offset].set(value).is_ok(), "a fresh slot was taken");
        index
    }

    /// The element at `index`, if it was pushed.
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        let (bucket, offset) = place(index);
        self.buckets.get(bucket)?.get()?.get(offset)?.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_addresses() {
        let v = AppendVec::new();
        for i in 0..1000u32 {
            assert_eq!(v.push(i), i);
        }
        let first: *const u32 = v.get(0).unwrap();
        for i in 1000..5000u32 {
            v.push(i);
        }
        assert!((0..5000).all(|i| v.get(i) == Some(&i)));
        assert_eq!(first, std::ptr::from_ref(v.get(0).unwrap()));
        assert_eq!(v.get(5000), None);
    }
}
