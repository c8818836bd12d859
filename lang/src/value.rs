//! Values as they lie in the heap: 16 bytes each, thunks updated in place, sets as slices
//! sorted by symbol, in layers. Layout only; how values behave is the machine's affair.

use std::cell::Cell;
use std::ptr::NonNull;

use crate::context::Ctx;
use crate::heap::{Gc, Heap};
use crate::source::Loc;
use crate::symbol::Symbol;

/// A place that holds a value, possibly still a thunk.
pub(crate) type Slot = Cell<Value>;

/// A value. `Thunk` and `Unset` never leave `force`.
///
/// The wide tag keeps every part aligned: with one of a byte, values are copied in odd pieces
/// that the processor cannot forward from store to load.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Value {
    /// A slot that is not filled yet (only while a recursive frame is being built).
    Unset,
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Gc<Str>),
    /// An absolute, normalised path.
    Path(Gc<Str>),
    List(List),
    Attrs(Gc<Attrs>),
    /// A function: the index of its code, and its environment.
    Lambda(LambdaRef),
    /// A builtin by its index in the table.
    Prim(u16),
    /// A builtin with some of its arguments.
    PrimApp(Gc<PrimApp>),
    Thunk(Gc<Thunk>),
}

/// A list: a part of a row of slots.
#[derive(Clone, Copy)]
#[repr(C, packed(4))]
pub(crate) struct List {
    len: u32,
    at: NonNull<Slot>,
}

/// A function's code and environment.
#[derive(Clone, Copy)]
#[repr(C, packed(4))]
pub(crate) struct LambdaRef {
    /// Index in the table of functions.
    pub(crate) code: u32,
    env: Gc<Env>,
}

/// A builtin and the arguments it already has.
pub(crate) struct PrimApp {
    pub(crate) prim: u16,
    pub(crate) args: &'static [Value],
}

/// A computation and then its result.
pub(crate) struct Thunk(pub(crate) Cell<State>);

/// What a thunk is.
#[derive(Clone, Copy)]
pub(crate) enum State {
    Done(Value),
    /// Code by index, and its environment.
    Suspended(LambdaRef),
    /// A function and its argument.
    App(Gc<[Value; 2]>),
    /// A function and two arguments.
    App2(Gc<[Value; 3]>),
    /// A function and a number (an element of `genList`).
    Generated(Part<Value>),
    /// An element of a list that a function is applied to (`map`).
    Mapped(Part<(Value, List)>),
    /// An attribute of a set that a function is applied to (`mapAttrs`).
    MappedAttr(Part<(Value, &'static [Attr])>),
    /// Being computed.
    Black,
}

/// One of many thunks that share what they need but for a number.
#[repr(C, packed(4))]
pub(crate) struct Part<T: 'static> {
    index: u32,
    whole: Gc<T>,
}

impl<T> Clone for Part<T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Part<T> {}

impl<T> Part<T> {
    #[inline(always)]
    pub(crate) fn new(whole: Gc<T>, index: usize) -> Part<T> {
        let index = u32::try_from(index).expect("lists and sets are shorter than 2^32");
        Part { index, whole }
    }
    #[inline(always)]
    pub(crate) fn index(self) -> usize {
        self.index as usize
    }
    #[inline(always)]
    pub(crate) fn whole(self) -> Gc<T> {
        self.whole
    }
}

const _: () = assert!(size_of::<Value>() == 16 && size_of::<State>() == 16);

impl LambdaRef {
    #[inline(always)]
    pub(crate) fn new(code: u32, env: Gc<Env>) -> Self {
        LambdaRef { code, env }
    }
    #[inline(always)]
    pub(crate) fn env(self) -> Gc<Env> {
        self.env
    }
}

impl List {
    pub(crate) const EMPTY: List = List { len: 0, at: NonNull::dangling() };

