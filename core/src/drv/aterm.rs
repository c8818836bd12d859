//! The text form of derivations: a writer that fills one buffer, and a parser that neither
//! recurses nor keeps more than it was given.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use memchr::{memchr2_iter, memchr3};

use super::dynamic::{Dynamic, MAX_NESTING, Made, Uses};
use super::{Derivation, Output};
use crate::ca::{CaError, ContentAddress, Method};
use crate::hash::{Hash, HashAlgo, Hasher};
use crate::path::{OutputName, PathError, StorePath};

impl Derivation {
    /// The text, byte for byte as Nix writes it.
    pub fn to_aterm(&self) -> Vec<u8> {
        self.with_inputs(|inputs| write(self, inputs, Mask::None))
    }

    /// Reads the text of the derivation called `name` (without `.drv`).
    pub fn parse_aterm(name: &str, text: &[u8]) -> Result<Derivation, AtermError> {
        let mut parser = Parser { text, at: 0 };
        parser.derivation(name).map_err(|reason| AtermError {
            name: name.to_owned(),
            at: parser.at,
            reason,
        })
    }
}

/// The version of the format that has dynamic inputs, written only where there are some.
const DYNAMIC: &str = "xp-dyn-drv";

/// Whether a derivation's own output paths are left out of the text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mask {
    None,
    Outputs,
}

