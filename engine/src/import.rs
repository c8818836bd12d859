//! From what evaluation found to the engine's graph: strings with handles become templates with
//! holes, in dense order. This is also where lifting is made exact: where evaluation *observed*
//! a derivation's path as text, that text is found again and becomes a hole; where it cannot be
//! attributed, the derivation is refused by name.

mod observed;
mod text;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};

use floe_core::ca::ContentAddress;
use floe_core::path::{OutputName, StorePath};
use floe_core::shared::shared;
use floe_lang::graph::{
    DrvGraph, DrvId, DrvNode, GraphError, InputSrc, OutputKind, Segment, SourceId,
};
use floe_lang::host::HostError;
use rustc_hash::{FxHashMap, FxHashSet};

use observed::Observed;
pub use observed::Seen;
use text::{Making, Writer, deps_in_order, input_index, output_names};

use crate::alias::Aliases;
use crate::graph::{Graph, NodeIx, Target};
use crate::recipe::{Dep, Head, Kind, Recipe, Teller, Text};

/// What evaluation was asked for: an attribute path, a derivation, and some of its outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub drvs: Arc<[DrvId]>,
    /// Inputs to be put into the store before a builder may read them.
    pub materials: HashMap<StorePath, Material>,
}

/// What differs from a graph that was imported before, where that is nothing but what some recipes
/// say.
pub struct Revised {
    /// Those recipes, and where they stand.
    pub recipes: Vec<(NodeIx, Arc<Recipe>)>,
    /// Inputs of theirs to be put into the store before a builder may read them.
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
    drvs: &Arc<DrvGraph>,
    wanted: &[Wanted],
    seen: &Seen,
    aliases: &Aliases,
) -> Result<Imported, ImportError> {
    Imports::default().import(drvs, wanted, seen, aliases)
}

/// What was imported of an evaluation that goes on: a derivation's recipe is made once.
#[derive(Default)]
pub struct Imports {
    graph: Weak<DrvGraph>,
    /// By id, those of the last import.
    recipes: Vec<Option<Known>>,
    last: Option<Last>,
    shared: Shared,
}

/// The last import.
struct Last {
    wanted: Vec<Wanted>,
    drvs: Arc<[DrvId]>,
    /// How many redefinitions there had been.
    redefinitions: u32,
    /// Whether any recipe holds the path of a derivation's file, which every edit below changes.
    holds_paths: bool,
}

/// After more redefinitions than this everything is looked at.
const FEW: usize = 1000;

/// A derivation that was imported, and what it depends on in the recipe's order.
struct Known {
    recipe: Arc<Recipe>,
    deps: Box<[DrvId]>,
    /// Where its node lay.
    place: DrvId,
    /// For one that holds the path of a derivation's file, how many redefinitions there had been.
    holds_paths: Option<u32>,
}

impl Known {
    /// Whether it would come out the same.
    fn stands(&self, drvs: &DrvGraph, id: DrvId) -> bool {
        self.place == drvs.now(id)
            && self.holds_paths.is_none_or(|then| then == drvs.redefinitions())
    }

    /// Whether it can take the other one's place in a graph whose names and edges stay as they are.
    fn is_shaped_like(&self, other: &Known) -> bool {
        self.deps == other.deps
            && self.holds_paths.is_none()
            && !self.recipe.is_dynamic()
            && self.recipe.is_shaped_like(&other.recipe)
    }
}

