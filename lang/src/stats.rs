//! What an evaluation made and did, counted: under the keys of C++ Nix's `NIX_SHOW_STATS`, where
//! floe has the thing that is counted. What it lacks is left out: it collects no garbage, and its
//! values lie in what holds them, so there is no number of them.

use serde::Serialize;

use crate::attrs::{Attr, Attrs};
use crate::heap::Made;
use crate::machine::Machine;
use crate::place::Place;
use crate::source::{Loc, SourceName};
use crate::symbol::Symbol;
use crate::value::{Env, Slot, Value};
use crate::watch::Counts;

/// Things made, their elements, and the bytes of both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Things {
    /// How many.
    pub number: u64,
    /// Their elements together.
    pub elements: u64,
    /// Bytes, headers included.
    pub bytes: u64,
}

impl Things {
    fn new(made: Made, header_bytes: usize, element_bytes: usize) -> Things {
        let Made { number, elements } = made;
        let bytes = number * header_bytes as u64 + elements * element_bytes as u64;
        Things { number, elements, bytes }
    }
}

/// Lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lists {
    /// Elements of all lists made.
    pub elements: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Uses of `++`.
    pub concats: u64,
}

/// Names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Symbols {
    /// How many the process knows.
    pub number: u64,
    /// The bytes of their text.
    pub bytes: u64,
}

/// Bytes of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Sizes {
    /// A frame without its slots.
    pub env: u64,
    /// A value.
    pub value: u64,
    /// A set without its attributes.
    pub bindings: u64,
    /// An attribute.
    pub attr: u64,
}

/// How often something at a place was called or selected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The function's name, null if it has none; attributes have no such field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Option<String>>,
    /// The file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// How often.
    pub count: u64,
}

/// What an evaluation made and did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// Frames of variables.
    pub envs: Things,
    /// Nodes of compiled code.
    pub nr_exprs: u64,
    /// Lists.
    pub list: Lists,
    /// Names.
    pub symbols: Symbols,
    /// Attribute sets.
    pub sets: Things,
    /// How large they are.
    pub sizes: Sizes,
    /// Uses of `//`.
    pub nr_op_updates: u64,
    /// Promises made.
    pub nr_thunks: u64,
    /// Values that were known where a promise could have been made.
    pub nr_avoided: u64,
    /// Selections of attributes.
    pub nr_lookups: u64,
    /// Calls of builtins.
    pub nr_prim_op_calls: u64,
    /// Calls of functions.
    pub nr_function_calls: u64,
    /// floe's own: bytes of the heap that holds all of it.
    pub heap_bytes: u64,
    /// Calls of each builtin, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primops: Option<std::collections::BTreeMap<String, u64>>,
    /// Calls of each function, the most called first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub functions: Option<Vec<Count>>,
    /// Selections of each attribute, by where it is defined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Vec<Count>>,
}

impl Machine {
    fn count_at(&self, loc: Loc, name: Option<Option<String>>, count: u64) -> Count {
        let place = self.sources.line_column(loc);
        let file = place.and_then(|(source, ..)| match &source.name {
            SourceName::File(path) => Some(path.display().to_string()),
            _ => None,
        });
        let (line, column) = (place.map(|place| place.1), place.map(|place| place.2));
        Count { name, file, line, column, count }
    }

    /// What was counted so far; calls only if they were watched.
    pub(crate) fn statistics(&self) -> Statistics {
        let none = Counts::default();
        let counts = self.watch.as_ref().and_then(|watch| watch.counts.as_ref()).unwrap_or(&none);
        let mut envs = self.heap.tally.envs;
        envs.number += counts.functions;
        envs.elements += counts.slots;
        let list_elements = self.heap.tally.list_elements;
        let (names, bytes) = Symbol::all_known();
        let by_count = |mut list: Vec<Count>| {
            list.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| place(a).cmp(&place(b))));
            list
        };
        let each = counts.each.as_ref();
        Statistics {
            envs: Things::new(envs, size_of::<Env>(), size_of::<Slot>()),
            nr_exprs: self.tables.nodes,
            list: Lists {
                elements: list_elements,
                bytes: list_elements * size_of::<Place>() as u64,
                concats: self.tally.concats,
            },
            symbols: Symbols { number: names, bytes },
            sets: Things::new(self.heap.tally.sets, size_of::<Attrs>(), size_of::<Attr>()),
            sizes: Sizes {
                env: size_of::<Env>() as u64,
                value: size_of::<Value>() as u64,
                bindings: size_of::<Attrs>() as u64,
                attr: size_of::<Attr>() as u64,
            },
            nr_op_updates: self.tally.updates,
            nr_thunks: self.tally.thunks,
            nr_avoided: self.tally.avoided,
            nr_lookups: counts.lookups,
            nr_prim_op_calls: counts.prims,
            nr_function_calls: counts.functions,
            heap_bytes: self.heap.used_bytes(),
            primops: each.map(|each| {
                each.prims.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
            }),
            functions: each.map(|each| {
                let one = |(loc, (name, count)): (&Loc, &(Option<Symbol>, u64))| {
                    self.count_at(*loc, Some(name.map(|name| name.to_string())), *count)
                };
                by_count(each.functions.iter().map(one).collect())
            }),
            attributes: each.map(|each| {
                let one = |(loc, count): (&Loc, &u64)| self.count_at(*loc, None, *count);
                by_count(each.attributes.iter().map(one).collect())
            }),
        }
    }
}

fn place(count: &Count) -> (&Option<String>, Option<u32>, Option<u32>) {
    (&count.file, count.line, count.column)
}
