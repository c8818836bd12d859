//! Memory of one evaluation: a bump arena that is freed as a whole, and [`Gc`], the pointer
//! into it. What the memory means is `value`'s affair.
//!
//! The crate-wide rule that every `unsafe` here and in `value` leans on: a [`Gc`] is made only
//! from memory of a [`Heap`], is private to this crate, and is used only by the evaluator that
//! owns the heap (handles given to users are checked against the evaluator's number first).
//! The heap never moves or frees anything before it is dropped with its evaluator, so
//! `&'static` within this crate reads "as long as the heap".

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::io;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;

use crate::pages::{HUGE_PAGE_BYTES, Pages, Shelf};

const FIRST_CHUNK_BYTES: usize = 256 << 10;
const LAST_CHUNK_BYTES: usize = 16 << 20;
const ALIGN: usize = 8;
/// In tests and under a fuzzer, what was taken back is filled with this: a tag of no value, an address of nothing.
const POISON: u8 = 0xa5;
/// A pointer to something in a [`Heap`]. Neither `Send` nor `Sync`.
pub(crate) struct Gc<T: 'static>(NonNull<T>, PhantomData<&'static T>);

impl<T> Clone for Gc<T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Gc<T> {}

impl<T> PartialEq for Gc<T> {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Gc<T> {
    /// From memory of a heap.
    ///
    /// # Safety
    /// `at` points to an initialised `T` in a live heap.
    #[inline(always)]
    pub(crate) unsafe fn new(at: NonNull<T>) -> Gc<T> {
        Gc(at, PhantomData)
    }

    #[inline(always)]
    pub(crate) fn as_ptr(self) -> *mut T {
        self.0.as_ptr()
    }

    /// The pointee for as long as the heap lives.
    #[inline(always)]
    pub(crate) fn get(self) -> &'static T {
        // SAFETY: by the rule above, the heap is alive and holds an initialised T here; what is
        // changed later sits in `Cell`s.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Deref for Gc<T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        (*self).get()
    }
}

/// A bump arena.
pub(crate) struct Heap {
    next: usize,
    end: usize,
    chunk: *mut u8,
    chunks: Vec<(NonNull<u8>, Layout)>,
    /// The large ones.
    pages: Vec<Pages>,
    chunk_bytes: usize,
    allocated_bytes: u64,
    limit_bytes: u64,
    /// The address below which the stack must not grow. Above every address once the memory is used
    /// up, so that one comparison stops evaluation for both reasons.
    stack_limit: usize,
    /// How often a chunk was added.
    refills: u32,
    /// What was made in it.
    pub(crate) tally: Tally,
}

/// Counts. No evaluation lasts until 64 bits are full, so nothing is spent on a check.
#[inline(always)]
pub(crate) fn bump(count: &mut u64, by: u64) {
    *count = count.wrapping_add(by);
}

/// Things made, and how many elements they had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) number: u64,
    pub(crate) elements: u64,
}

impl Made {
    #[inline(always)]
    pub(crate) fn add(&mut self, elements: usize) {
        bump(&mut self.number, 1);
        bump(&mut self.elements, elements as u64);
    }
}

/// How many things were made. The frames of calls are not among them: those who ask count calls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) envs: Made,
    pub(crate) sets: Made,
    pub(crate) list_elements: u64,
}

/// Where the heap stood at some moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    next: usize,
    refills: u32,
}

impl Heap {
    pub(crate) fn new(limit_bytes: u64) -> Heap {
        Heap {
            next: 0,
            end: 0,
            chunk: std::ptr::null_mut(),
            chunks: Vec::new(),
            pages: Vec::new(),
            chunk_bytes: FIRST_CHUNK_BYTES,
            allocated_bytes: 0,
            limit_bytes,
            stack_limit: 0,
            refills: 0,
            tally: Tally::default(),
        }
    }