impl Imports {
    /// Imports everything that `wanted` reaches. Nodes stand in an order that depends on what uses
    /// what and on nothing else, so that an edit which leaves that alone leaves each its place.
    ///
    /// # Errors
    /// As [`import`].
    pub fn import(
        &mut self,
        drvs: &Arc<DrvGraph>,
        wanted: &[Wanted],
        seen: &Seen,
        aliases: &Aliases,
    ) -> Result<Imported, ImportError> {
        let observed = Observed::collect(drvs, seen)?;
        let redefinitions = drvs.redefinitions();
        // What was observed since may be a hole in what was imported before.
        let stands = observed.is_empty() && aliases.is_empty();
        self.last = None;
        if !stands || !std::ptr::eq(self.graph.as_ptr(), Arc::as_ptr(drvs)) {
            self.recipes.clear();
            self.graph = Arc::downgrade(drvs);
        }
        let mut former = std::mem::take(&mut self.recipes);
        for (at, slot) in former.iter_mut().enumerate() {
            slot.take_if(|known| !known.stands(drvs, DrvId(at as u32)));
        }
        former.resize_with(drvs.len(), || None);
        let order = order(drvs, wanted, &former);
        let mut importer = Importer {
            drvs,
            writer: Writer { drvs, aliases, observed },
            again: stands.then(|| Arc::new(Again(Arc::clone(drvs)))),
            shared: &mut self.shared,
            materials: HashMap::new(),
        };
        let mut graph = Graph::default();
        let mut nodes = vec![NodeIx(u32::MAX); drvs.len()];
        let mut recipes: Vec<Option<Known>> = Vec::new();
        recipes.resize_with(drvs.len(), || None);
        let mut holds_paths = false;
        for &id in &order {
            let known = match former[id.0 as usize].take() {
                Some(known) => known,
                None => importer.recipe(id)?,
            };
            let deps: Vec<NodeIx> = known.deps.iter().map(|dep| nodes[dep.0 as usize]).collect();
            nodes[id.0 as usize] = graph.add(Arc::clone(&known.recipe), &deps);
            holds_paths |= known.holds_paths.is_some();
            recipes[id.0 as usize] = Some(known);
        }
        let ids: Arc<[DrvId]> = order.into();
        if stands {
            self.recipes = recipes;
            let (wanted, drvs) = (wanted.to_vec(), Arc::clone(&ids));
            self.last = Some(Last { wanted, drvs, redefinitions, holds_paths });
        }
        graph.targets = wanted
            .iter()
            .map(|wanted| Target {
                attr: wanted.attr.clone(),
                node: nodes[wanted.drv.0 as usize],
                outputs: wanted.outputs.clone(),
            })
            .collect();
        Ok(Imported { graph, drvs: ids, materials: importer.materials })
    }

    /// What differs from the last import, which gave these nodes, if the same is asked for again and
    /// nothing differs but what a few recipes say. It costs what was redefined, however much was
    /// imported.
    ///
    /// # Errors
    /// As [`import`].
    pub fn revise(
        &mut self,
        nodes: &Arc<[DrvId]>,
        drvs: &Arc<DrvGraph>,
        wanted: &[Wanted],
        seen: &Seen,
        aliases: &Aliases,
    ) -> Result<Option<Revised>, ImportError> {
        let is_same = |last: &&mut Last| {
            Arc::ptr_eq(&last.drvs, nodes)
                && std::ptr::eq(self.graph.as_ptr(), Arc::as_ptr(drvs))
                && last.wanted == wanted
                && aliases.is_empty()
        };
        let Some(last) = self.last.as_mut().filter(is_same) else { return Ok(None) };
        let observed = Observed::collect(drvs, seen)?;
        let redefinitions = drvs.redefinitions();
        let changed: BTreeSet<DrvId> = drvs.redefined_since(last.redefinitions).collect();
        let holds_paths = last.holds_paths && !changed.is_empty();
        if !observed.is_empty() || holds_paths || changed.len() > FEW {
            return Ok(None);
        }
        let places = places(&last.drvs, &changed);
        let mut importer = Importer {
            drvs,
            writer: Writer { drvs, aliases, observed },
            again: Some(Arc::new(Again(Arc::clone(drvs)))),
            shared: &mut self.shared,
            materials: HashMap::new(),
        };
        let mut new = Vec::new();
        for id in changed {
            // What nothing wanted reaches is no part of the graph.
            let Some(place) = places.get(&id) else { continue };
            let Some(former) = &self.recipes[id.0 as usize] else { return Ok(None) };
            let known = importer.recipe(id)?;
            if !known.is_shaped_like(former) {
                return Ok(None);
            }
            new.push((id, *place, known));
        }
        last.redefinitions = redefinitions;
        let mut recipes = Vec::new();
        for (id, place, known) in new {
            let recipe = Arc::clone(&known.recipe);
            let former = self.recipes[id.0 as usize].replace(known);
            if former.is_none_or(|former| former.recipe != recipe) {
                recipes.push((place, recipe));
            }
        }
        recipes.sort_unstable_by_key(|(place, _)| *place);
        Ok(Some(Revised { recipes, materials: importer.materials }))
    }
}

/// Where these derivations stand among the nodes, as far as they do.
fn places(nodes: &[DrvId], of: &BTreeSet<DrvId>) -> FxHashMap<DrvId, NodeIx> {
    let mut places = FxHashMap::default();
    if !of.is_empty() {
        let all = nodes.iter().zip(0u32..);
        places.extend(all.filter(|(id, _)| of.contains(id)).map(|(id, at)| (*id, NodeIx(at))));
    }
    places
}

