//! From what evaluation found to the engine's graph: strings with handles become templates with
//! holes, in dense order. This is also where lifting is made exact: where evaluation *observed*
//! a derivation's path as text, that text is found again and becomes a hole; where it cannot be
//! attributed, the derivation is refused by name.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use floe_core::ca::ContentAddress;
use floe_core::path::{DIGEST_LEN, OutputName, StorePath};
use floe_lang::graph::{
    DrvGraph, DrvId, DrvNode, GraphError, InputSrc, OutputKind, Segment, SourceId, SymStr,
};
use floe_lang::host::{HostError, Origin};

use crate::alias::Aliases;
use crate::graph::{Graph, NodeIx, Target};
use crate::recipe::{Dep, Kind, Piece, Recipe, Template};

/// What evaluation was asked for: an attribute path, a derivation, and some of its outputs.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The attribute path; empty for a whole expression.
    pub attr: String,
    /// The derivation.
    pub drv: DrvId,
    /// Which outputs, by name.
    pub outputs: Vec<OutputName>,
}

/// Where the bytes of an input come from that no derivation makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Material {
    /// A file, tree or text that evaluation named.
    Source(SourceId),
    /// The `.drv` file of a derivation.
    DrvFile(DrvId),
}

/// The graph, and how it hangs together with what was evaluated.
pub struct Imported {
    /// The engine's graph.
    pub graph: Graph,
    /// Each node's derivation as evaluated.
    pub drvs: Vec<DrvId>,
    /// Inputs to be put into the store before a builder may read them.
    pub materials: HashMap<StorePath, Material>,
}

/// Why a graph cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A path could not be computed.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A source could not be read.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Lifting cannot be exact.
    #[error(
        "derivation '{user}' holds the path of '{observed}' as plain text whose string context was discarded, \
         so it cannot be made content-addressed; build it with --rebuilder input-addressed, or keep the context \
         (avoid builtins.unsafeDiscardStringContext)"
    )]
    Discarded {
        /// The derivation that holds the text.
        user: String,
        /// The derivation whose path it is.
        observed: String,
    },
    /// The same, for a piece of a path.
    #[error(
        "derivation '{user}' holds a piece of the path of '{observed}' that was cut out of it, so it cannot be made \
         content-addressed; build it with --rebuilder input-addressed, or use the whole path"
    )]
    Cut {
        /// The derivation, or the source, that holds the piece.
        user: String,
        /// The derivation whose path was cut.
        observed: String,
    },
    /// The same, for a hash of a path.
    #[error(
        "evaluation hashed a text that holds the path of '{observed}', so nothing that it made can be made \
         content-addressed exactly; build it with --rebuilder input-addressed, or hash something else"
    )]
    Hashed {
        /// The derivation whose path it is.
        observed: String,
    },
}

/// Imports everything that `wanted` reaches.
///
/// # Errors
/// When a source cannot be hashed, or a derivation cannot be lifted exactly.
pub fn import(
    drvs: &DrvGraph,
    wanted: &[Wanted],
    aliases: &Aliases,
) -> Result<Imported, ImportError> {
    let order = reachable(drvs, wanted);
    let observed = Observed::collect(drvs)?;
    let mut importer = Importer {
        drvs,
        aliases,
        observed,
        nodes: HashMap::with_capacity(order.len()),
        imported: Imported {
            graph: Graph::default(),
            drvs: Vec::with_capacity(order.len()),
            materials: HashMap::new(),
        },
    };
    for id in order {
        importer.add(id)?;
    }
    let Importer { nodes, mut imported, .. } = importer;
    imported.graph.targets = wanted
        .iter()
        .map(|wanted| Target {
            attr: wanted.attr.clone(),
            node: nodes[&wanted.drv],
            outputs: wanted.outputs.clone(),
        })
        .collect();
    Ok(imported)
}

/// All derivations reachable from the wanted ones; ids ascend from inputs to users.
fn reachable(drvs: &DrvGraph, wanted: &[Wanted]) -> BTreeSet<DrvId> {
    let mut seen = BTreeSet::new();
    let mut stack: Vec<DrvId> = wanted.iter().map(|wanted| wanted.drv).collect();
    while let Some(id) = stack.pop() {
        if seen.insert(id) {
            stack.extend(drvs.node(id).input_drvs.iter().map(|input| input.drv));
        }
    }
    seen
}

