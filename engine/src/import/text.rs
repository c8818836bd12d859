//! The texts of an evaluated derivation as templates: handles become holes, and so does what
//! evaluation observed of paths. What else a recipe is made of is the importer's affair.

use std::collections::BTreeSet;

use floe_core::path::{OutputName, StorePath};
use floe_lang::graph::{
    DrvGraph, DrvId, DrvNode, InputSrc, Instructions, Segment, SourceId, SymStr,
};
use floe_lang::host::Origin;

use super::ImportError;
use super::observed::Observed;
use crate::alias::Aliases;
use crate::recipe::{Piece, Template, Text};

/// What a derivation depends on, in the order in which its texts name it; then what only their
/// contexts do, by name. Ids would give another order after each edit.
pub(super) fn deps_in_order(drvs: &DrvGraph, instructions: &Instructions) -> Vec<DrvId> {
    let inputs = &instructions.input_drvs;
    let mut deps = Vec::with_capacity(inputs.len());
    let mut named = vec![false; inputs.len()];
    for segment in instructions.strings().flat_map(|string| &*string.0) {
        if let Segment::Output(drv, _) = segment
            && let Some(at) = input_index(instructions, *drv)
            && !std::mem::replace(&mut named[at], true)
        {
            deps.push(*drv);
        }
    }
    let rest = inputs.iter().zip(named).filter(|(_, named)| !named);
    let mut rest: Vec<DrvId> = rest.map(|(input, _)| input.drv).collect();
    rest.sort_by(|one, two| drvs.node(*one).name.cmp(&drvs.node(*two).name));
    deps.extend(rest);
    deps
}

pub(super) fn input_index(instructions: &Instructions, drv: DrvId) -> Option<usize> {
    instructions.input_drvs.binary_search_by_key(&drv, |input| input.drv).ok()
}

/// A derivation whose recipe is being made.
pub(super) struct Making<'a> {
    id: DrvId,
    node: &'a DrvNode,
    pub(super) instructions: Instructions,
    /// What it depends on, in the recipe's order.
    pub(super) deps: Vec<DrvId>,
    /// For each of its inputs, where it stands among these.
    places: Vec<u32>,
}

impl<'a> Making<'a> {
    /// Of the node at a place, for the derivation of this id.
    pub(super) fn new(drvs: &'a DrvGraph, id: DrvId, place: DrvId) -> Making<'a> {
        let (node, instructions) = (drvs.node_at(place), drvs.instructions_at(place));
        let deps = deps_in_order(drvs, &instructions);
        let mut places = vec![0; deps.len()];
        for (place, dep) in (0u32..).zip(&deps) {
            places[input_index(&instructions, *dep).expect("it is an input")] = place;
        }
        Making { id, node, instructions, deps, places }
    }

    fn dep(&self, drv: DrvId) -> Option<u32> {
        input_index(&self.instructions, drv).map(|at| self.places[at])
    }
}

pub(super) fn output_names(drvs: &DrvGraph, drv: DrvId, outputs: &[u32]) -> Vec<OutputName> {
    let node = drvs.node(drv);
    outputs.iter().map(|&at| node.outputs[at as usize].name.clone()).collect()
}

/// Writes texts.
pub(super) struct Writer<'a> {
    pub(super) drvs: &'a DrvGraph,
    pub(super) aliases: &'a Aliases,
    pub(super) observed: Observed,
}

