//! The store's public vocabulary: what is known of an object, what a realisation is, what goes
//! into one registration. Plain data; no database, no files.

use std::collections::BTreeSet;

use floe_core::ca::ContentAddress;
use floe_core::hash::{Digest, Hash};
use floe_core::path::{OutputName, StorePath};

/// What is known of a registered object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// SHA-256 of the NAR.
    pub nar_hash: Hash,
    /// Length of the NAR.
    pub nar_size: u64,
    /// BLAKE3 Merkle root of the tree.
    pub tree: Digest,
    /// References, sorted; may contain the object itself.
    pub refs: Vec<StorePath>,
    /// The derivation that made it, when known.
    pub deriver: Option<StorePath>,
    /// How its path follows from its content, if it does.
    pub ca: Option<ContentAddress>,
    /// When it was registered, in milliseconds since 1970.
    pub registered_at_ms: u64,
}

/// An object to be registered; its files already lie under `Store::physical(path)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewObject {
    /// Its path.
    pub path: StorePath,
    /// SHA-256 of the NAR.
    pub nar_hash: Hash,
    /// Length of the NAR.
    pub nar_size: u64,
    /// BLAKE3 Merkle root of the tree.
    pub tree: Digest,
    /// References; may contain the object itself.
    pub refs: BTreeSet<StorePath>,
    /// The derivation that made it, when known.
    pub deriver: Option<StorePath>,
    /// How its path follows from its content, if it does.
    pub ca: Option<ContentAddress>,
}

/// A derivation's text, kept in the database only (an object is made of it when something reads it).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDerivation {
    /// The `.drv` path.
    pub path: StorePath,
    /// The ATerm text.
    pub text: Vec<u8>,
    /// Input derivations and sources: what must live as long as this text.
    pub refs: BTreeSet<StorePath>,
}

/// The key of a build trace entry, short of the output's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceKey {
    /// Digest of the resolved derivation.
    pub resolved: Digest,
    /// Digest of the sandbox profile under which it was built.
    pub profile: Digest,
}

/// How a realisation came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A builder ran here.
    Built,
    /// A binary cache had it.
    Substituted,
    /// An older output was retargeted.
    Retargeted,
}

/// One entry of the build trace: an output that a resolved derivation gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realisation {
    /// The object.
    pub path: StorePath,
    /// How it came about.
    pub origin: Origin,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The builder's wall time.
    pub wall_ms: u64,
    /// The builder's CPU time.
    pub cpu_ms: u64,
}

/// A realisation to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTrace {
    /// Of which resolved derivation, under which profile.
    pub key: TraceKey,
    /// Of which output.
    pub output: OutputName,
    /// What it gave.
    pub realisation: Realisation,
}

/// What becomes true in one write. Order within a list does not matter: objects may refer
/// to each other.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Objects with their references.
    pub objects: Vec<NewObject>,
    /// Derivation texts.
    pub derivations: Vec<NewDerivation>,
    /// Build trace entries; their objects are registered or in `objects`. Those of one key are
    /// what one run gave.
    pub traces: Vec<NewTrace>,
    /// The engine's records, by task id; a later one replaces an earlier one.
    pub records: Vec<(Vec<u8>, Vec<u8>)>,
    /// Records that are to go; none of them is in `records`.
    pub dropped_records: Vec<Vec<u8>>,
    /// What rebuilders remember, by rebuilder and task id; a later one replaces an earlier one.
    pub memories: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What a registration did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registered {
    /// How many objects were not registered before.
    pub new_objects: usize,
    /// Trace entries whose key already had another path; both are kept.
    pub divergent: Vec<Divergence>,
}

/// Two results of one trace key: the recipe is not deterministic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// The key.
    pub key: TraceKey,
    /// The output.
    pub output: OutputName,
    /// The realisation that stays preferred.
    pub preferred: StorePath,
    /// The one that came later.
    pub other: StorePath,
}