struct Importer<'a> {
    drvs: &'a DrvGraph,
    aliases: &'a Aliases,
    observed: Observed,
    nodes: HashMap<DrvId, NodeIx>,
    imported: Imported,
}

impl Importer<'_> {
    fn add(&mut self, id: DrvId) -> Result<(), ImportError> {
        let node = self.drvs.node(id);
        let mut sources = BTreeSet::new();
        for src in &node.input_srcs {
            let path = match src {
                InputSrc::Source(source) => {
                    self.source(*source)?;
                    let path = self.drvs.source_path(*source)?.clone();
                    self.imported.materials.insert(path.clone(), Material::Source(*source));
                    path
                }
                InputSrc::Path(path) => self.aliases.real(path).unwrap_or_else(|| path.clone()),
                InputSrc::DrvFile(drv) => {
                    let path = self.drvs.drv_path(*drv)?;
                    self.imported.materials.insert(path.clone(), Material::DrvFile(*drv));
                    path
                }
            };
            sources.insert(path);
        }
        let mut env: Vec<(Box<[u8]>, Template)> = Vec::with_capacity(node.env.len());
        for (name, value) in &node.env {
            let own = node
                .outputs
                .iter()
                .find(|output| output.name.as_str().as_bytes() == name.as_bytes());
            let value = match own {
                Some(output) => Template(vec![Piece::Own(output.name.clone())]),
                None => self.template(id, node, value)?,
            };
            env.push((name.as_bytes().into(), value));
        }
        let recipe = Recipe {
            name: Arc::from(node.name.as_str()),
            outputs: node.outputs.iter().map(|output| output.name.clone()).collect(),
            kind: kind(node),
            system: self.template(id, node, &node.system)?,
            builder: self.template(id, node, &node.builder)?,
            args: node
                .args
                .iter()
                .map(|arg| self.template(id, node, arg))
                .collect::<Result<_, _>>()?,
            env,
            deps: node
                .input_drvs
                .iter()
                .map(|input| Dep { outputs: self.output_names(input.drv, &input.outputs) })
                .collect(),
            sources,
        };
        let deps: Vec<NodeIx> =
            node.input_drvs.iter().map(|input| self.nodes[&input.drv]).collect();
        let ix = self.imported.graph.add(Arc::new(recipe), &deps);
        self.nodes.insert(id, ix);
        self.imported.drvs.push(id);
        Ok(())
    }

    /// A text that evaluation wrote cannot have holes.
    fn source(&self, source: SourceId) -> Result<(), ImportError> {
        let source = self.drvs.source(source);
        let Origin::Text(text, _) = &source.origin else { return Ok(()) };
        let user = || source.name.to_string();
        if let Some((_, _, drv, _)) = self.observed.find(text) {
            let observed = self.drvs.node(drv).name.clone();
            return Err(ImportError::Discarded { user: user(), observed });
        }
        self.refuse_cut(text, user)
    }

    /// What is left when whole paths are holes must hold no piece of one.
    fn refuse_cut(&self, text: &[u8], user: impl Fn() -> String) -> Result<(), ImportError> {
        match self.observed.find_piece(text) {
            Some(drv) => {
                let observed = self.drvs.node(drv).name.clone();
                Err(ImportError::Cut { user: user(), observed })
            }
            None => Ok(()),
        }
    }

    fn output_names(&self, drv: DrvId, outputs: &[u32]) -> Vec<OutputName> {
        let node = self.drvs.node(drv);
        outputs.iter().map(|&at| node.outputs[at as usize].name.clone()).collect()
    }

    fn template(
        &self,
        id: DrvId,
        node: &DrvNode,
        string: &SymStr,
    ) -> Result<Template, ImportError> {
        let mut pieces = Vec::with_capacity(string.0.len());
        for segment in &*string.0 {
            match segment {
                Segment::Text(text) => self.text(node, text, &mut pieces)?,
                Segment::Output(drv, at) if *drv == id => {
                    pieces.push(Piece::Own(node.outputs[*at as usize].name.clone()));
                }
                Segment::Output(drv, at) => {
                    let output = self.drvs.node(*drv).outputs[*at as usize].name.clone();
                    match dep_index(node, *drv) {
                        Some(dep) => pieces.push(Piece::Input { dep, output }),
                        None => {
                            return Err(ImportError::Discarded {
                                user: node.name.clone(),
                                observed: self.drvs.node(*drv).name.clone(),
                            });
                        }
                    }
                }
                Segment::DrvPath(drv) => pieces.push(Piece::Path(self.drvs.drv_path(*drv)?)),
                Segment::Source(source) => {
                    pieces.push(Piece::Path(self.drvs.source_path(*source)?.clone()));
                }
            }
        }
        Ok(Template(pieces))
    }

    /// The object behind a path that evaluation read in an output: the derivation has it as a
    /// source.
    fn read_path(&self, node: &DrvNode, text: &[u8]) -> Option<StorePath> {
        let path = StorePath::parse(std::str::from_utf8(text).ok()?).ok()?;
        let is_source = node
            .input_srcs
            .iter()
            .any(|src| matches!(src, InputSrc::Path(source) if *source == path));
        is_source.then(|| self.aliases.real(&path).unwrap_or(path))
    }

    /// Literal text, in which paths of observed derivations are holes again.
    fn text(
        &self,
        node: &DrvNode,
        text: &[u8],
        pieces: &mut Vec<Piece>,
    ) -> Result<(), ImportError> {
        let mut rest = text;
        while let Some((at, len, drv, output)) = self.observed.find(rest) {
            let found = match dep_index(node, drv) {
                Some(dep) => Piece::Input { dep, output: output.clone() },
                None => match self.read_path(node, &rest[at..at + len]) {
                    Some(real) => Piece::Path(real),
                    None => {
                        return Err(ImportError::Discarded {
                            user: node.name.clone(),
                            observed: self.drvs.node(drv).name.clone(),
                        });
                    }
                },
            };
            if at > 0 {
                self.refuse_cut(&rest[..at], || node.name.clone())?;
                pieces.push(Piece::Text(rest[..at].into()));
            }
            pieces.push(found);
            rest = &rest[at + len..];
        }
        if !rest.is_empty() {
            self.refuse_cut(rest, || node.name.clone())?;
            pieces.push(Piece::Text(rest.into()));
        }
        Ok(())
    }
}

