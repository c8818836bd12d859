//! Interned names: equal bytes have equal [`Symbol`]s. Only identity and text live here, no meaning.
//!
//! One table serves the whole process, so that syntax trees, values and caches of several sessions
//! can share names. Symbols are never freed. Looking up a symbol's text takes no lock.

use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, OnceLock, RwLock};

use hashbrown::HashTable;
use rustc_hash::FxHasher;

/// An interned byte string: a name of a variable or of an attribute.
///
/// The derived order is that of interning; use [`Symbol::as_bytes`] for Nix's order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(NonZeroU32);

const SHARDS: usize = 16;
/// The first chunk of the id table holds this many names; each further one twice as many.
const FIRST_CHUNK: u32 = 1024;
const CHUNKS: usize = 22;
/// Bytes of names are allocated in blocks of this size and never moved.
const BLOCK_BYTES: usize = 64 * 1024;

type Shard = HashTable<(&'static [u8], u32)>;
type Chunk = Box<[OnceLock<&'static [u8]>]>;

struct Interner {
    shards: [RwLock<Shard>; SHARDS],
    texts: [OnceLock<Chunk>; CHUNKS],
    next: AtomicU32,
    block: Mutex<&'static mut [u8]>,
}

static INTERNER: LazyLock<Interner> = LazyLock::new(|| {
    let interner = Interner {
        shards: std::array::from_fn(|_| RwLock::new(HashTable::new())),
        texts: std::array::from_fn(|_| OnceLock::new()),
        next: AtomicU32::new(0),
        block: Mutex::new(&mut []),
    };
    for (index, name) in WELL_KNOWN.iter().enumerate() {
        let id = interner.intern(name.as_bytes());
        assert_eq!(id as usize, index, "well-known names are distinct");
    }
    interner
});

/// Which chunk holds `id`, at which index, and how long that chunk is.
fn locate(id: u32) -> (usize, usize, usize) {
    let chunk = (id / FIRST_CHUNK + 1).ilog2();
    let start = ((1u32 << chunk) - 1) * FIRST_CHUNK;
    (chunk as usize, (id - start) as usize, (FIRST_CHUNK << chunk) as usize)
}

impl Interner {
    fn intern(&self, name: &[u8]) -> u32 {
        let hasher = BuildHasherDefault::<FxHasher>::default();
        let hash = hasher.hash_one(name);
        let shard = &self.shards[(hash >> 32) as usize % SHARDS];
        let found = |table: &Shard| table.find(hash, |(text, _)| *text == name).map(|(_, id)| *id);
        if let Some(id) = found(&shard.read().expect("interner is never poisoned")) {
            return id;
        }
        let mut table = shard.write().expect("interner is never poisoned");
        if let Some(id) = found(&table) {
            return id;
        }
        let text = self.keep(name);
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (chunk, index, len) = locate(id);
        let chunk = self.texts[chunk].get_or_init(|| (0..len).map(|_| OnceLock::new()).collect());
        chunk[index].set(text).expect("each id is handed out once");
        table.insert_unique(hash, (text, id), |(text, _)| hasher.hash_one(*text));
        id
    }

    /// Copies `name` to where it stays for the life of the process.
    fn keep(&self, name: &[u8]) -> &'static [u8] {
        if name.len() > BLOCK_BYTES / 16 {
            return Box::leak(name.into());
        }
        let mut block = self.block.lock().expect("interner is never poisoned");
        if block.len() < name.len() {
            *block = Box::leak(vec![0; BLOCK_BYTES].into());
        }
        let (here, rest) = std::mem::take(&mut *block).split_at_mut(name.len());
        *block = rest;
        here.copy_from_slice(name);
        here
    }

    fn text(&self, id: u32) -> &'static [u8] {
        let (chunk, index, _) = locate(id);
        self.texts[chunk]
            .get()
            .and_then(|chunk| chunk[index].get())
            .expect("symbols come from intern")
    }
}

impl Symbol {
    /// The symbol of `name`, made if it is new.
    pub fn intern(name: impl AsRef<[u8]>) -> Symbol {
        Symbol::numbered(INTERNER.intern(name.as_ref()))
    }

    /// The symbol of a number that [`Symbol::number`] gave in this process.
    pub(crate) const fn numbered(number: u32) -> Symbol {
        // One more, so that an optional symbol takes no more room.
        match NonZeroU32::new(number + 1) {
            Some(one_more) => Symbol(one_more),
            None => unreachable!(),
        }
    }

    /// Its number among all of this process.
    pub(crate) const fn number(self) -> u32 {
        self.0.get() - 1
    }

    /// How many names the process knows, and the bytes of their text.
    pub(crate) fn all_known() -> (u64, u64) {
        let number = INTERNER.next.load(Ordering::Relaxed);
        let sizes = INTERNER.shards.iter().map(|shard| {
            let table = shard.read().expect("interner is never poisoned");
            table.iter().map(|(text, _)| text.len() as u64).sum::<u64>()
        });
        (u64::from(number), sizes.sum())
    }

