//! Reads derivations that builders made, and what these need, out of the store. The texts are
//! untrusted: they are parsed within bounds, name nothing that their builders had no access to, and
//! recursion goes no deeper for them. Nothing here says when they are read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use floe_core::drv::{Derivation, Dynamic, Modulo, ModuloError, ModuloMemo, Output};
use floe_core::path::{OutputName, StorePath};
use floe_core::placeholder;
use floe_lang::graph::{DrvGraph, DrvId};
use floe_store::Store;

use super::holes::{Hole, Holes, digests};
use super::{Discover, Discovery, DynamicError, Found, MAX_TEXT_BYTES, Place};
use crate::graph::NodeIx;
use crate::recipe::{Dep, Head, Kind, Piece, Recipe, Template, Text};
use crate::slot::Slot;

/// Reads derivations for one request.
pub struct Reader {
    slot: Arc<Slot>,
    drvs: Arc<DrvGraph>,
    /// The derivations of the graph's nodes.
    ids: Arc<[DrvId]>,
    /// Where they stand in the graph; made when one is asked for.
    nodes: OnceLock<HashMap<DrvId, NodeIx>>,
    /// Whether outputs that are named by instructions get other paths when they are built.
    lifts: bool,
    seen: Mutex<Seen>,
}

/// What is known of derivations that were read or asked for.
#[derive(Default)]
struct Seen {
    outputs: HashMap<StorePath, BTreeMap<OutputName, Output>>,
    /// Whose output path a digest is, where building gives another path.
    lifted: HashMap<Vec<u8>, String>,
    modulos: ModuloMemo,
}

impl Reader {
    /// A reader for the graph whose nodes are these derivations.
    pub fn new(slot: Arc<Slot>, drvs: Arc<DrvGraph>, ids: Arc<[DrvId]>, lifts: bool) -> Reader {
        Reader { slot, drvs, ids, nodes: OnceLock::new(), lifts, seen: Mutex::default() }
    }

    fn nodes(&self) -> &HashMap<DrvId, NodeIx> {
        let nodes = || (0u32..).zip(&*self.ids).map(|(at, id)| (*id, NodeIx(at))).collect();
        self.nodes.get_or_init(nodes)
    }

    /// Computes the paths of all derivations in the graph, so that they are found by these.
    fn name_all(&self) -> Result<(), DynamicError> {
        for &id in self.ids.iter().filter(|id| self.drvs.node(**id).made_by.is_none()) {
            self.drvs.drv_path(id)?;
        }
        Ok(())
    }

    fn text(&self, store: &Store, path: &StorePath) -> Result<Vec<u8>, DynamicError> {
        let place = store.physical(path);
        let io = |source| DynamicError::Io { path: place.clone(), source };
        let meta = std::fs::symlink_metadata(&place).map_err(io)?;
        if !meta.is_file() || meta.permissions().mode() & 0o111 != 0 {
            return Err(DynamicError::NoFile(path.clone()));
        }
        let mut text = Vec::new();
        let file = File::open(&place).map_err(io)?;
        file.take(MAX_TEXT_BYTES + 1).read_to_end(&mut text).map_err(io)?;
        match text.len() as u64 > MAX_TEXT_BYTES {
            true => Err(DynamicError::Long(path.clone())),
            false => Ok(text),
        }
    }
}

impl Discover for Reader {
    fn discover(
        &self,
        drv: &StorePath,
        known: &dyn Fn(&StorePath) -> Option<NodeIx>,
        room: usize,
    ) -> Result<Discovery, DynamicError> {
        let store = self.slot.get().ok_or_else(|| DynamicError::Missing(drv.clone()))?;
        let mut reading = Reading {
            reader: self,
            store: &store,
            known,
            seen: &mut self.seen.lock().unwrap_or_else(PoisonError::into_inner),
            found: Vec::new(),
            places: HashMap::new(),
            made: HashMap::new(),
            stray: None,
        };
        let root = reading.read(drv, room)?;
        Ok(Discovery { found: reading.found, root, stray: reading.stray })
    }
}

