//! Values as they lie in the heap: 16 bytes each, thunks updated in place. Sets are in `attrs`.
//! Layout only; how values behave is the machine's affair.

use std::cell::Cell;
use std::ptr::NonNull;

pub(crate) use crate::attrs::{Attr, Attrs};
use crate::context::Ctx;
pub(crate) use crate::frames::Env;
use crate::heap::{Gc, Heap};
use crate::place::Place;
use crate::symbol::Symbol;
use crate::track::Kept;

/// A variable of a frame: a value, possibly still a thunk.
pub(crate) type Slot = Cell<Value>;

/// A value. `Thunk` never leaves `force`; the variants behind it never leave a frame.
///
/// The wide tag keeps every part aligned: with one of a byte, values are copied in odd pieces
/// that the processor cannot forward from store to load.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Value {
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
    /// A slot that is not filled yet (only while a recursive frame is being built).
    Unset,
    /// A promise that nothing but its slot knows: it becomes a thunk when another place is to
    /// share it.
    Later(LambdaRef),
    /// Such a promise while it is computed.
    Running,
}

/// A list: a part of a row of places.
#[derive(Clone, Copy)]
#[repr(C, packed(4))]
pub(crate) struct List {
    len: u32,
    at: NonNull<Place>,
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
    /// A function and a number (an element of `genList`).
    Generated(Part<Value>),
    /// An element of a list that a function is applied to (`map`).
    Mapped(Part<(Value, List)>),
    /// An attribute of a set that a function is applied to (`mapAttrs`).
    MappedAttr(Part<(Value, &'static [Attr])>),
    /// A name and its values in several sets that a function is applied to (`zipAttrsWith`).
    Zipped(Part<Zip>),
    /// Being computed.
    Black,
    /// Failed: the index of the error in the machine's table.
    Failed(u32),
    /// Computed, and resting on what may change.
    Kept(Gc<Kept>),
}

/// One of many thunks that share what they need but for a number.
#[repr(C, packed(4))]
pub(crate) struct Part<T: 'static> {
    index: u32,
    whole: Gc<T>,
}

/// What `zipAttrsWith` applies a function to.
pub(crate) struct Zip {
    pub(crate) func: Value,
    /// Names, and where in `values` their values end; those of the next begin there.
    pub(crate) groups: &'static [(Symbol, u32)],
    pub(crate) values: &'static [Place],
}

impl Zip {
    /// A name and the list of its values.
    pub(crate) fn group(&self, index: usize) -> (Symbol, List) {
        let start = index.checked_sub(1).map_or(0, |before| self.groups[before].1);
        let (name, end) = self.groups[index];
        (name, List::from_places(&self.values[start as usize..end as usize]))
    }
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
const _: () = assert!(size_of::<Str>() == 12);

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
    pub(crate) fn from_places(places: &'static [Place]) -> List {
        let len = u32::try_from(places.len()).expect("lists are shorter than 2^32");
        List { len, at: NonNull::from(places).cast() }
    }
    #[inline(always)]
    pub(crate) fn len(self) -> usize {
        self.len as usize
    }
    #[inline(always)]
    pub(crate) fn places(self) -> &'static [Place] {
        // SAFETY: made by `from_places` from a slice of the heap, or empty.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.len as usize) }
    }
}

/// Bytes and their context.
#[repr(C)]
pub(crate) struct Str {
    pub(crate) ctx: Ctx,
    len: u32,
    /// The same bytes as a name, once they were one.
    pub(crate) name: Cell<Option<Symbol>>,
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
            at.write(Str { ctx, len: len32, name: Cell::new(None), first: [] });
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
