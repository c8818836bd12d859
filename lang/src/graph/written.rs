//! Instructions as bytes: what many derivations are made of, and few are asked about again, takes a fifth of the
//! room so, and can be laid aside. What they mean is the graph's affair.

use std::hash::BuildHasher;
use std::io;
use std::sync::Arc;

use postcard::take_from_bytes;
use rustc_hash::FxBuildHasher;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::DrvId;
use super::node::{InputDrv, InputSrc, Instructions, Segment, SymStr, named};
use crate::pages::Shelf;
use crate::rows::append;
use crate::symbol::Symbol;
use crate::table::Table;

/// Where instructions begin among all that were written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(u32);

/// All instructions that were written, one after another.
#[derive(Default)]
pub(super) struct Written {
    bytes: Table<u8>,
    /// What is being written.
    draft: Vec<u8>,
    /// Strings that were written last, of those that share a place the last one, and where they begin.
    recent: Vec<Option<(SymStr, u32)>>,
}

/// A string, or where an equal one begins.
#[derive(Serialize, Deserialize)]
enum Text {
    Here(Vec<Segment>),
    There(u32),
}

/// The same, to be written.
#[derive(Serialize)]
enum Writing<'a> {
    Here(&'a [Segment]),
    There(u32),
}

/// So many recent strings are known by where their segments lie in memory: evaluation shares what comes again.
const RECENT: usize = 1 << 12;

/// To name another place takes about as much room as so many bytes.
const SMALL_BYTES: usize = 5;

impl Written {
    /// Writes instructions.
    pub(super) fn add(&mut self, instructions: &Instructions) -> Place {
        let Instructions { system, builder, args, env, input_drvs, input_srcs } = instructions;
        let start = self.len();
        self.put(input_drvs);
        self.put(input_srcs);
        self.put_text(system);
        self.put_text(builder);
        self.put(&args.len());
        args.iter().for_each(|arg| self.put_text(arg));
        self.put(&env.len());
        for (name, value) in env {
            self.put(&name.number());
            self.put_text(value);
        }
        self.bytes.extend(self.draft.drain(..));
        Place(start)
    }

    /// Where the next byte will stand.
    fn len(&self) -> u32 {
        let len = self.bytes.len() + self.draft.len();
        u32::try_from(len).expect("an evaluation ends before its instructions take 4 GiB")
    }

    fn put(&mut self, value: &impl Serialize) {
        append(&mut self.draft, value);
    }

    fn put_text(&mut self, string: &SymStr) {
        let is_small = match &*string.0 {
            [] => true,
            [Segment::Text(bytes)] => bytes.len() <= SMALL_BYTES,
            _ => false,
        };
        if is_small {
            return self.put(&Writing::Here(&string.0));
        }
        if self.recent.is_empty() {
            self.recent.resize_with(RECENT, || None);
        }
        // The upper bits are the better ones.
        let hash = FxBuildHasher.hash_one(Arc::as_ptr(&string.0).cast::<Segment>());
        let at = (hash >> 52) as usize % RECENT;
        let known = self.recent[at].as_ref().filter(|(known, _)| Arc::ptr_eq(&known.0, &string.0));
        match known {
            Some(&(_, place)) => self.put(&Writing::There(place)),
            None => {
                self.recent[at] = Some((string.clone(), self.len()));
                self.put(&Writing::Here(&string.0));
            }
        }
    }

    /// The instructions at a place.
    pub(super) fn instructions(&self, place: Place) -> Instructions {
        let mut reading = self.at(place.0);
        Instructions {
            input_drvs: reading.take(),
            input_srcs: reading.take(),
            system: reading.text(),
            builder: reading.text(),
            args: reading.many(Reading::text),
            env: reading.many(|reading| (Symbol::numbered(reading.take()), reading.text())),
        }
    }

    /// The derivations that those at a place name.
    pub(super) fn inputs(&self, place: Place) -> Vec<DrvId> {
        let mut reading = self.at(place.0);
        let (drvs, srcs): (Vec<InputDrv>, Vec<InputSrc>) = (reading.take(), reading.take());
        named(&drvs, &srcs).collect()
    }

    fn at(&self, place: u32) -> Reading<'_> {
        Reading { all: self, rest: self.bytes.tail(place as usize) }
    }

    /// Lays everything aside.
    ///
    /// # Errors
    /// When there is no room in the file: then it stays in memory.
    pub(super) fn lay_aside(&mut self, shelf: &mut Shelf) -> io::Result<()> {
        self.recent = Vec::new();
        self.draft = Vec::new();
        self.bytes.lay_aside(shelf)
    }
}