    /// Bytes in use or wasted at the ends of chunks.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.allocated_bytes - (self.end - self.next) as u64
    }

    /// How much may be used.
    pub(crate) fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// Whether more is used than may be. Whoever allocates still gets memory: evaluation stops where
    /// it next looks at the stack.
    pub(crate) fn is_full(&self) -> bool {
        self.allocated_bytes > self.limit_bytes
    }

    /// The address below which there is no room on the stack, or above everything.
    #[inline(always)]
    pub(crate) fn stack_limit(&self) -> usize {
        self.stack_limit
    }

    pub(crate) fn set_stack_limit(&mut self, address: usize) {
        self.stack_limit = if self.is_full() { usize::MAX } else { address };
    }

    /// Uninitialised memory, aligned to 8.
    #[inline(always)]
    pub(crate) fn raw(&mut self, size_bytes: usize) -> NonNull<u8> {
        let size = size_bytes.next_multiple_of(ALIGN);
        if self.end - self.next < size {
            return self.refill(size);
        }
        let at = self.next;
        self.next += size;
        // SAFETY: `at + size <= end`, the length of the current chunk.
        unsafe { NonNull::new_unchecked(self.chunk.add(at)) }
    }

    #[cold]
    #[inline(never)]
    fn refill(&mut self, size: usize) -> NonNull<u8> {
        let large = size > self.chunk_bytes / 4;
        let bytes = if large { size } else { self.chunk_bytes };
        let memory = match bytes >= HUGE_PAGE_BYTES {
            true => self.map(bytes),
            false => self.small(bytes),
        };
        self.refills += 1;
        self.allocated_bytes += bytes as u64;
        if self.is_full() {
            self.stack_limit = usize::MAX;
        }
        if large {
            return memory;
        }
        self.chunk_bytes = (self.chunk_bytes * 2).min(LAST_CHUNK_BYTES);
        self.chunk = memory.as_ptr();
        self.end = bytes;
        self.next = size;
        memory
    }

    fn map(&mut self, bytes: usize) -> NonNull<u8> {
        let Ok(pages) = Pages::map(bytes) else {
            handle_alloc_error(Layout::from_size_align(bytes, ALIGN).expect("a sane size"));
        };
        let memory = pages.start();
        self.pages.push(pages);
        memory
    }

    fn small(&mut self, bytes: usize) -> NonNull<u8> {
        let layout = Layout::from_size_align(bytes, ALIGN).expect("a sane size");
        // SAFETY: `bytes` is not zero: it is at least one unit, or the size of a chunk.
        let memory = unsafe { alloc(layout) };
        let Some(memory) = NonNull::new(memory) else { handle_alloc_error(layout) };
        self.chunks.push((memory, layout));
        memory
    }

    /// Lays the `nth` of the large chunks aside; whether there is one.
    ///
    /// # Errors
    /// When there is no room for it: then it stays where it is.
    pub(crate) fn lay_aside(&mut self, nth: usize, shelf: &mut Shelf) -> io::Result<bool> {
        match self.pages.get_mut(nth) {
            Some(pages) => pages.lay_aside(shelf).map(|()| true),
            None => Ok(false),
        }
    }

    /// Where the heap stands.
    #[inline(always)]
    pub(crate) fn mark(&self) -> Mark {
        Mark { next: self.next, refills: self.refills }
    }

    /// Whether the only thing allocated since `mark` has this size.
    #[inline(always)]
    pub(crate) fn is_last(&self, mark: Mark, size_bytes: usize) -> bool {
        self.next == mark.next + size_bytes.next_multiple_of(ALIGN) && self.refills == mark.refills
    }

    /// Takes back everything allocated since `mark`, if [`Heap::is_last`] says that it is one
    /// thing of this size. Otherwise nothing happens.
    ///
    /// # Safety
    /// Nothing uses that thing any more.
    #[inline(always)]
    pub(crate) unsafe fn take_back(&mut self, mark: Mark, size_bytes: usize) {
        if self.is_last(mark, size_bytes) {
            self.cut(mark.next);
        }
    }

    /// Takes back the end of the last thing allocated, which ends at `end` and is to end at
    /// `at`, if nothing was allocated since.
    ///
    /// # Safety
    /// `at..end` is the end of something in this heap that nothing uses any more.
    pub(crate) unsafe fn shorten(&mut self, at: *mut u8, end: *mut u8) {
        if self.chunk.wrapping_add(self.next) == end && self.chunk <= at && !self.chunk.is_null() {
            self.cut(at.addr() - self.chunk.addr());
        }
    }

    #[inline(always)]
    fn cut(&mut self, next: usize) {
        if cfg!(any(test, fuzzing)) {
            // SAFETY: `next..self.next` lies in the current chunk, and its users are gone.
            unsafe { self.chunk.add(next).write_bytes(POISON, self.next - next) };
        }
        self.next = next;
    }

    /// Moves a value into the heap. It is never dropped.
    #[inline(always)]
    pub(crate) fn alloc<T>(&mut self, value: T) -> Gc<T> {
        const { assert!(!std::mem::needs_drop::<T>() && align_of::<T>() <= ALIGN) };
        let at = self.raw(size_of::<T>()).cast::<T>();
        // SAFETY: fresh memory of T's size and alignment.
        unsafe {
            at.write(value);
            Gc::new(at)
        }
    }

    /// Moves a row of values into the heap. They are never dropped.
    pub(crate) fn alloc_slice<T>(
        &mut self,
        values: impl ExactSizeIterator<Item = T>,
    ) -> &'static [T] {
        let mut row = self.row(values.len());
        let room = row.len;
        values.take(room).for_each(|value| row.push(value));
        row.finish()
    }

    /// Memory for a list of `len` values.
    #[inline]
    pub(crate) fn list_row<T>(&mut self, len: usize) -> Row<T> {
        bump(&mut self.tally.list_elements, len as u64);
        self.row(len)
    }

    /// Memory for a row of `len` values, to be filled in order while other things are allocated.
    #[inline]
    fn row<T>(&mut self, len: usize) -> Row<T> {
        const { assert!(!std::mem::needs_drop::<T>() && align_of::<T>() <= ALIGN) };
        let at = match len {
            0 => NonNull::dangling(),
            _ => self.raw(len * size_of::<T>()).cast::<T>(),
        };
        Row { at, len, written: 0 }
    }
}

