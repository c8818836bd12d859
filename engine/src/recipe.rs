//! A derivation as the engine keeps it: its texts are templates over its inputs, so that
//! resolving substitutes pieces and never searches text. Nothing here knows how the recipe was
//! evaluated, nor where its outputs lie.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use floe_core::ca::{ContentAddress, Method};
use floe_core::hash::{Digest, HashAlgo};
use floe_core::path::{OutputName, StorePath};

/// One piece of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Literal bytes.
    Text(Box<[u8]>),
    /// The store path of an output of the dependency with this index in [`Head::deps`].
    Input {
        /// Index into [`Head::deps`].
        dep: u32,
        /// Which of its outputs.
        output: OutputName,
    },
    /// The recipe's own output.
    Own(OutputName),
    /// An object whose path is known: a source, or the `.drv` file of a derivation as evaluated.
    Path(StorePath),
}

/// A byte string with holes for store paths.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Template(pub Vec<Piece>);

impl Template {
    /// A template without holes.
    pub fn text(bytes: impl Into<Vec<u8>>) -> Self {
        Template(vec![Piece::Text(bytes.into().into_boxed_slice())])
    }
}

impl From<&str> for Template {
    fn from(text: &str) -> Self {
        Template::text(text.as_bytes())
    }
}

/// How the path of a recipe's outputs comes about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Kind {
    /// From the instructions: the path is a function of the derivation.
    InputAddressed,
    /// From the content, which was given up front. Has the single output `out`.
    Fixed(Box<ContentAddress>),
    /// From the content, known once it is built.
    Floating(Method, HashAlgo),
    /// It has no instructions: it stands for one output of the derivation that the output of its
    /// only dependency is, and is found out when that is made.
    Dynamic,
}

/// A dependency on some outputs of another derivation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dep {
    /// Which outputs are inputs of the build, sorted.
    pub outputs: Arc<[OutputName]>,
}

/// What of a recipe is looked at again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The derivation's name.
    pub name: Arc<str>,
    /// Output names, sorted.
    pub outputs: Arc<[OutputName]>,
    /// How their paths come about.
    pub kind: Kind,
    /// What it depends on; the nodes themselves stand in the graph beside the recipe.
    pub deps: Arc<[Dep]>,
}

/// What of a recipe is looked at when it is resolved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text {
    /// The platform the builder runs on, such as `x86_64-linux` or `builtin`.
    pub system: Template,
    /// The program to run.
    pub builder: Template,
    /// Its arguments.
    pub args: Vec<Template>,
    /// Its environment, sorted by name.
    pub env: Vec<(Box<[u8]>, Template)>,
    /// Sources and other objects that are inputs as they are.
    pub sources: BTreeSet<StorePath>,
}

/// Whoever can say a recipe's text again, the same each time, so that nobody has to keep it.
pub trait Teller: Send + Sync {
    /// The text with this number.
    fn text(&self, number: u32) -> Text;
}

/// Where a recipe's text is.
#[derive(Clone)]
enum Held {
    Here(Box<Text>),
    There(Arc<dyn Teller>, u32),
}

/// The instructions of one build. Two recipes are equal when their instructions are, whatever
/// became of the derivations they depend on: that is what lets a change stop here. Of a hundred
/// thousand recipes few are ever resolved again, so the text may be somebody else's to tell.
#[derive(Clone)]
pub struct Recipe {
    head: Head,
    root: RootKind,
    digest: Digest,
    text: Held,
}

impl Deref for Recipe {
    type Target = Head;
    fn deref(&self) -> &Head {
        &self.head
    }
}

/// Equal digests are equal instructions.
impl PartialEq for Recipe {
    fn eq(&self, other: &Recipe) -> bool {
        self.digest == other.digest
    }
}
impl Eq for Recipe {}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipe").field("head", &self.head).field("text", &self.text()).finish()
    }
}

/// What stands at `/` while a recipe is built: half of the sandbox profile its result is traced
/// under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RootKind {
    /// An empty root with a small `/bin/sh`.
    Bare,
    /// A store object, which the recipe names by [`ROOTFS`].
    Seed,
    /// None: a fetcher of the engine's own runs outside the sandbox.
    None,
}

/// The attribute by which a derivation names the store object that is its root file system.
pub const ROOTFS: &[u8] = b"__rootfs";

impl Head {
    /// Whether it stands for an output of a derivation that is an output itself.
    pub fn is_dynamic(&self) -> bool {
        self.kind == Kind::Dynamic
    }

    /// Whether it has the name, outputs and inputs of another one, so that it can stand in its place
    /// in a graph.
    pub fn is_shaped_like(&self, other: &Head) -> bool {
        self.name == other.name
            && self.outputs == other.outputs
            && self.deps == other.deps
            && self.is_dynamic() == other.is_dynamic()
    }
}