    #[inline(always)]
    pub(crate) fn from_slots(slots: &'static [Slot]) -> List {
        let len = u32::try_from(slots.len()).expect("lists are shorter than 2^32");
        List { len, at: NonNull::from(slots).cast() }
    }
    #[inline(always)]
    pub(crate) fn len(self) -> usize {
        self.len as usize
    }
    #[inline(always)]
    pub(crate) fn slots(self) -> &'static [Slot] {
        // SAFETY: made by `from_slots` from a slice of the heap, or empty.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.len as usize) }
    }
}

/// Bytes and their context.
#[repr(C)]
pub(crate) struct Str {
    pub(crate) ctx: Ctx,
    len: u32,
    first: [u8; 0],
}

impl Str {
    #[inline]
    pub(crate) fn bytes(this: Gc<Str>) -> &'static [u8] {
        // SAFETY: `alloc` put `len` initialised bytes behind the header, in the same block.
        unsafe {
            let at = std::ptr::addr_of!((*this.as_ptr()).first).cast::<u8>();
            std::slice::from_raw_parts(at, this.len as usize)
        }
    }

    /// A string from pieces that are copied one after the other.
    pub(crate) fn concat(heap: &mut Heap, pieces: &[&[u8]], ctx: Ctx) -> Gc<Str> {
        let len: usize = pieces.iter().map(|piece| piece.len()).sum();
        let len32 = u32::try_from(len).expect("strings are shorter than 4 GiB");
        let at = heap.raw(size_of::<Str>() + len).cast::<Str>();
        // SAFETY: fresh memory for the header and `len` bytes; the pieces sum up to `len`.
        unsafe {
            at.write(Str { ctx, len: len32, first: [] });
            let mut to = std::ptr::addr_of_mut!((*at.as_ptr()).first).cast::<u8>();
            for piece in pieces {
                std::ptr::copy_nonoverlapping(piece.as_ptr(), to, piece.len());
                to = to.add(piece.len());
            }
            Gc::new(at)
        }
    }

    pub(crate) fn alloc(heap: &mut Heap, bytes: &[u8], ctx: Ctx) -> Gc<Str> {
        Str::concat(heap, &[bytes], ctx)
    }
}

/// A frame of variables and the frame around it.
#[repr(C)]
pub(crate) struct Env {
    up: Option<Gc<Env>>,
    first: [Slot; 0],
}

impl Env {
    /// A frame of `len` unset slots.
    #[inline(always)]
    pub(crate) fn alloc(heap: &mut Heap, up: Option<Gc<Env>>, len: usize) -> Gc<Env> {
        let at = heap.raw(size_of::<Env>() + len * size_of::<Slot>()).cast::<Env>();
        // SAFETY: fresh memory for the header and `len` slots, all written here.
        unsafe {
            at.write(Env { up, first: [] });
            let first = std::ptr::addr_of_mut!((*at.as_ptr()).first).cast::<Slot>();
            for i in 0..len {
                first.add(i).write(Cell::new(Value::Unset));
            }
            Gc::new(at)
        }
    }

    #[inline(always)]
    pub(crate) fn slot(this: Gc<Env>, index: u32) -> &'static Slot {
        // SAFETY: the compiler gives out only indices below the length of the frame that it
        // sized itself, for the very level this frame stands on.
        unsafe {
            let first = std::ptr::addr_of!((*this.as_ptr()).first).cast::<Slot>();
            &*first.add(index as usize)
        }
    }

    /// The frame `level` steps out.
    #[inline(always)]
    pub(crate) fn up(this: Gc<Env>, level: u32) -> Gc<Env> {
        let mut env = this;
        for _ in 0..level {
            env = env.get().up.expect("the compiler counts levels within the chain of frames");
        }
        env
    }
}

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

