//! Sets as they lie in the heap: attributes sorted by symbol behind a header, or, after `//`,
//! those of a small set over the larger one that it extended. Layout only.

use std::cell::Cell;
use std::ptr::NonNull;

use crate::heap::{Gc, Heap};
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::value::{Slot, Value};

/// One attribute.
pub(crate) struct Attr {
    pub(crate) name: Symbol,
    pub(crate) loc: Loc,
    pub(crate) value: Slot,
}

impl Attr {
    #[inline]
    pub(crate) fn new(name: Symbol, loc: Loc, value: Value) -> Attr {
        Attr { name, loc, value: Cell::new(value) }
    }
    pub(crate) fn copy(&self) -> Attr {
        Attr { name: self.name, loc: self.loc, value: Cell::new(self.value.get()) }
    }
}

/// A set.
#[repr(C)]
pub(crate) struct Attrs {
    /// Number of names.
    len: u32,
    /// Number of layers below. 0: the attributes stand behind this header; else this is the
    /// header of a [`Layers`].
    depth: Cell<u32>,
    first: [Attr; 0],
}

/// What `//` made of a small set and a larger one.
#[repr(C)]
struct Layers {
    head: Attrs,
    /// A plain set.
    own: Cell<Gc<Attrs>>,
    under: Cell<Option<Gc<Attrs>>>,
}

/// With at most this many attributes on the right, and many more on the left, `//` layers.
const LAYER_MAX_OWN: usize = 16;
const LAYER_MAX_DEPTH: u32 = 8;

impl Attrs {
    /// A set of attributes sorted by symbol, each name once.
    pub(crate) fn from_sorted(
        heap: &mut Heap,
        attrs: impl ExactSizeIterator<Item = Attr>,
    ) -> Gc<Attrs> {
        let mut row = AttrsRow::new(heap, attrs.len());
        attrs.for_each(|attr| row.push(attr));
        row.finish(heap)
    }

    /// A set of attributes in any order, each name once.
    pub(crate) fn from_vec(heap: &mut Heap, mut attrs: Vec<Attr>) -> Gc<Attrs> {
        attrs.sort_unstable_by_key(|attr| attr.name);
        Attrs::from_sorted(heap, attrs.into_iter())
    }

    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// The attributes of a plain set.
    #[inline(always)]
    fn plain(this: Gc<Attrs>) -> &'static [Attr] {
        debug_assert!(this.depth.get() == 0);
        // SAFETY: only `AttrsRow` makes headers of depth 0, with `len` attributes behind them
        // in the same block.
        unsafe {
            let first = std::ptr::addr_of!((*this.as_ptr()).first).cast::<Attr>();
            std::slice::from_raw_parts(first, this.len as usize)
        }
    }

    /// The layers of a set that is not plain.
    #[inline(always)]
    fn layers(this: Gc<Attrs>) -> &'static Layers {
        debug_assert!(this.depth.get() != 0);
        // SAFETY: only `Attrs::layer` makes headers of another depth, each the first field of a
        // `Layers`; a depth never becomes 0 later.
        unsafe { &*this.as_ptr().cast::<Layers>() }
    }

    fn layer(heap: &mut Heap, own: Gc<Attrs>, under: Gc<Attrs>, len: usize) -> Gc<Attrs> {
        let len = u32::try_from(len).expect("sets are smaller than 2^32");
        let head = Attrs { len, depth: Cell::new(under.depth.get() + 1), first: [] };
        let made = heap.alloc(Layers { head, own: Cell::new(own), under: Cell::new(Some(under)) });
        // SAFETY: the header is the first field, so it has the same address.
        unsafe { Gc::new(NonNull::new_unchecked(made.as_ptr().cast::<Attrs>())) }
    }

    /// The attribute of this name.
    #[inline]
    pub(crate) fn find(this: Gc<Attrs>, name: Symbol) -> Option<&'static Attr> {
        let mut at = this;
        while at.depth.get() != 0 {
            let layers = Attrs::layers(at);
            let found = find(Attrs::plain(layers.own.get()), name);
            if found.is_some() {
                return found;
            }
            at = layers.under.get()?;
        }
        find(Attrs::plain(at), name)
    }

    /// All attributes, sorted by symbol.
    #[inline]
    pub(crate) fn all(this: Gc<Attrs>, heap: &mut Heap) -> &'static [Attr] {
        if this.depth.get() == 0 {
            return Attrs::plain(this);
        }
        Attrs::flatten(this, heap)
    }

    /// Makes one layer of all, for good.
    fn flatten(this: Gc<Attrs>, heap: &mut Heap) -> &'static [Attr] {
        let top = Attrs::layers(this);
        let Some(mut at) = top.under.get() else {
            return Attrs::plain(top.own.get());
        };
        let mut above = vec![Attrs::plain(top.own.get())];
        let base = loop {
            if at.depth.get() == 0 {
                break Attrs::plain(at);
            }
            let layers = Attrs::layers(at);
            let own = Attrs::plain(layers.own.get());
            let Some(under) = layers.under.get() else {
                break own;
            };
            above.push(own);
            at = under;
        };
        // The layers are few and small: merge them first, then once with the base.
        let mut small: Vec<&Attr> = Vec::new();
        for own in above.into_iter().rev() {
            small = merge(&small, own);
        }
        let mut row = AttrsRow::new(heap, base.len() + small.len());
        merge_into(&mut row, base, small.into_iter());
        let flat = row.finish(heap);
        top.own.set(flat);
        top.under.set(None);
        top.head.depth.set(1);
        Attrs::plain(flat)
    }

    /// `left // right`
    pub(crate) fn update(heap: &mut Heap, left: Gc<Attrs>, right: Gc<Attrs>) -> Gc<Attrs> {
        if left.len == 0 {
            return right;
        }
        if right.len == 0 {
            return left;
        }
        if right.depth.get() == 0
            && right.len() <= LAYER_MAX_OWN
            && left.len() >= right.len() * 4
            && left.depth.get() < LAYER_MAX_DEPTH
        {
            let own = Attrs::plain(right);
            let new = own.iter().filter(|attr| Attrs::find(left, attr.name).is_none()).count();
            return Attrs::layer(heap, right, left, left.len() + new);
        }
        let left = Attrs::all(left, heap);
        let right = Attrs::all(right, heap);
        let mut row = AttrsRow::new(heap, left.len() + right.len());
        merge_into(&mut row, left, right.iter());
        row.finish(heap)
    }
}