    /// The name.
    pub fn as_bytes(self) -> &'static [u8] {
        INTERNER.text(self.number())
    }

    /// The name for messages; bytes that are no UTF-8 are replaced.
    pub fn to_text(self) -> std::borrow::Cow<'static, str> {
        String::from_utf8_lossy(self.as_bytes())
    }

    /// A dense number, for tables indexed by symbol.
    pub fn index(self) -> usize {
        self.number() as usize
    }
}

/// As messages show a name, and C++ Nix's do: in quotes where it is no identifier.
impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = Vec::new();
        crate::syntax::print::identifier(&mut shown, self.as_bytes());
        f.write_str(&String::from_utf8_lossy(&shown))
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

/// Where a name stands among the well-known ones.
const fn well_known_index(name: &str) -> u32 {
    let mut index = 0;
    while !same(WELL_KNOWN[index].as_bytes(), name.as_bytes()) {
        index += 1;
    }
    index as u32
}

const fn same(left: &[u8], right: &[u8]) -> bool {
    let mut at = 0;
    while at < left.len() && at < right.len() && left[at] == right[at] {
        at += 1;
    }
    at == left.len() && at == right.len()
}

macro_rules! well_known {
    ($($constant:ident = $name:literal,)*) => {
        const WELL_KNOWN: &[&str] = &[$($name),*];
        /// Names that the language itself knows.
        impl Symbol {
            $(#[doc = concat!("`", $name, "`")] pub const $constant: Symbol = Symbol::numbered(well_known_index($name));)*
        }
    };
}

// The order in which C++ Nix interns its own names: sets are compared and forced in it.
well_known! {
    WITH = "<with>",
    OUT_PATH = "outPath",
    DRV_PATH = "drvPath",
    TYPE = "type",
    META = "meta",
    NAME = "name",
    VALUE = "value",
    SYSTEM = "system",
    OVERRIDES = "__overrides",
    OUTPUTS = "outputs",
    OUTPUT_NAME = "outputName",
    IGNORE_NULLS = "__ignoreNulls",
    FILE = "file",
    LINE = "line",
    COLUMN = "column",
    FUNCTOR = "__functor",
    TO_STRING = "__toString",
    RIGHT = "right",
    WRONG = "wrong",
    STRUCTURED_ATTRS = "__structuredAttrs",
    JSON = "__json",
    ALLOWED_REFERENCES = "allowedReferences",
    ALLOWED_REQUISITES = "allowedRequisites",
    DISALLOWED_REFERENCES = "disallowedReferences",
    DISALLOWED_REQUISITES = "disallowedRequisites",
    MAX_SIZE = "maxSize",
    MAX_CLOSURE_SIZE = "maxClosureSize",
    BUILDER = "builder",
    ARGS = "args",
    CONTENT_ADDRESSED = "__contentAddressed",
    IMPURE = "__impure",
    OUTPUT_HASH = "outputHash",
    OUTPUT_HASH_ALGO = "outputHashAlgo",
    OUTPUT_HASH_MODE = "outputHashMode",
    RECURSE_FOR_DERIVATIONS = "recurseForDerivations",
    DESCRIPTION = "description",
    SELF = "self",
    EMPTY = "",
    START_SET = "startSet",
    OPERATOR = "operator",
    KEY = "key",
    PATH = "path",
    PREFIX = "prefix",
    OUTPUT_SPECIFIED = "outputSpecified",
    SUB = "__sub",
    LESS_THAN = "__lessThan",
    MUL = "__mul",
    DIV = "__div",
    OR = "or",
    FIND_FILE = "__findFile",
    NIX_PATH = "__nixPath",
    BODY = "body",
    CUR_POS = "__curPos",
    ERROR = "error",
    LEFT = "left",
    SUCCESS = "success",
    VERSION = "version",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_are_equal_symbols() {
        let a = Symbol::intern("some name");
        assert_eq!(a, Symbol::intern(b"some name"));
        assert_ne!(a, Symbol::intern("some other name"));
        assert_eq!(a.as_bytes(), b"some name");
        assert_eq!(Symbol::OUT_PATH, Symbol::intern("outPath"));
        assert_eq!(Symbol::EMPTY.as_bytes(), b"");
    }

    #[test]
    fn chunks_tile_the_ids() {
        for id in [0, 1023, 1024, 3071, 3072, 7167, 7168, 4_000_000] {
            let (chunk, index, len) = locate(id);
            assert!(chunk < CHUNKS && index < len, "{id}");
        }
        assert_eq!(locate(1023), (0, 1023, 1024));
        assert_eq!(locate(1024), (1, 0, 2048));
        assert_eq!(locate(3072), (2, 0, 4096));
    }

    #[test]
    fn threads_agree() {
        let long = vec![b'x'; BLOCK_BYTES];
        let all: Vec<Vec<Symbol>> = std::thread::scope(|scope| {
            let run = || (0..5000).map(|i| Symbol::intern(format!("threads agree {i}"))).collect();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(all[0][4999].as_bytes(), b"threads agree 4999");
        assert_eq!(Symbol::intern(&long).as_bytes(), long);
    }
}