impl Text {
    /// The value of an attribute.
    pub fn attribute(&self, name: &[u8]) -> Option<&Template> {
        let at = self.env.binary_search_by(|(key, _)| (**key).cmp(name)).ok()?;
        Some(&self.env[at].1)
    }

    fn root_kind(&self) -> RootKind {
        let fetched = matches!(self.builder.0.as_slice(), [Piece::Text(text)] if text.starts_with(b"builtin:"));
        match fetched {
            true => RootKind::None,
            false if self.attribute(ROOTFS).is_some() => RootKind::Seed,
            false => RootKind::Bare,
        }
    }

    /// Every template.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        [&self.system, &self.builder]
            .into_iter()
            .chain(&self.args)
            .chain(self.env.iter().map(|(_, value)| value))
    }
}

impl Recipe {
    /// A recipe that holds its text.
    pub fn new(head: Head, text: Text) -> Recipe {
        let (root, digest) = (text.root_kind(), digest(&head, &text));
        Recipe { head, root, digest, text: Held::Here(Box::new(text)) }
    }

    /// The same recipe, whose text another one keeps.
    pub fn told_by(self, teller: Arc<dyn Teller>, number: u32) -> Recipe {
        Recipe { text: Held::There(teller, number), ..self }
    }

    /// What stands for `output` of the derivation that `made_as`, an output of the only dependency,
    /// is. The name says whose outputs lie in whose.
    pub fn dynamic(name: &str, made_as: OutputName, output: OutputName) -> Recipe {
        let head = Head {
            name: Arc::from(name),
            outputs: Arc::new([output]),
            kind: Kind::Dynamic,
            deps: Arc::new([Dep { outputs: Arc::new([made_as]) }]),
        };
        Recipe::new(head, Text::default())
    }

    /// Its text.
    pub fn text(&self) -> Cow<'_, Text> {
        match &self.text {
            Held::Here(text) => Cow::Borrowed(text),
            Held::There(teller, number) => Cow::Owned(teller.text(*number)),
        }
    }

    /// What it is built in.
    pub fn root_kind(&self) -> RootKind {
        self.root
    }

    /// The digest of the instructions alone: equal for equal recipes.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// In a framed encoding.
fn digest(head: &Head, text: &Text) -> Digest {
    let mut hasher = Framed::new(b"floe recipe 1");
    hasher.bytes(head.name.as_bytes());
    hasher.names(&head.outputs);
    match &head.kind {
        Kind::InputAddressed => hasher.bytes(b"ia"),
        Kind::Fixed(ca) => hasher.bytes(format!("fixed {ca}").as_bytes()),
        Kind::Floating(method, algo) => {
            hasher.bytes(format!("floating {method:?} {algo:?}").as_bytes())
        }
        Kind::Dynamic => hasher.bytes(b"dynamic"),
    }
    hasher.template(&text.system);
    hasher.template(&text.builder);
    hasher.len(text.args.len());
    text.args.iter().for_each(|arg| hasher.template(arg));
    hasher.len(text.env.len());
    for (name, value) in &text.env {
        hasher.bytes(name);
        hasher.template(value);
    }
    hasher.len(head.deps.len());
    head.deps.iter().for_each(|dep| hasher.names(&dep.outputs));
    hasher.len(text.sources.len());
    for source in &text.sources {
        hasher.bytes(source.base_name().as_bytes());
    }
    hasher.finish()
}

/// BLAKE3 over length-framed fields, so that no two field lists share an encoding.
struct Framed(blake3::Hasher);

impl Framed {
    fn new(domain: &[u8]) -> Self {
        let mut framed = Framed(blake3::Hasher::new());
        framed.bytes(domain);
        framed
    }

    fn len(&mut self, len: usize) {
        self.0.update(&(len as u64).to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.len(bytes.len());
        self.0.update(bytes);
    }

    fn names(&mut self, names: &[OutputName]) {
        self.len(names.len());
        names.iter().for_each(|name| self.bytes(name.as_str().as_bytes()));
    }

    fn template(&mut self, template: &Template) {
        self.len(template.0.len());
        for piece in &template.0 {
            match piece {
                Piece::Text(text) => {
                    self.0.update(b"t");
                    self.bytes(text);
                }
                Piece::Input { dep, output } => {
                    self.0.update(b"i");
                    self.0.update(&dep.to_le_bytes());
                    self.bytes(output.as_str().as_bytes());
                }
                Piece::Own(output) => {
                    self.0.update(b"o");
                    self.bytes(output.as_str().as_bytes());
                }
                Piece::Path(path) => {
                    self.0.update(b"p");
                    self.bytes(path.base_name().as_bytes());
                }
            }
        }
    }

    fn finish(self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}