/// One discovery.
struct Reading<'a> {
    reader: &'a Reader,
    store: &'a Store,
    known: &'a dyn Fn(&StorePath) -> Option<NodeIx>,
    seen: &'a mut Seen,
    found: Vec<Found>,
    places: HashMap<StorePath, Place>,
    /// What stands for outputs of derivations that nothing has made yet.
    made: HashMap<(Place, OutputName, OutputName), Place>,
    stray: Option<DynamicError>,
}

/// What a derivation needs of one node.
struct Input {
    place: Place,
    name: String,
    outputs: Vec<OutputName>,
}

impl Reading<'_> {
    /// Reads a derivation after all that it needs, without recursion.
    fn read(&mut self, root: &StorePath, room: usize) -> Result<Place, DynamicError> {
        let mut open: HashMap<StorePath, Derivation> = HashMap::new();
        let mut stack = vec![root.clone()];
        while let Some(path) = stack.last().cloned() {
            if self.place(&path).is_some() {
                stack.pop();
                continue;
            }
            if !open.contains_key(&path) {
                if self.store.info(&path)?.is_none() {
                    // It may be one that was evaluated and never named.
                    self.reader.name_all()?;
                    match self.place(&path) {
                        Some(_) => continue,
                        None => return Err(DynamicError::Missing(path)),
                    }
                }
                if open.len() + self.found.len() >= room {
                    return Err(DynamicError::Many(room));
                }
                open.insert(path.clone(), self.parse(&path)?);
            }
            let drv = &open[&path];
            let inputs = drv.input_drvs.keys().chain(drv.dynamic_inputs.keys());
            let missing: Vec<StorePath> =
                inputs.filter(|input| self.place(input).is_none()).cloned().collect();
            if missing.is_empty() {
                let drv = open.remove(&path).expect("it was just looked at");
                let place = self.add(&path, drv)?;
                self.places.insert(path, place);
                stack.pop();
            } else if let Some(open) = missing.iter().find(|input| open.contains_key(*input)) {
                let chain = format!("{} needs {open}, which needs it", path.as_str());
                return Err(DynamicError::Cycle(chain));
            } else {
                stack.extend(missing);
            }
        }
        Ok(self.places.get(root).copied().or_else(|| self.place(root)).expect("it was read last"))
    }

    /// Where a derivation stands, if it was read or evaluated.
    fn place(&self, path: &StorePath) -> Option<Place> {
        if let Some(place) = self.places.get(path) {
            return Some(*place);
        }
        let evaluated = || self.reader.nodes().get(&self.reader.drvs.by_path(path)?).copied();
        (self.known)(path).or_else(evaluated).map(Place::Old)
    }

    /// Parses a text and checks it against what its object refers to.
    fn parse(&mut self, path: &StorePath) -> Result<Derivation, DynamicError> {
        let Some(name) = path.name().strip_suffix(".drv") else {
            return Err(DynamicError::Name(path.clone()));
        };
        let info = self.store.info(path)?.ok_or_else(|| DynamicError::Missing(path.clone()))?;
        let text = self.reader.text(self.store, path)?;
        let drv = Derivation::parse_aterm(name, &text)
            .map_err(|error| DynamicError::Text { path: path.clone(), error })?;
        drv.kind().map_err(|error| DynamicError::Kind { path: path.clone(), error })?;
        let refs: HashSet<&StorePath> = info.refs.iter().collect();
        if let Some(named) = drv.refs().iter().find(|named| !refs.contains(named)) {
            let stray = DynamicError::Stray { path: path.clone(), named: named.clone() };
            self.stray.get_or_insert(stray);
        }
        Ok(drv)
    }

    /// Adds a derivation whose inputs have places.
    fn add(&mut self, path: &StorePath, drv: Derivation) -> Result<Place, DynamicError> {
        self.check_paths(path, &drv)?;
        self.learn(path, drv.outputs.clone());
        let mut texts = HashMap::new();
        let mut inputs = Vec::new();
        for (input, outputs) in &drv.input_drvs {
            let known = self.outputs_of(input)?;
            for output in outputs {
                if let Some(path) = known.get(output).and_then(Output::path) {
                    let hole = Hole::Input(inputs.len(), output.clone());
                    texts.insert(path.as_str().into(), hole);
                }
                let hole = Hole::Input(inputs.len(), output.clone());
                texts.insert(placeholder::upstream(input, output).into(), hole);
            }
            inputs.push(Input {
                place: self.place(input).expect("inputs were read before"),
                name: input.name().to_owned(),
                outputs: outputs.iter().cloned().collect(),
            });
        }
        for (input, dynamic) in &drv.dynamic_inputs {
            self.add_dynamic(input, dynamic, &mut inputs, &mut texts);
        }
        for (name, output) in &drv.outputs {
            if let Some(path) = output.path() {
                texts.insert(path.as_str().into(), Hole::Own(name.clone()));
            }
        }
        let mut holes = Holes::new(texts, inputs.len());
        let (recipe, deps) = recipe(drv, inputs, &mut holes);
        if self.reader.lifts {
            self.refuse_lifted(path, &recipe)?;
        }
        self.found.push(Found { recipe: Arc::new(recipe), deps, drv: Some(path.clone()) });
        Ok(Place::New(self.found.len() - 1))
    }

    /// Adds what a derivation needs of outputs of `input` that are derivations.
    fn add_dynamic(
        &mut self,
        input: &StorePath,
        dynamic: &Dynamic,
        inputs: &mut Vec<Input>,
        texts: &mut HashMap<Vec<u8>, Hole>,
    ) {
        let maker = self.place(input).expect("inputs were read before");
        let mut todo = Vec::new();
        for (made_as, made) in &dynamic.0 {
            let stands = placeholder::upstream(input, made_as);
            todo.push((maker, input.name().to_owned(), made_as, stands, made));
        }
        while let Some((maker, name, made_as, stands, made)) = todo.pop() {
            let name = format!("{name}^{made_as}");
            let computed = |output: &OutputName| {
                placeholder::computed(&stands, output).expect("it is made of a placeholder")
            };
            for output in &made.outputs {
                let place = self.dynamic(maker, &name, made_as, output);
                let hole = Hole::Input(inputs.len(), output.clone());
                texts.insert(computed(output).into(), hole);
                let outputs = vec![output.clone()];
                inputs.push(Input { place, name: name.clone(), outputs });
            }
            for (output, inner) in &made.dynamic.0 {
                let place = self.dynamic(maker, &name, made_as, output);
                todo.push((place, name.clone(), output, computed(output), inner));
            }
        }
    }

    /// What stands for an output of the derivation that `maker` makes.
    fn dynamic(
        &mut self,
        maker: Place,
        name: &str,
        made_as: &OutputName,
        output: &OutputName,
    ) -> Place {
        let key = (maker, made_as.clone(), output.clone());
        *self.made.entry(key).or_insert_with(|| {
            let recipe = Arc::new(Recipe::dynamic(name, made_as.clone(), output.clone()));
            self.found.push(Found { recipe, deps: vec![maker], drv: None });
            Place::New(self.found.len() - 1)
        })
    }

    /// The outputs of an input, which was read before or evaluated.
    fn outputs_of(
        &mut self,
        path: &StorePath,
    ) -> Result<BTreeMap<OutputName, Output>, DynamicError> {
        if let Some(outputs) = self.seen.outputs.get(path) {
            return Ok(outputs.clone());
        }
        let Some(id) = self.reader.drvs.by_path(path) else { return Ok(BTreeMap::new()) };
        let file = self.reader.drvs.file(id)?;
        self.learn(path, file.outputs.clone());
        self.seen.modulos.insert(path.clone(), self.reader.drvs.derivation(id)?.modulo);
        Ok(file.outputs)
    }

    fn learn(&mut self, path: &StorePath, outputs: BTreeMap<OutputName, Output>) {
        for output in outputs.values() {
            if let Output::InputAddressed(own) = output {
                let digest = own.digest_text().as_bytes().to_vec();
                self.seen.lifted.insert(digest, path.name().to_owned());
            }
        }
        self.seen.outputs.insert(path.clone(), outputs);
    }

    /// Checks the output paths that follow from the instructions.
    fn check_paths(&mut self, path: &StorePath, drv: &Derivation) -> Result<(), DynamicError> {
        for input in drv.input_drvs.keys().chain(drv.dynamic_inputs.keys()) {
            self.outputs_of(input)?;
        }
        let modulos = &self.seen.modulos;
        let modulo_of = |input: &StorePath| {
            Ok::<_, ModuloError>(modulos.get(input).copied().unwrap_or(Modulo::Deferred))
        };
        let is_plain = |output: &Output| matches!(output, Output::InputAddressed(_));
        if drv.outputs.values().any(is_plain) {
            let mut again = drv.clone();
            again.outputs.values_mut().for_each(|output| *output = Output::Deferred);
            again.fill_outputs(modulo_of)?;
            for (output, claimed) in &drv.outputs {
                let given = &again.outputs[output];
                if given != claimed {
                    let shown = |output: &Output| {
                        output.path().map_or("none yet".into(), |path| path.to_string())
                    };
                    let (claimed, given) = (shown(claimed), shown(given));
                    let (path, output) = (path.clone(), output.clone());
                    return Err(DynamicError::OutputPath { path, output, claimed, given });
                }
            }
        }
        let modulo = drv.modulo(modulo_of)?;
        self.seen.modulos.insert(path.clone(), modulo);
        Ok(())
    }

    /// What building gives another path must not be left in a text.
    fn refuse_lifted(&self, path: &StorePath, recipe: &Recipe) -> Result<(), DynamicError> {
        let text = recipe.text();
        let mut left = text.templates().flat_map(digests);
        match left.find_map(|digest| self.seen.lifted.get(digest)) {
            Some(observed) => {
                Err(DynamicError::Discarded { path: path.clone(), observed: observed.clone() })
            }
            None => Ok(()),
        }
    }
}

