//! What evaluation has seen of derivations' paths, so that lifting can find it again: which texts they
//! are, and where such a text stands in another. What becomes of a place that was found is the
//! importer's affair.

use std::collections::HashMap;

use floe_core::path::{DIGEST_LEN, OutputName};
use floe_lang::graph::{DrvGraph, DrvId, OutputKind};
use rustc_hash::FxHashSet;

use super::ImportError;

/// The derivations whose paths evaluation has seen as text: a context that was discarded leaves no
/// way to them.
#[derive(Debug, Clone, Default)]
pub enum Seen {
    /// All that the whole evaluation has seen.
    #[default]
    All,
    /// Of an evaluation that is kept for several requests: what one of them rests on.
    Only {
        /// The bytes of whose paths were read.
        observed: FxHashSet<DrvId>,
        /// The bytes of whose paths were hashed.
        hashed: FxHashSet<DrvId>,
    },
}

impl Seen {
    fn observed(&self, drvs: &DrvGraph) -> Vec<DrvId> {
        match self {
            Seen::All => drvs.ids().filter(|&id| drvs.observed(id)).collect(),
            Seen::Only { observed, .. } => {
                let mut ids: Vec<DrvId> = observed.iter().copied().collect();
                ids.sort_unstable();
                ids.retain(|&id| drvs.observed(id));
                ids
            }
        }
    }

    fn hashed(&self, drvs: &DrvGraph, id: DrvId) -> bool {
        match self {
            Seen::All => drvs.hashed(id),
            Seen::Only { hashed, .. } => hashed.contains(&id),
        }
    }

    /// What two requests have seen together.
    pub fn and(self, other: &Seen) -> Seen {
        match (self, other) {
            (
                Seen::Only { mut observed, mut hashed },
                Seen::Only { observed: also, hashed: also_hashed },
            ) => {
                observed.extend(also);
                hashed.extend(also_hashed);
                Seen::Only { observed, hashed }
            }
            _ => Seen::All,
        }
    }
}

/// What stands before the digest in a store path.
const STORE_PREFIX: &[u8] = b"/nix/store/";

/// So many digits of a digest in a row are no accident.
const PIECE: usize = 8;

/// The texts that evaluation has seen of derivations whose paths a rebuilder may change.
#[derive(Default)]
pub(super) struct Observed {
    by_text: HashMap<Vec<u8>, (DrvId, OutputName)>,
    /// The lengths that occur, longest first.
    lengths: Vec<usize>,
    /// Every run of [`PIECE`] digits in their digests.
    pieces: HashMap<[u8; PIECE], DrvId>,
}

impl Observed {
    pub(super) fn collect(drvs: &DrvGraph, seen: &Seen) -> Result<Observed, ImportError> {
        let mut observed = Observed::default();
        for id in seen.observed(drvs) {
            let node = drvs.node(id);
            for (at, output) in node.outputs.iter().enumerate() {
                if matches!(output.kind, OutputKind::Fixed(..)) {
                    continue;
                }
                if seen.hashed(drvs, id) {
                    return Err(ImportError::Hashed { observed: node.name.to_string() });
                }
                let text = drvs.output_text(id, at)?.into_bytes();
                let digest = text.strip_prefix(STORE_PREFIX).unwrap_or(&text);
                let digest = &digest[..digest.len().min(DIGEST_LEN)];
                for piece in digest.windows(PIECE) {
                    observed.pieces.insert(piece.try_into().expect("a window"), id);
                }
                observed.lengths.push(text.len());
                observed.by_text.insert(text, (id, output.name.clone()));
            }
        }
        observed.lengths.sort_unstable_by(|a, b| b.cmp(a));
        observed.lengths.dedup();
        Ok(observed)
    }

    /// Whether nothing was seen.
    pub(super) fn is_empty(&self) -> bool {
        self.by_text.is_empty()
    }

    /// Whose digest a piece of this text is.
    pub(super) fn find_piece(&self, text: &[u8]) -> Option<DrvId> {
        if self.pieces.is_empty() {
            return None;
        }
        text.windows(PIECE).find_map(|piece| self.pieces.get(piece).copied())
    }

    /// The first observed path in `text`: where, how long, whose.
    pub(super) fn find(&self, text: &[u8]) -> Option<(usize, usize, DrvId, &OutputName)> {
        if self.by_text.is_empty() {
            return None;
        }
        // Store paths and placeholders both begin with a slash.
        memchr::memchr_iter(b'/', text).find_map(|at| {
            self.lengths.iter().find_map(|&len| {
                let (drv, output) = self.by_text.get(text.get(at..at + len)?)?;
                Some((at, len, *drv, output))
            })
        })
    }
}
