//! What build systems speak of: keys, and values that are small file trees or failures. Knows no task and no store.
//!
//! Source: keys and values are those of Build Systems à la Carte (JFP 2020, section 3.1). A value is a tree of files
//! rather than a number, so that three things can be said which the paper leaves out: that a task read *one file* of an
//! input, that a file was *absent*, and that an output holds the *names* of other outputs (as RUNPATH and `#!` do).

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Who is built. Nodes are numbered so that each refers to smaller numbers alone, hence there are no cycles.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Key {
    /// The value that never stands still, on which volatile tasks depend (JFP section 8.3).
    World,
    /// The text of a node's script, an input (JFP section 8.8, self-tracking).
    Script(u16),
    /// A source or the outputs of a rule.
    Node(u16),
    /// One file of a rule's outputs as a key of its own (JFP section 8.7, multiple outputs).
    File(u16, File),
}

/// The name of a file in a value: a small number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct File(pub u8);

/// A content hash. 64 bits suffice for models.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Digest(pub u64);

/// The name under which a value can be found and which an output may hold: the model of a store path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Name(pub u64);

/// The content of a file: what it says, and the names that it holds.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Text {
    /// Everything but the names.
    pub word: u64,
    /// The names that occur, in order of occurrence.
    pub names: Vec<Name>,
}

/// A value: a tree, or the failure of the key where it began (JFP section 8.1: failure as a value).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Value {
    /// The task succeeded with these files.
    Tree(BTreeMap<File, Text>),
    /// The task of this key failed, here or further down.
    Failed(Key),
}

/// What a store knows of a key without its value: enough to compare and to refer to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Entry {
    /// The hash of the value.
    pub digest: Digest,
    /// The name under which the value is found.
    pub name: Name,
}

/// The hash of anything.
pub fn hash(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

impl Value {
    /// A tree of the given words, without names: sources are made so.
    pub fn words(words: impl IntoIterator<Item = u64>) -> Self {
        let text = |word| Text { word, names: Vec::new() };
        let numbered = words.into_iter().enumerate();
        Value::Tree(numbered.map(|(at, word)| (File(at as u8), text(word))).collect())
    }

    /// The content hash of this value.
    pub fn digest(&self) -> Digest {
        Digest(hash(self))
    }
}