fn dep_index(node: &DrvNode, drv: DrvId) -> Option<u32> {
    node.input_drvs.binary_search_by_key(&drv, |input| input.drv).ok().map(|at| at as u32)
}

fn kind(node: &DrvNode) -> Kind {
    match node.outputs.first().map(|output| &output.kind) {
        Some(OutputKind::Fixed(method, hash)) => {
            Kind::Fixed(ContentAddress { method: *method, hash: *hash })
        }
        Some(OutputKind::Floating(method, algo)) => Kind::Floating(*method, *algo),
        Some(OutputKind::InputAddressed) | None => Kind::InputAddressed,
    }
}

/// What stands before the digest in a store path.
const STORE_PREFIX: &[u8] = b"/nix/store/";

/// So many digits of a digest in a row are no accident.
const PIECE: usize = 8;

/// The texts that evaluation has seen of derivations whose paths a rebuilder may change.
#[derive(Default)]
struct Observed {
    by_text: HashMap<Vec<u8>, (DrvId, OutputName)>,
    /// The lengths that occur, longest first.
    lengths: Vec<usize>,
    /// Every run of [`PIECE`] digits in their digests.
    pieces: HashMap<[u8; PIECE], DrvId>,
}

impl Observed {
    /// Those of the whole evaluation: a context that was discarded leaves no way to them.
    fn collect(drvs: &DrvGraph) -> Result<Observed, ImportError> {
        let mut observed = Observed::default();
        for id in drvs.ids().filter(|&id| drvs.observed(id)) {
            let node = drvs.node(id);
            for (at, output) in node.outputs.iter().enumerate() {
                if matches!(output.kind, OutputKind::Fixed(..)) {
                    continue;
                }
                if drvs.hashed(id) {
                    return Err(ImportError::Hashed { observed: node.name.clone() });
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

    /// Whose digest a piece of this text is.
    fn find_piece(&self, text: &[u8]) -> Option<DrvId> {
        if self.pieces.is_empty() {
            return None;
        }
        text.windows(PIECE).find_map(|piece| self.pieces.get(piece).copied())
    }

    /// The first observed path in `text`: where, how long, whose.
    fn find(&self, text: &[u8]) -> Option<(usize, usize, DrvId, &OutputName)> {
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
