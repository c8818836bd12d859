//! Sets as they lie in the heap: attributes sorted by symbol behind a header, or, after `//`,
//! those of a small set over the larger one that it extended. Layout only.

use std::cell::Cell;
use std::ptr::NonNull;

use crate::heap::{Gc, Heap, bump};
use crate::place::Place;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::value::Value;

/// One attribute.
pub(crate) struct Attr {
    pub(crate) name: Symbol,
    pub(crate) loc: Loc,
    pub(crate) value: Place,
}

impl Attr {
    #[inline]
    pub(crate) fn new(name: Symbol, loc: Loc, value: Value, heap: &mut Heap) -> Attr {
        Attr { name, loc, value: Place::new(value, heap) }
    }
    #[inline(always)]
    pub(crate) fn copy(&self) -> Attr {
        Attr { name: self.name, loc: self.loc, value: self.value.clone() }
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

    /// The attributes, sorted by symbol, of a set that is in one row already.
    #[inline(always)]
    pub(crate) fn plain_row(this: Gc<Attrs>) -> Option<&'static [Attr]> {
        (this.depth.get() == 0).then(|| Attrs::plain(this))
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
        bump(&mut heap.tally.sets.number, 1);
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

    /// All attributes, sorted by symbol, for reading them once.
    pub(crate) fn once(this: Gc<Attrs>) -> Once {
        if this.depth.get() == 0 {
            return Once::Plain(Attrs::plain(this).iter());
        }
        match Attrs::merged(this) {
            Ok(plain) => Once::Plain(plain.iter()),
            Err((base, small)) => {
                let mut all = Vec::with_capacity(base.len() + small.len());
                merge(base.iter(), small.into_iter(), |attr| all.push(attr));
                Once::Merged(all.into_iter())
            }
        }
    }

    /// All attributes, in the order of their names' text.
    pub(crate) fn by_text(this: Gc<Attrs>) -> Vec<&'static Attr> {
        // The first letters mostly decide, and comparing them is comparing numbers.
        let first = |text: &[u8]| {
            let mut letters = [0; 8];
            let len = text.len().min(8);
            letters[..len].copy_from_slice(&text[..len]);
            u64::from_be_bytes(letters)
        };
        let mut texts = Vec::with_capacity(this.len());
        texts.extend(Attrs::once(this).map(|attr| {
            let text = attr.name.as_bytes();
            (first(text), text, attr)
        }));
        texts.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(b.1)));
        texts.into_iter().map(|(_, _, attr)| attr).collect()
    }

    /// The attributes of a layered set, if they lie in one row; else those of the lowest layer
    /// and, merged, those of the layers above.
    fn merged(this: Gc<Attrs>) -> Result<&'static [Attr], (&'static [Attr], Vec<&'static Attr>)> {
        let top = Attrs::layers(this);
        let Some(mut at) = top.under.get() else {
            return Ok(Attrs::plain(top.own.get()));
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
        let mut small: Vec<&Attr> = Vec::new();
        for own in above.into_iter().rev() {
            let mut both = Vec::with_capacity(small.len() + own.len());
            merge(small.into_iter(), own.iter(), |attr| both.push(attr));
            small = both;
        }
        Err((base, small))
    }

    /// Makes one layer of all, for good.
    fn flatten(this: Gc<Attrs>, heap: &mut Heap) -> &'static [Attr] {
        let (base, small) = match Attrs::merged(this) {
            Ok(plain) => return plain,
            Err(layers) => layers,
        };
        let mut row = AttrsRow::new(heap, base.len() + small.len());
        merge(base.iter(), small.into_iter(), |attr| row.push(attr.copy()));
        let flat = row.finish(heap);
        let top = Attrs::layers(this);
        top.own.set(flat);
        top.under.set(None);
        top.head.depth.set(1);
        Attrs::plain(flat)
    }

    /// Merges `own` with the layers of `under` that are no larger than what is merged already:
    /// those left grow towards the bottom, so a long chain of `//` copies each attribute only
    /// so often.
    fn gather(heap: &mut Heap, own: Gc<Attrs>, under: Gc<Attrs>) -> (Gc<Attrs>, Gc<Attrs>) {
        let (mut own, mut under) = (own, under);
        while under.depth.get() != 0 {
            let layers = Attrs::layers(under);
            let Some(next) = layers.under.get().filter(|_| layers.own.get().len <= own.len) else {
                break;
            };
            let (left, right) = (Attrs::plain(layers.own.get()), Attrs::plain(own));
            let mut row = AttrsRow::new(heap, left.len() + right.len());
            merge(left.iter(), right.iter(), |attr| row.push(attr.copy()));
            own = row.finish(heap);
            under = next;
        }
        (own, under)
    }

    /// `left // right`
    pub(crate) fn update(heap: &mut Heap, left: Gc<Attrs>, right: Gc<Attrs>) -> Gc<Attrs> {
        if left.len == 0 {
            return right;
        }
        if right.len == 0 {
            return left;
        }
        if right.depth.get() == 0 && right.len() <= LAYER_MAX_OWN && left.len() >= right.len() * 4 {
            let own = Attrs::plain(right);
            let new = own.iter().filter(|attr| Attrs::find(left, attr.name).is_none()).count();
            let len = left.len() + new;
            let (right, left) = match left.depth.get() {
                LAYER_MAX_DEPTH.. => Attrs::gather(heap, right, left),
                _ => (right, left),
            };
            return Attrs::layer(heap, right, left, len);
        }
        if left.depth.get() == 0 && left.len() <= LAYER_MAX_OWN && right.len() >= left.len() * 4 {
            return Attrs::extend(heap, left, right);
        }
        let mut row = AttrsRow::new(heap, left.len() + right.len());
        merge(Attrs::once(left), Attrs::once(right), |attr| row.push(attr.copy()));
        row.finish(heap)
    }

    /// `left // right` of a small plain set and a larger one: what only the small one has, laid
    /// over the larger one.
    fn extend(heap: &mut Heap, left: Gc<Attrs>, right: Gc<Attrs>) -> Gc<Attrs> {
        let mut row = AttrsRow::new(heap, left.len());
        for attr in Attrs::plain(left) {
            if Attrs::find(right, attr.name).is_none() {
                row.push(attr.copy());
            }
        }
        if row.len() == 0 {
            row.abandon(heap);
            return right;
        }
        let own = row.finish(heap);
        let len = own.len() + right.len();
        let (own, under) = match right.depth.get() {
            LAYER_MAX_DEPTH.. => Attrs::gather(heap, own, right),
            _ => (own, right),
        };
        Attrs::layer(heap, own, under, len)
    }

    /// `first // (second // (third ...))`, without a set for each step on the way.
    pub(crate) fn update_all(heap: &mut Heap, sets: &[Gc<Attrs>]) -> Gc<Attrs> {
        let [rest @ .., last] = sets else {
            unreachable!("an update has operands");
        };
        let mut some = rest.iter().chain([last]).filter(|set| set.len != 0).copied();
        let Some(first) = some.next() else { return *last };
        let Some(second) = some.next() else { return first };
        let Some(third) = some.next() else { return Attrs::update(heap, first, second) };
        let over = |above: &mut dyn Iterator<Item = &'static Attr>, room, next: Gc<Attrs>| {
            let mut both = Vec::with_capacity(room + next.len());
            merge(above, Attrs::once(next), |attr| both.push(attr));
            both
        };
        let mut both = over(&mut Attrs::once(second), second.len(), third);
        for next in some {
            let room = both.len();
            both = over(&mut both.into_iter(), room, next);
        }
        if both.len() <= LAYER_MAX_OWN {
            let above = Attrs::from_sorted(heap, both.into_iter().map(Attr::copy));
            return Attrs::update(heap, first, above);
        }
        let mut row = AttrsRow::new(heap, first.len() + both.len());
        merge(Attrs::once(first), both.into_iter(), |attr| row.push(attr.copy()));
        row.finish(heap)
    }
}