/// A set: attributes sorted by symbol, over the set that `//` extended, if any.
pub(crate) struct Attrs {
    own: &'static [Attr],
    under: Option<Gc<Attrs>>,
    /// Number of layers below.
    depth: u32,
    /// Number of names in all layers.
    total: u32,
    flat: Cell<Option<Gc<Attrs>>>,
}

/// With at most this many attributes on the right, and many more on the left, `//` layers.
const LAYER_MAX_OWN: usize = 16;
const LAYER_MAX_DEPTH: u32 = 8;

impl Attrs {
    /// A set of attributes sorted by symbol, each name once.
    pub(crate) fn from_sorted(heap: &mut Heap, own: &'static [Attr]) -> Gc<Attrs> {
        debug_assert!(own.is_sorted_by(|a, b| a.name < b.name));
        let total = own.len() as u32;
        heap.alloc(Attrs { own, under: None, depth: 0, total, flat: Cell::new(None) })
    }

    /// A set of attributes in any order, each name once.
    pub(crate) fn from_vec(heap: &mut Heap, mut attrs: Vec<Attr>) -> Gc<Attrs> {
        attrs.sort_unstable_by_key(|attr| attr.name);
        let own = heap.alloc_slice(attrs.into_iter());
        Attrs::from_sorted(heap, own)
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.total as usize
    }

    /// The attribute of this name.
    #[inline]
    pub(crate) fn find(this: Gc<Attrs>, name: Symbol) -> Option<&'static Attr> {
        let mut layer = this.get();
        loop {
            let own = layer.own;
            if own.len() <= 8 {
                if let Some(attr) = own.iter().find(|attr| attr.name == name) {
                    return Some(attr);
                }
            } else if let Ok(at) = own.binary_search_by_key(&name, |attr| attr.name) {
                return Some(&own[at]);
            }
            layer = layer.under?.get();
        }
    }

    /// All attributes, sorted by symbol.
    #[inline]
    pub(crate) fn all(this: Gc<Attrs>, heap: &mut Heap) -> &'static [Attr] {
        if this.under.is_none() {
            return this.get().own;
        }
        Attrs::flatten(this, heap)
    }

    fn flatten(this: Gc<Attrs>, heap: &mut Heap) -> &'static [Attr] {
        if let Some(flat) = this.flat.get() {
            return flat.get().own;
        }
        let mut layers = Vec::new();
        let mut layer = this;
        let base = loop {
            layers.push(layer.get().own);
            let Some(under) = layer.under else {
                break &[][..];
            };
            if let Some(flat) = under.flat.get() {
                break flat.get().own;
            }
            layer = under;
        };
        let mut merged: Vec<&Attr> = base.iter().collect();
        for own in layers.into_iter().rev() {
            merged = merge(&merged, own);
        }
        let own = heap.alloc_slice(merged.into_iter().map(Attr::copy));
        let flat = Attrs::from_sorted(heap, own);
        this.flat.set(Some(flat));
        own
    }

    /// `left // right`
    pub(crate) fn update(heap: &mut Heap, left: Gc<Attrs>, right: Gc<Attrs>) -> Gc<Attrs> {
        if left.total == 0 {
            return right;
        }
        if right.total == 0 {
            return left;
        }
        if right.under.is_none()
            && right.own.len() <= LAYER_MAX_OWN
            && left.len() >= right.own.len() * 4
            && left.depth < LAYER_MAX_DEPTH
        {
            let new = right.own.iter().filter(|a| Attrs::find(left, a.name).is_none()).count();
            return heap.alloc(Attrs {
                own: right.get().own,
                under: Some(left),
                depth: left.depth + 1,
                total: left.total + new as u32,
                flat: Cell::new(None),
            });
        }
        let l = Attrs::all(left, heap);
        let r = Attrs::all(right, heap);
        let l: Vec<&Attr> = l.iter().collect();
        let merged = merge(&l, r);
        let own = heap.alloc_slice(merged.into_iter().map(Attr::copy));
        Attrs::from_sorted(heap, own)
    }
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