/// A row of values that is being filled.
pub(crate) struct Row<T: 'static> {
    at: NonNull<T>,
    len: usize,
    written: usize,
}

impl<T> Row<T> {
    /// How many values it is made for.
    pub(crate) fn room(&self) -> usize {
        self.len
    }

    /// Adds a value; there must be room.
    #[inline(always)]
    pub(crate) fn push(&mut self, value: T) {
        assert!(self.written < self.len, "a row holds as many values as it was made for");
        // SAFETY: the memory of element `written < len` belongs to this row alone.
        unsafe { self.at.add(self.written).write(value) };
        self.written += 1;
    }

    /// What was filled.
    #[inline]
    pub(crate) fn finish(self) -> &'static [T] {
        // SAFETY: exactly `written` elements were initialised, in memory of the heap.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.written) }
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        for (memory, layout) in self.chunks.drain(..) {
            // SAFETY: allocated by `small` with this layout, freed once.
            unsafe { dealloc(memory.as_ptr(), layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_it_is_given() {
        let mut heap = Heap::new(u64::MAX);
        let kept: Vec<_> = (0..100_000u64).map(|i| heap.alloc([i, i + 1])).collect();
        let big = heap.alloc_slice((0..200_000u64).collect::<Vec<_>>().into_iter());
        let after = heap.alloc(7u64);
        assert!(kept.iter().enumerate().all(|(i, at)| at[0] == i as u64 && at[1] == i as u64 + 1));
        assert!(big.iter().enumerate().all(|(i, at)| *at == i as u64));
        assert_eq!(*after, 7);
        assert!(heap.used_bytes() >= 100_000 * 16 + 200_000 * 8);
    }

    #[test]
    fn takes_back_only_what_is_last() {
        let mut heap = Heap::new(u64::MAX);
        let mark = heap.mark();
        let first = heap.alloc([1u64; 3]);
        // SAFETY: `first` is not read any more where it was taken back.
        unsafe { heap.take_back(mark, 16) };
        assert_eq!(*first, [1; 3], "the size tells another thing");
        let behind = heap.alloc(2u64);
        // SAFETY: as above.
        unsafe { heap.take_back(mark, 24) };
        assert_eq!((*first, *behind), ([1; 3], 2), "something lies behind");
        let mark = heap.mark();
        let last = heap.alloc([3u64; 3]).as_ptr();
        // SAFETY: as above.
        unsafe { heap.take_back(mark, 24) };
        assert_eq!(heap.alloc([4u64; 3]).as_ptr(), last, "the room is used again");
        let mark = heap.mark();
        heap.raw(LAST_CHUNK_BYTES);
        assert!(!heap.is_last(mark, 0), "something large lies elsewhere");
    }
}
