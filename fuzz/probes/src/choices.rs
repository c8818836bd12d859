//! Random choices read off bytes, so that what mutates the bytes mutates what is made of them. When the
//! bytes end every choice is the first one, which must be the simplest.

/// The choices that are left.
pub struct Choices<'d> {
    left: &'d [u8],
}

impl<'d> Choices<'d> {
    /// Choices of these bytes.
    pub fn new(data: &'d [u8]) -> Choices<'d> {
        Choices { left: data }
    }

    /// Whether all further choices are the first.
    pub fn is_over(&self) -> bool {
        self.left.is_empty()
    }

    /// One of the numbers below `count`, at most 256.
    pub fn below(&mut self, count: usize) -> usize {
        let Some((first, rest)) = self.left.split_first() else { return 0 };
        self.left = rest;
        usize::from(*first) % count
    }

    /// True once in `count` times.
    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == count - 1
    }

    /// One of the items.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

/// Bytes that look random, the same ones for the same seed (xorshift; Marsaglia 2003).
pub fn random(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    })
}