/// The recipe of a text, and its inputs in the recipe's order.
fn recipe(drv: Derivation, inputs: Vec<Input>, holes: &mut Holes) -> (Recipe, Vec<Place>) {
    let kind = match drv.outputs.values().next() {
        Some(Output::Fixed(_, ca)) => Kind::Fixed(Box::new(*ca)),
        Some(Output::Floating(method, algo)) => Kind::Floating(*method, *algo),
        Some(Output::InputAddressed(_) | Output::Deferred) | None => Kind::InputAddressed,
    };
    let system = Template::text(drv.system);
    let builder = holes.template(&drv.builder);
    let args = drv.args.iter().map(|arg| holes.template(arg)).collect();
    let own =
        |name: &[u8]| drv.outputs.keys().find(|output| output.as_str().as_bytes() == name).cloned();
    let env = drv.env.iter().map(|(name, value)| {
        let value = match own(name) {
            Some(output) => Template(vec![Piece::Own(output)]),
            None => holes.template(value),
        };
        (Box::from(name.as_slice()), value)
    });
    let env = env.collect();
    // Those that only contexts name, by name.
    let mut rest: Vec<usize> = (0..inputs.len()).collect();
    rest.sort_by(|one, two| inputs[*one].name.cmp(&inputs[*two].name));
    let mut ordered: Vec<(u32, Input)> = Vec::with_capacity(inputs.len());
    for input in rest {
        holes.place(input);
    }
    for (nth, input) in inputs.into_iter().enumerate() {
        ordered.push((holes.place(nth), input));
    }
    ordered.sort_by_key(|(place, _)| *place);
    let (deps, places) = ordered
        .into_iter()
        .map(|(_, Input { outputs, place, .. })| (Dep { outputs: outputs.into() }, place))
        .unzip::<_, _, Vec<Dep>, _>();
    let head = Head {
        name: Arc::from(drv.name.as_str()),
        outputs: drv.outputs.keys().cloned().collect(),
        kind,
        deps: deps.into(),
    };
    let text = Text { system, builder, args, env, sources: drv.input_srcs };
    (Recipe::new(head, text), places)
}