#[inline(always)]
fn find(attrs: &'static [Attr], name: Symbol) -> Option<&'static Attr> {
    if attrs.len() <= 8 {
        return attrs.iter().find(|attr| attr.name == name);
    }
    attrs.binary_search_by_key(&name, |attr| attr.name).ok().map(|at| &attrs[at])
}

/// `right` over `left`, into a row with room for both.
fn merge_into<'a>(row: &mut AttrsRow, left: &[Attr], right: impl Iterator<Item = &'a Attr>) {
    let mut rest = left;
    for attr in right {
        while let [first, behind @ ..] = rest
            && first.name < attr.name
        {
            row.push(first.copy());
            rest = behind;
        }
        if let [first, behind @ ..] = rest
            && first.name == attr.name
        {
            rest = behind;
        }
        row.push(attr.copy());
    }
    rest.iter().for_each(|attr| row.push(attr.copy()));
}

fn merge<'a>(left: &[&'a Attr], right: &'a [Attr]) -> Vec<&'a Attr> {
    let mut out = Vec::with_capacity(left.len() + right.len());
    let mut i = 0;
    for attr in right {
        while i < left.len() && left[i].name < attr.name {
            out.push(left[i]);
            i += 1;
        }
        if i < left.len() && left[i].name == attr.name {
            i += 1;
        }
        out.push(attr);
    }
    out.extend_from_slice(&left[i..]);
    out
}

/// A plain set that is being filled, sorted by symbol, while other things are allocated.
pub(crate) struct AttrsRow {
    head: NonNull<Attrs>,
    room: u32,
    len: u32,
}

impl AttrsRow {
    /// Memory for a set of up to `room` attributes.
    #[inline]
    pub(crate) fn new(heap: &mut Heap, room: usize) -> AttrsRow {
        let bytes = size_of::<Attrs>() + room * size_of::<Attr>();
        let room = u32::try_from(room).expect("sets are smaller than 2^32");
        AttrsRow { head: heap.raw(bytes).cast::<Attrs>(), room, len: 0 }
    }

    #[inline(always)]
    fn place(&self, index: u32) -> *mut Attr {
        // SAFETY: the block has room for the header and `room` attributes; only an address is
        // made here, at most the one behind the last.
        unsafe {
            std::ptr::addr_of_mut!((*self.head.as_ptr()).first).cast::<Attr>().add(index as usize)
        }
    }

    /// Adds an attribute whose name is greater than those before; there must be room.
    #[inline(always)]
    pub(crate) fn push(&mut self, attr: Attr) {
        assert!(self.len < self.room, "a set holds as many attributes as it was made for");
        // SAFETY: the memory of element `len < room` belongs to this row alone.
        unsafe { self.place(self.len).write(attr) };
        self.len += 1;
    }

    /// How many attributes it holds.
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// Gives all of it back to the heap, where that is possible.
    pub(crate) fn abandon(self, heap: &mut Heap) {
        // SAFETY: the block was never handed out.
        unsafe { heap.shorten(self.head.as_ptr().cast(), self.place(self.room).cast()) };
    }

    /// The set. Room that was not needed goes back to the heap, where that is possible.
    #[inline]
    pub(crate) fn finish(self, heap: &mut Heap) -> Gc<Attrs> {
        if self.len < self.room {
            // SAFETY: the places behind `len` were never filled.
            unsafe {
                heap.shorten(self.place(self.len).cast(), self.place(self.room).cast());
            }
        }
        // SAFETY: fresh memory for the header, and `len` attributes behind it are initialised.
        unsafe {
            self.head.write(Attrs { len: self.len, depth: Cell::new(0), first: [] });
            let made = Gc::new(self.head);
            debug_assert!(Attrs::plain(made).is_sorted_by(|a, b| a.name < b.name));
            made
        }
    }
}