/// All derivations reachable from the wanted ones, each after what it depends on.
fn order(drvs: &DrvGraph, wanted: &[Wanted], known: &[Option<Known>]) -> Vec<DrvId> {
    let deps = |id: DrvId| match &known[id.0 as usize] {
        Some(known) => Cow::Borrowed(&*known.deps),
        None => Cow::Owned(deps_in_order(drvs, &drvs.instructions(id))),
    };
    let mut seen = vec![false; drvs.len()];
    let mut order = Vec::new();
    let mut stack: Vec<(DrvId, Cow<'_, [DrvId]>, usize)> = Vec::new();
    for wanted in wanted {
        if std::mem::replace(&mut seen[wanted.drv.0 as usize], true) {
            continue;
        }
        stack.push((wanted.drv, deps(wanted.drv), 0));
        while let Some((id, below, next)) = stack.last_mut() {
            match below.get(*next).copied() {
                Some(dep) => {
                    *next += 1;
                    if !std::mem::replace(&mut seen[dep.0 as usize], true) {
                        stack.push((dep, deps(dep), 0));
                    }
                }
                None => {
                    order.push(*id);
                    stack.pop();
                }
            }
        }
    }
    order
}

struct Importer<'a> {
    drvs: &'a DrvGraph,
    writer: Writer<'a>,
    /// Who tells texts again that hold nothing of what evaluation observed.
    again: Option<Arc<Again>>,
    shared: &'a mut Shared,
    materials: HashMap<StorePath, Material>,
}

/// Lists that most recipes have in common.
#[derive(Default)]
struct Shared {
    names: FxHashSet<Arc<[OutputName]>>,
    deps: FxHashSet<Arc<[Dep]>>,
}

impl Importer<'_> {
    fn recipe(&mut self, id: DrvId) -> Result<Known, ImportError> {
        let node = self.drvs.node(id);
        if let Some(made) = node.made_by {
            let made_as = self.drvs.node(made.drv).outputs[made.output as usize].name.clone();
            let recipe = Recipe::dynamic(&node.name, made_as, node.outputs[0].name.clone());
            return Ok(Known {
                recipe: Arc::new(recipe),
                deps: Box::new([made.drv]),
                place: self.drvs.now(id),
                holds_paths: None,
            });
        }
        let place = self.drvs.now(id);
        let making = Making::new(self.drvs, id, place);
        let text = self.writer.text(&making)?;
        let instructions = &making.instructions;
        let mut holds_paths = false;
        for src in &instructions.input_srcs {
            match src {
                InputSrc::Source(source) => {
                    let path = self.drvs.source_path(*source)?;
                    self.materials.insert(path, Material::Source(*source));
                }
                InputSrc::Path(_) => {}
                InputSrc::DrvFile(drv) => {
                    let path = self.drvs.drv_path(*drv)?;
                    self.materials.insert(path, Material::DrvFile(*drv));
                    holds_paths = true;
                }
            }
        }
        let mut names_itself = false;
        for segment in instructions.strings().flat_map(|string| &*string.0) {
            holds_paths |= matches!(segment, Segment::DrvPath(_));
            names_itself |= matches!(segment, Segment::Output(drv, _) if *drv == id);
        }
        let outputs: Vec<_> = node.outputs.iter().map(|output| output.name.clone()).collect();
        let deps = making.deps.iter().map(|dep| {
            let at = input_index(instructions, *dep).expect("it is an input");
            let input = &instructions.input_drvs[at];
            let names = output_names(self.drvs, input.drv, &input.outputs);
            Dep { outputs: shared(&mut self.shared.names, names) }
        });
        let deps: Vec<Dep> = deps.collect();
        let head = Head {
            name: Arc::clone(&node.name),
            outputs: shared(&mut self.shared.names, outputs),
            kind: kind(node),
            deps: shared(&mut self.shared.deps, deps),
        };
        let mut recipe = Recipe::new(head, text);
        if let Some(again) = self.again.as_ref().filter(|_| !holds_paths && !names_itself) {
            recipe = recipe.told_by(Arc::clone(again) as Arc<dyn Teller>, place.0);
        }
        Ok(Known {
            recipe: Arc::new(recipe),
            deps: making.deps.into(),
            place,
            holds_paths: holds_paths.then(|| self.drvs.redefinitions()),
        })
    }
}

/// Tells the texts of derivations that hold no path which may change.
struct Again(Arc<DrvGraph>);

impl Teller for Again {
    fn text(&self, number: u32) -> Text {
        let place = DrvId(number);
        let (aliases, observed) = (Aliases::default(), Observed::default());
        let writer = Writer { drvs: &self.0, aliases: &aliases, observed };
        let making = Making::new(&self.0, place, place);
        writer.text(&making).expect("it was made once")
    }
}

fn kind(node: &DrvNode) -> Kind {
    match node.outputs.first().map(|output| &output.kind) {
        Some(OutputKind::Fixed(method, hash)) => {
            Kind::Fixed(Box::new(ContentAddress { method: *method, hash: **hash }))
        }
        Some(OutputKind::Floating(method, algo)) => Kind::Floating(*method, *algo),
        Some(OutputKind::InputAddressed) | None => Kind::InputAddressed,
    }
}