impl Writer<'_> {
    /// The text of a recipe.
    pub(super) fn text(&self, making: &Making<'_>) -> Result<Text, ImportError> {
        let Making { node, instructions, .. } = making;
        let mut sources = BTreeSet::new();
        for src in &instructions.input_srcs {
            sources.insert(match src {
                InputSrc::Source(source) => {
                    self.source(*source)?;
                    self.drvs.source_path(*source)?
                }
                InputSrc::Path(path) => self.aliases.real(path).unwrap_or_else(|| path.clone()),
                InputSrc::DrvFile(drv) => self.drvs.drv_path(*drv)?,
            });
        }
        let mut env: Vec<(Box<[u8]>, Template)> = Vec::with_capacity(instructions.env.len());
        for (name, value) in &instructions.env {
            let own = node
                .outputs
                .iter()
                .find(|output| output.name.as_str().as_bytes() == name.as_bytes());
            let value = match own {
                Some(output) => Template(vec![Piece::Own(output.name.clone())]),
                None => self.template(making, value)?,
            };
            env.push((name.as_bytes().into(), value));
        }
        let args = instructions.args.iter().map(|arg| self.template(making, arg));
        Ok(Text {
            system: self.template(making, &instructions.system)?,
            builder: self.template(making, &instructions.builder)?,
            args: args.collect::<Result<_, _>>()?,
            env,
            sources,
        })
    }

    /// A text that evaluation wrote cannot have holes.
    fn source(&self, source: SourceId) -> Result<(), ImportError> {
        let source = self.drvs.source(source);
        let Origin::Text(text, _) = &source.origin else { return Ok(()) };
        let user = || source.name.to_string();
        if let Some((_, _, drv, _)) = self.observed.find(text) {
            let observed = self.drvs.node(drv).name.to_string();
            return Err(ImportError::Discarded { user: user(), observed });
        }
        self.refuse_cut(text, user)
    }

    /// What is left when whole paths are holes must hold no piece of one.
    fn refuse_cut(&self, text: &[u8], user: impl Fn() -> String) -> Result<(), ImportError> {
        match self.observed.find_piece(text) {
            Some(drv) => {
                let observed = self.drvs.node(drv).name.to_string();
                Err(ImportError::Cut { user: user(), observed })
            }
            None => Ok(()),
        }
    }

    fn template(&self, making: &Making<'_>, string: &SymStr) -> Result<Template, ImportError> {
        let (id, node) = (making.id, making.node);
        let mut pieces = Vec::with_capacity(string.0.len());
        for segment in &*string.0 {
            match segment {
                Segment::Text(text) => self.literal(making, text, &mut pieces)?,
                Segment::Output(drv, at) if *drv == id => {
                    pieces.push(Piece::Own(node.outputs[*at as usize].name.clone()));
                }
                Segment::Output(drv, at) => {
                    let output = self.drvs.node(*drv).outputs[*at as usize].name.clone();
                    match making.dep(*drv) {
                        Some(dep) => pieces.push(Piece::Input { dep, output }),
                        None => {
                            return Err(ImportError::Discarded {
                                user: node.name.to_string(),
                                observed: self.drvs.node(*drv).name.to_string(),
                            });
                        }
                    }
                }
                Segment::DrvPath(drv) => pieces.push(Piece::Path(self.drvs.drv_path(*drv)?)),
                Segment::Source(source) => {
                    pieces.push(Piece::Path(self.drvs.source_path(*source)?));
                }
            }
        }
        Ok(Template(pieces))
    }

    /// The object behind a path that evaluation read in an output: the derivation has it as a
    /// source.
    fn read_path(&self, instructions: &Instructions, text: &[u8]) -> Option<StorePath> {
        let path = StorePath::parse(std::str::from_utf8(text).ok()?).ok()?;
        let is_source = instructions
            .input_srcs
            .iter()
            .any(|src| matches!(src, InputSrc::Path(source) if *source == path));
        is_source.then(|| self.aliases.real(&path).unwrap_or(path))
    }

    /// Literal text, in which paths of observed derivations are holes again.
    fn literal(
        &self,
        making: &Making<'_>,
        text: &[u8],
        pieces: &mut Vec<Piece>,
    ) -> Result<(), ImportError> {
        let node = making.node;
        let mut rest = text;
        while let Some((at, len, drv, output)) = self.observed.find(rest) {
            let found = match making.dep(drv) {
                Some(dep) => Piece::Input { dep, output: output.clone() },
                None => match self.read_path(&making.instructions, &rest[at..at + len]) {
                    Some(real) => Piece::Path(real),
                    None => {
                        return Err(ImportError::Discarded {
                            user: node.name.to_string(),
                            observed: self.drvs.node(drv).name.to_string(),
                        });
                    }
                },
            };
            if at > 0 {
                self.refuse_cut(&rest[..at], || node.name.to_string())?;
                pieces.push(Piece::Text(rest[..at].into()));
            }
            pieces.push(found);
            rest = &rest[at + len..];
        }
        if !rest.is_empty() {
            self.refuse_cut(rest, || node.name.to_string())?;
            pieces.push(Piece::Text(rest.into()));
        }
        Ok(())
    }
}