/// The attributes of a set, sorted by symbol.
pub(crate) enum Once {
    Plain(std::slice::Iter<'static, Attr>),
    Merged(std::vec::IntoIter<&'static Attr>),
}

impl Iterator for Once {
    type Item = &'static Attr;

    #[inline]
    fn next(&mut self) -> Option<&'static Attr> {
        match self {
            Once::Plain(attrs) => attrs.next(),
            Once::Merged(attrs) => attrs.next(),
        }
    }
}

#[inline(always)]
fn find(attrs: &'static [Attr], name: Symbol) -> Option<&'static Attr> {
    if attrs.len() <= 8 {
        return attrs.iter().find(|attr| attr.name == name);
    }
    attrs.binary_search_by_key(&name, |attr| attr.name).ok().map(|at| &attrs[at])
}

/// `right` over `left`, both sorted.
#[inline]
fn merge<'a>(
    left: impl Iterator<Item = &'a Attr>,
    right: impl Iterator<Item = &'a Attr>,
    mut take: impl FnMut(&'a Attr),
) {
    let mut left = left.peekable();
    for attr in right {
        while let Some(first) = left.next_if(|first| first.name < attr.name) {
            take(first);
        }
        left.next_if(|first| first.name == attr.name);
        take(attr);
    }
    left.for_each(take);
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
        heap.tally.sets.add(self.len());
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