/// What was written, from some place on.
struct Reading<'a> {
    all: &'a Written,
    rest: &'a [u8],
}

impl Reading<'_> {
    fn take<T: DeserializeOwned>(&mut self) -> T {
        let (value, rest) = take_from_bytes(self.rest).expect("it was written here");
        self.rest = rest;
        value
    }

    fn many<T>(&mut self, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count: usize = self.take();
        (0..count).map(|_| one(self)).collect()
    }

    fn text(&mut self) -> SymStr {
        match self.take() {
            Text::Here(segments) => SymStr(segments.into()),
            Text::There(place) => self.all.at(place).text(),
        }
    }
}

#[cfg(test)]
mod tests {
    use floe_core::path::StorePath;
    use proptest::prelude::*;

    use super::super::SourceId;
    use super::super::node::Picked;
    use super::*;

    fn segments() -> impl Strategy<Value = Segment> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Segment::Text(bytes.into())),
            (any::<u32>(), any::<u32>()).prop_map(|(drv, at)| Segment::Output(DrvId(drv), at)),
            any::<u32>().prop_map(|drv| Segment::DrvPath(DrvId(drv))),
            any::<u32>().prop_map(|id| Segment::Source(SourceId(id))),
        ]
    }

    fn sources() -> impl Strategy<Value = InputSrc> {
        prop_oneof![
            any::<u32>().prop_map(|id| InputSrc::Source(SourceId(id))),
            any::<u32>().prop_map(|drv| InputSrc::DrvFile(DrvId(drv))),
            any::<[u8; 20]>().prop_map(|digest| {
                InputSrc::Path(StorePath::new(&digest, "source").expect("a path"))
            }),
        ]
    }

    /// Strings of which some are the same piece of memory, as evaluation has them.
    fn strings() -> impl Strategy<Value = Vec<SymStr>> {
        let one = prop::collection::vec(segments(), 0..4).prop_map(|all| SymStr(all.into()));
        prop::collection::vec(one, 1..8)
    }

    fn drvs() -> impl Strategy<Value = InputDrv> {
        (any::<u32>(), prop::collection::vec(any::<u32>(), 0..4))
            .prop_map(|(drv, outputs)| InputDrv { drv: DrvId(drv), outputs: Picked::from(outputs) })
    }

    type Made = (Vec<InputDrv>, Vec<InputSrc>, Vec<usize>, Vec<(u8, usize)>);

    fn made() -> impl Strategy<Value = Vec<Made>> {
        let one = (
            prop::collection::vec(drvs(), 0..4),
            prop::collection::vec(sources(), 0..4),
            prop::collection::vec(any::<usize>(), 2..6),
            prop::collection::vec((any::<u8>(), any::<usize>()), 0..6),
        );
        prop::collection::vec(one, 1..20)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn instructions_are_read_as_they_were_written(strings in strings(), made in made(), aside in any::<usize>()) {
            let string = |at: &usize| strings[at % strings.len()].clone();
            let mut shelf = Shelf::new(tempfile::tempfile().expect("a file")).expect("a shelf");
            let mut written = Written::default();
            // Less is not worth laying aside.
            let long = SymStr::text(&[7; 300 << 10]);
            let first = Instructions { system: long.clone(), builder: long, ..Default::default() };
            let mut all = vec![(written.add(&first), first)];
            for (nth, (input_drvs, input_srcs, texts, env)) in made.into_iter().enumerate() {
                let name = |name: &u8| Symbol::intern(format!("variable-{name}"));
                let instructions = Instructions {
                    system: string(&texts[0]),
                    builder: string(&texts[1]),
                    args: texts[2..].iter().map(string).collect(),
                    env: env.iter().map(|(key, at)| (name(key), string(at))).collect(),
                    input_drvs,
                    input_srcs,
                };
                all.push((written.add(&instructions), instructions));
                if nth == aside % 20 {
                    written.lay_aside(&mut shelf).expect("there is room");
                }
            }
            for (place, instructions) in all {
                prop_assert_eq!(written.inputs(place), instructions.inputs().collect::<Vec<_>>());
                prop_assert_eq!(written.instructions(place), instructions);
            }
        }
    }
}
