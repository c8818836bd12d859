//! A vector that grows through a shared reference and never moves what it holds. Holds data
//! of the derivation graph; knows nothing of it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A block holds so many elements, in bits.
const BLOCK_BITS: u32 = 6;
const FIRST_BITS: u32 = 4;
const BUCKETS: usize = 23;

/// Elements side by side, allocated at once.
type Block<T> = OnceLock<Box<[OnceLock<T>]>>;

/// Elements live in blocks of one size, which are found through buckets of doubling size: what is not
/// used yet takes little room. Each is allocated once.
pub(crate) struct AppendVec<T> {
    reserved: AtomicU32,
    buckets: [OnceLock<Box<[Block<T>]>>; BUCKETS],
}

/// In which bucket and where in it the block of an element lies, and where the element in that.
fn place(index: u32) -> (usize, usize, usize) {
    let shifted = (index >> BLOCK_BITS) + (1 << FIRST_BITS);
    let bucket = 31 - shifted.leading_zeros() - FIRST_BITS;
    let block = shifted - (1 << (bucket + FIRST_BITS));
    (bucket as usize, block as usize, (index % (1 << BLOCK_BITS)) as usize)
}

fn unset<T>(bits: u32) -> Box<[OnceLock<T>]> {
    (0..1usize << bits).map(|_| OnceLock::new()).collect()
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
        let (bucket, block, offset) = place(index);
        let blocks = self.buckets[bucket].get_or_init(|| unset(bucket as u32 + FIRST_BITS));
        let slots = blocks[block].get_or_init(|| unset(BLOCK_BITS));
        assert!(slots[offset].set(value).is_ok(), "a fresh slot was taken");
        index
    }

    /// The element at `index`, if it was pushed.
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        let (bucket, block, offset) = place(index);
        self.buckets.get(bucket)?.get()?.get(block)?.get()?.get(offset)?.get()
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