/// Writes `drv` with other names for its inputs; `inputs` must be sorted by name.
pub(super) fn write(
    drv: &Derivation,
    inputs: &mut dyn Iterator<Item = (&str, Uses<'_>)>,
    mask: Mask,
) -> Vec<u8> {
    let env: usize = drv.env.iter().map(|(name, value)| name.len() + value.len() + 16).sum();
    let mut text = head(drv, inputs, mask, env + env / 16 + drv.input_srcs.len() * 128);
    tail(&mut text, drv, |text, _, value| {
        escaped(text, if mask == Mask::Outputs { b"" } else { value });
    });
    text
}

/// The text as far as inputs are in it by a name of the caller's choice, with room for the rest.
fn head(
    drv: &Derivation,
    inputs: &mut dyn Iterator<Item = (&str, Uses<'_>)>,
    mask: Mask,
    room: usize,
) -> Vec<u8> {
    let paths = (drv.input_drvs.len() + drv.outputs.len()) * 128;
    let mut text = Vec::with_capacity(paths + room + 1024);
    match drv.dynamic_inputs.is_empty() {
        true => text.extend_from_slice(b"Derive("),
        false => {
            text.extend_from_slice(b"DrvWithVersion(");
            plain(&mut text, DYNAMIC);
            text.push(b',');
        }
    }
    list(&mut text, &drv.outputs, |text, (name, output)| {
        let (path, algo, hash) = match output {
            _ if mask == Mask::Outputs => ("", String::new(), String::new()),
            Output::InputAddressed(path) => (path.as_str(), String::new(), String::new()),
            Output::Fixed(path, ca) => (path.as_str(), ca.method_algo(), ca.hash.base16()),
            Output::Floating(method, algo) => {
                ("", format!("{}{algo}", method.prefix()), String::new())
            }
            Output::Deferred => ("", String::new(), String::new()),
        };
        text.push(b'(');
        for (at, part) in [name.as_str(), path, &algo, &hash].into_iter().enumerate() {
            if at > 0 {
                text.push(b',');
            }
            plain(text, part);
        }
        text.push(b')');
    });
    text.push(b',');
    list(&mut text, inputs, |text, (name, uses)| {
        text.push(b'(');
        plain(text, name);
        text.push(b',');
        uses.write(text);
        text.push(b')');
    });
    text
}

/// The text from there on. What the environment has for the derivation's own outputs is written by
/// `own`, which gets the text, the name and the value.
fn tail<'a>(
    text: &mut Vec<u8>,
    drv: &'a Derivation,
    mut own: impl FnMut(&mut Vec<u8>, &'a [u8], &'a [u8]),
) {
    text.push(b',');
    list(text, &drv.input_srcs, |text, path| plain(text, path.as_str()));
    text.push(b',');
    // As it is: C++ Nix escapes nothing here, and everything in what follows.
    plain(text, &drv.system);
    text.push(b',');
    quoted(text, &drv.builder);
    text.push(b',');
    list(text, &drv.args, |text, arg| quoted(text, arg));
    text.push(b',');
    list(text, &drv.env, |text, (name, value)| {
        let is_output = std::str::from_utf8(name).is_ok_and(|name| drv.outputs.contains_key(name));
        text.push(b'(');
        quoted(text, name);
        text.push(b',');
        if is_output {
            text.push(b'"');
            own(text, name, value);
            text.push(b'"');
        } else {
            quoted(text, value);
        }
        text.push(b')');
    });
    text.push(b')');
}

/// The end of a derivation's text, written once for the hashes of several texts that differ in
/// what comes before it, and in what the environment has for the derivation's own outputs.
pub(super) struct Tail {
    text: Vec<u8>,
    /// Where the value of an own output belongs, and its name.
    holes: Vec<(usize, Vec<u8>)>,
}

impl Tail {
    pub(super) fn of(drv: &Derivation) -> Tail {
        let env: usize = drv.env.iter().map(|(name, value)| name.len() + value.len() + 16).sum();
        let mut text = Vec::with_capacity(env + env / 16 + drv.input_srcs.len() * 128 + 1024);
        let mut holes = Vec::with_capacity(drv.outputs.len());
        tail(&mut text, drv, |text, name, _| holes.push((text.len(), name.to_owned())));
        Tail { text, holes }
    }

    /// SHA-256 of what [`write`] gives, of a derivation that has changed in its outputs only.
    pub(super) fn hash(
        &self,
        drv: &Derivation,
        inputs: &mut dyn Iterator<Item = (&str, Uses<'_>)>,
        mask: Mask,
    ) -> Hash {
        let mut hasher = Hasher::new(HashAlgo::Sha256);
        hasher.update(&head(drv, inputs, mask, 0));
        let mut done = 0;
        for (at, name) in &self.holes {
            hasher.update(&self.text[done..*at]);
            done = *at;
            if let (Mask::None, Some(value)) = (mask, drv.env.get(name)) {
                let mut text = Vec::with_capacity(value.len());
                escaped(&mut text, value);
                hasher.update(&text);
            }
        }
        hasher.update(&self.text[done..]);
        hasher.finish()
    }
}

pub(super) fn list<T>(
    text: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write_item: impl FnMut(&mut Vec<u8>, T),
) {
    text.push(b'[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        write_item(text, item);
    }
    text.push(b']');
}

/// A string that needs no escapes, or gets none.
pub(super) fn plain(text: &mut Vec<u8>, part: impl AsRef<[u8]>) {
    text.push(b'"');
    text.extend_from_slice(part.as_ref());
    text.push(b'"');
}

/// Any string.
fn quoted(text: &mut Vec<u8>, part: &[u8]) {
    text.push(b'"');
    escaped(text, part);
    text.push(b'"');
}

/// Any string, without its quotes.
fn escaped(text: &mut Vec<u8>, mut part: &[u8]) {
    while let Some(at) = memchr3(b'"', b'\\', b'\n', part) {
        blanks(text, &part[..at]);
        let letter = if part[at] == b'\n' { b'n' } else { part[at] };
        text.extend_from_slice(&[b'\\', letter]);
        part = &part[at + 1..];
    }
    blanks(text, part);
}

/// A stretch in which only tabs and carriage returns need escapes.
fn blanks(text: &mut Vec<u8>, part: &[u8]) {
    let mut done = 0;
    for at in memchr2_iter(b'\r', b'\t', part) {
        text.extend_from_slice(&part[done..at]);
        text.extend_from_slice(if part[at] == b'\r' { b"\\r" } else { b"\\t" });
        done = at + 1;
    }
    text.extend_from_slice(&part[done..]);
}

/// A text that is no derivation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("derivation '{name}' cannot be read at byte {at}: {reason}")]
pub struct AtermError {
    /// The derivation's name.
    pub name: String,
    /// Where reading stopped.
    pub at: usize,
    /// Why.
    pub reason: AtermReason,
}

/// Why the text of a derivation cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AtermReason {
    /// Another byte sequence had to follow.
    #[error("expected '{0}'")]
    Expected(&'static str),
    /// The text ends within a string.
    #[error("unterminated string")]
    Unterminated,
    /// A list has no `,` or `]` after an item.
    #[error("expected ',' or ']'")]
    List,
    /// Something follows the closing parenthesis.
    #[error("text after the end of the derivation")]
    Rest,
    /// A format that this reader does not know.
    #[error("format version '{0}' is not known; there are none and '{DYNAMIC}'")]
    Version(String),
    /// Outputs of outputs of outputs, and so on, of an input derivation.
    #[error("outputs of '{0}' lie more than {MAX_NESTING} derivations deep")]
    Nesting(StorePath),
    /// A path, name or hash that is not UTF-8.
    #[error("name is not valid UTF-8")]
    Utf8,
    /// The same entry a second time.
    #[error("'{0}' appears twice")]
    Twice(String),
    /// An input derivation of which nothing is used.
    #[error("input derivation '{0}' specifies no outputs")]
    NoOutputs(StorePath),
    /// A floating output that has a path.
    #[error("output '{0}' is content-addressed after the build, but has a path already")]
    FloatingWithPath(OutputName),
    /// Outputs that differ at every build.
    #[error("output '{0}' is impure, which is not supported")]
    Impure(OutputName),
    /// A fixed output whose path belongs to another hash.
    #[error(
        "output '{output}' has path '{found}', which does not match its content address: that gives '{expected}'"
    )]
    FixedPath {
        /// The output.
        output: OutputName,
        /// The path in the text.
        found: StorePath,
        /// The path that follows from the content address.
        expected: StorePath,
    },
    /// A name that is not valid.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A hash or method that is not valid.
    #[error(transparent)]
    Ca(#[from] CaError),
}

pub(super) struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

pub(super) type Read<T> = Result<T, AtermReason>;

impl<'a> Parser<'a> {
    fn derivation(&mut self, name: &str) -> Read<Derivation> {
        let is_dynamic = self.version()?;
        let mut outputs = BTreeMap::new();
        self.list(|this| {
            let (output_name, output) = this.output(name)?;
            insert(&mut outputs, output_name, output, |name| name.to_string())
        })?;
        self.expect(",")?;
        let mut input_drvs = BTreeMap::new();
        let mut dynamic_inputs: BTreeMap<StorePath, Dynamic> = BTreeMap::new();
        self.list(|this| {
            this.expect("(")?;
            let path = StorePath::parse(&this.name()?)?;
            this.expect(",")?;
            let Made { outputs, dynamic } = this.uses(&path, is_dynamic)?;
            this.expect(")")?;
            if input_drvs.contains_key(&path) || dynamic_inputs.contains_key(&path) {
                return Err(AtermReason::Twice(path.to_string()));
            }
            if !dynamic.is_empty() {
                dynamic_inputs.insert(path.clone(), dynamic);
            }
            if !outputs.is_empty() {
                input_drvs.insert(path, outputs);
            }
            Ok(())
        })?;
        self.expect(",")?;
        let mut input_srcs = BTreeSet::new();
        self.list(|this| {
            input_srcs.insert(StorePath::parse(&this.name()?)?);
            Ok(())
        })?;
        self.expect(",")?;
        let system = self.string()?.into_owned();
        self.expect(",")?;
        let builder = self.string()?.into_owned();
        self.expect(",")?;
        let mut args = Vec::new();
        self.list(|this| {
            args.push(this.string()?.into_owned());
            Ok(())
        })?;
        self.expect(",")?;
        let mut env = BTreeMap::new();
        self.list(|this| {
            this.expect("(")?;
            let name = this.string()?.into_owned();
            this.expect(",")?;
            let value = this.string()?.into_owned();
            this.expect(")")?;
            insert(&mut env, name, value, |name| String::from_utf8_lossy(name).into_owned())
        })?;
        self.expect(")")?;
        if self.at < self.text.len() {
            return Err(AtermReason::Rest);
        }
        let name = name.to_owned();
        Ok(Derivation {
            name,
            outputs,
            input_drvs,
            dynamic_inputs,
            input_srcs,
            system,
            builder,
            args,
            env,
        })
    }

    /// The head of the text: whether inputs may be dynamic.
    fn version(&mut self) -> Read<bool> {
        if !self.text.starts_with(b"DrvWithVersion(") {
            self.expect("Derive(")?;
            return Ok(false);
        }
        self.expect("DrvWithVersion(")?;
        let version = self.name()?;
        if version != DYNAMIC {
            return Err(AtermReason::Version(version.into_owned()));
        }
        self.expect(",")?;
        Ok(true)
    }

    fn output(&mut self, drv_name: &str) -> Read<(OutputName, Output)> {
        self.expect("(")?;
        let name = OutputName::new(&self.name()?)?;
        self.expect(",")?;
        let path = self.name()?;
        self.expect(",")?;
        let algo = self.name()?;
        self.expect(",")?;
        let hash = self.name()?;
        self.expect(")")?;
        let output = match (&*path, &*algo, &*hash) {
            ("", "", _) => Output::Deferred,
            (path, "", _) => Output::InputAddressed(StorePath::parse(path)?),
            (_, _, "impure") => return Err(AtermReason::Impure(name)),
            ("", algo, "") => {
                let (method, algo) = Method::parse_with_algo(algo)?;
                Output::Floating(method, algo)
            }
            (_, _, "") => return Err(AtermReason::FloatingWithPath(name)),
            (path, algo, hash) => {
                let found = StorePath::parse(path)?;
                let (method, algo) = Method::parse_with_algo(algo)?;
                let hash = Hash::parse_digits(hash, algo).map_err(CaError::from)?;
                match Output::fixed(drv_name, &name, ContentAddress { method, hash })? {
                    Output::Fixed(expected, _) if expected != found => {
                        return Err(AtermReason::FixedPath { output: name, found, expected });
                    }
                    output => output,
                }
            }
        };
        Ok((name, output))
    }

    pub(super) fn list(&mut self, mut read_item: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        self.expect("[")?;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            read_item(self)?;
            if self.take(b']') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(AtermReason::List);
            }
        }
    }

    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, token: &'static str) -> Read<()> {
        if !self.text[self.at..].starts_with(token.as_bytes()) {
            return Err(AtermReason::Expected(token));
        }
        self.at += token.len();
        Ok(())
    }

    pub(super) fn name(&mut self) -> Read<Cow<'a, str>> {
        match self.string()? {
            Cow::Borrowed(bytes) => {
                std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| AtermReason::Utf8)
            }
            Cow::Owned(bytes) => {
                String::from_utf8(bytes).map(Cow::Owned).map_err(|_| AtermReason::Utf8)
            }
        }
    }

    fn string(&mut self) -> Read<Cow<'a, [u8]>> {
        self.expect("\"")?;
        let rest = &self.text[self.at..];
        let mut unescaped: Option<Vec<u8>> = None;
        let mut done = 0;
        for at in memchr2_iter(b'"', b'\\', rest) {
            if at < done {
                continue; // the escaped byte itself
            }
            if rest[at] == b'"' {
                self.at += at + 1;
                return Ok(match unescaped {
                    None => Cow::Borrowed(&rest[..at]),
                    Some(mut bytes) => {
                        bytes.extend_from_slice(&rest[done..at]);
                        Cow::Owned(bytes)
                    }
                });
            }
            let bytes = unescaped.get_or_insert_default();
            bytes.extend_from_slice(&rest[done..at]);
            bytes.push(match rest.get(at + 1) {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(&other) => other,
                None => return Err(AtermReason::Unterminated),
            });
            done = at + 2;
        }
        Err(AtermReason::Unterminated)
    }
}

pub(super) fn insert<K: Ord + Clone, V>(
    map: &mut BTreeMap<K, V>,
    key: K,
    value: V,
    show: impl FnOnce(&K) -> String,
) -> Read<()> {
    use std::collections::btree_map::Entry;
    match map.entry(key) {
        Entry::Occupied(entry) => Err(AtermReason::Twice(show(entry.key()))),
        Entry::Vacant(entry) => {
            entry.insert(value);
            Ok(())
        }
    }
}
