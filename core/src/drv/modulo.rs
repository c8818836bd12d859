//! Hashes of derivations *modulo* how their fixed outputs are fetched: what names
//! input-addressed outputs. The caller supplies the derivations and keeps the memo.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::aterm::{Mask, Tail, write};
use super::dynamic::Uses;
use super::{Derivation, Kind, KindError, Output};
use crate::ca;
use crate::hash::{Hash, HashAlgo};
use crate::path::{OutputName, PathError, StorePath};
use crate::placeholder;

/// What a derivation counts as where another one depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modulo {
    /// Input-addressed: its text, with its inputs replaced by their own hashes.
    InputAddressed(Hash),
    /// Fixed: only the content and the path of its one output.
    Fixed(Hash),
    /// It is floating, or depends on something floating: unknown before a build.
    Deferred,
}

/// The outputs needed of each input, by what it counts as.
type Inputs = BTreeMap<String, BTreeSet<OutputName>>;

/// The inputs as a text names them.
fn names(inputs: &Inputs) -> impl Iterator<Item = (&str, Uses<'_>)> {
    inputs.iter().map(|(hash, outputs)| (hash.as_str(), Uses::plain(outputs)))
}

/// What has been computed already, by derivation path.
pub type ModuloMemo = HashMap<StorePath, Modulo>;

/// Why a derivation has no hash modulo.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModuloError {
    /// Its outputs do not go together.
    #[error(transparent)]
    Kind(#[from] KindError),
    /// An output's name makes no valid path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// It needs an output that the fixed derivation does not have.
    #[error("derivation '{name}' needs output '{output}' of '{input}', which has only 'out'")]
    NoSuchOutput {
        /// The derivation.
        name: String,
        /// What it depends on.
        input: StorePath,
        /// The output that is missing.
        output: OutputName,
    },
    /// Derivations that need one another.
    #[error("derivation '{0}' depends on itself")]
    Cycle(StorePath),
}

impl Derivation {
    /// What this derivation counts as for those that depend on it. `input` answers the same
    /// for its own inputs.
    pub fn modulo<E: From<ModuloError>>(
        &self,
        input: impl FnMut(&StorePath) -> Result<Modulo, E>,
    ) -> Result<Modulo, E> {
        match self.kind().map_err(ModuloError::from)? {
            Kind::Floating | Kind::Deferred => Ok(Modulo::Deferred),
            Kind::Fixed => Ok(self.fixed_modulo()),
            Kind::InputAddressed => {
                let hash = self.hash_text(Mask::None, input)?;
                Ok(hash.map_or(Modulo::Deferred, Modulo::InputAddressed))
            }
        }
    }

    /// Does what `derivationStrict` does last: finds the output paths and puts them (or a
    /// placeholder for a floating one) into the environment under the outputs' names.
    /// Outputs that are to be input-addressed are given as [`Output::Deferred`], and stay so
    /// when an input is.
    pub fn fill_outputs<E: From<ModuloError>>(
        &mut self,
        input: impl FnMut(&StorePath) -> Result<Modulo, E>,
    ) -> Result<(), E> {
        self.fill(input).map(drop)
    }

    /// [`Derivation::fill_outputs`], [`Derivation::modulo`] and [`Derivation::drv_path`], with one
    /// look at the inputs; what the three texts have in common is written once.
    pub fn complete<E: From<ModuloError>>(
        &mut self,
        input: impl FnMut(&StorePath) -> Result<Modulo, E>,
    ) -> Result<(Modulo, StorePath), E> {
        let inputs = match self.kind().map_err(ModuloError::from)? {
            Kind::Floating | Kind::Fixed => self.fill(input)?,
            Kind::InputAddressed | Kind::Deferred => {
                self.blank_outputs();
                self.inputs(input)?
            }
        };
        let tail = Tail::of(self);
        if let Some(inputs) = &inputs {
            let hash = tail.hash(self, &mut names(inputs), Mask::Outputs);
            self.set_output_paths(&hash).map_err(ModuloError::from)?;
        }
        let modulo = match self.kind().map_err(ModuloError::from)? {
            Kind::Floating | Kind::Deferred => Modulo::Deferred,
            Kind::Fixed => self.fixed_modulo(),
            Kind::InputAddressed => match &inputs {
                Some(inputs) => {
                    Modulo::InputAddressed(tail.hash(self, &mut names(inputs), Mask::None))
                }
                None => Modulo::Deferred,
            },
        };
        let hash = self.with_inputs(|own| tail.hash(self, own, Mask::None));
        let path = ca::text_path_of(&format!("{}.drv", self.name), &hash, &self.refs());
        Ok((modulo, path.map_err(ModuloError::from)?))
    }

    /// Puts nothing into the environment under the outputs' names.
    fn blank_outputs(&mut self) {
        for name in self.outputs.keys() {
            self.env.insert(name.as_str().into(), Vec::new());
        }
    }

    /// Fills the outputs in, and tells what the inputs count as where that mattered.
    fn fill<E: From<ModuloError>>(
        &mut self,
        input: impl FnMut(&StorePath) -> Result<Modulo, E>,
    ) -> Result<Option<Inputs>, E> {
        match self.kind().map_err(ModuloError::from)? {
            Kind::Floating => {
                for name in self.outputs.keys() {
                    let value = placeholder::output(name.as_str());
                    self.env.insert(name.as_str().into(), value.into());
                }
                Ok(None)
            }
            Kind::Fixed => {
                for (name, output) in &self.outputs {
                    let value = output.path().map_or("", StorePath::as_str);
                    self.env.insert(name.as_str().into(), value.into());
                }
                Ok(None)
            }
            Kind::InputAddressed | Kind::Deferred => {
                self.blank_outputs();
                let inputs = self.inputs(input)?;
                if let Some(inputs) = &inputs {
                    let hash = self.hash_with(inputs, Mask::Outputs);
                    self.set_output_paths(&hash).map_err(ModuloError::from)?;
                }
                Ok(inputs)
            }
        }
    }

    /// Names every output by the masked hash, in the outputs and in the environment.
    pub(super) fn set_output_paths(&mut self, hash: &Hash) -> Result<(), PathError> {
        for (name, output) in &mut self.outputs {
            let path = ca::output_path(name, hash, &self.name)?;
            self.env.insert(name.as_str().into(), path.as_str().into());
            *output = Output::InputAddressed(path);
        }
        Ok(())
    }

    /// The hash of the text with inputs replaced by hashes; `None` when one is deferred.
    pub(super) fn hash_text<E: From<ModuloError>>(
        &self,
        mask: Mask,
        input: impl FnMut(&StorePath) -> Result<Modulo, E>,
    ) -> Result<Option<Hash>, E> {
        Ok(self.inputs(input)?.map(|inputs| self.hash_with(&inputs, mask)))
    }

    fn hash_with(&self, inputs: &Inputs, mask: Mask) -> Hash {
        Hash::of(HashAlgo::Sha256, &write(self, &mut names(inputs), mask))
    }

    /// What the inputs count as; `None` when one is deferred.
    fn inputs<E: From<ModuloError>>(
        &self,
        mut input: impl FnMut(&StorePath) -> Result<Modulo, E>,
    ) -> Result<Option<Inputs>, E> {
        let mut inputs = Inputs::new();
        for (path, outputs) in &self.input_drvs {
            match input(path)? {
                Modulo::Deferred => return Ok(None),
                Modulo::InputAddressed(hash) => {
                    inputs.entry(hash.base16()).or_default().extend(outputs.iter().cloned());
                }
                Modulo::Fixed(hash) => {
                    if let Some(output) = outputs.iter().find(|output| output.as_str() != "out") {
                        let (name, input, output) =
                            (self.name.clone(), path.clone(), output.clone());
                        return Err(ModuloError::NoSuchOutput { name, input, output }.into());
                    }
                    inputs.entry(hash.base16()).or_default().extend(outputs.iter().cloned());
                }
            }
        }
        // As in C++ Nix: what is needed of a derivation that is an output counts as nothing where
        // the one that makes it is known beforehand.
        for path in self.dynamic_inputs.keys() {
            if input(path)? == Modulo::Deferred {
                return Ok(None);
            }
        }
        Ok(Some(inputs))
    }

    fn fixed_modulo(&self) -> Modulo {
        let fixed = self.outputs.values().find_map(|output| match output {
            Output::Fixed(path, ca) => Some((path, ca)),
            _ => None,
        });
        fixed.map_or(Modulo::Deferred, |(path, ca)| {
            let text = format!("fixed:out:{}:{}:{path}", ca.method_algo(), ca.hash.base16());
            Modulo::Fixed(Hash::of(HashAlgo::Sha256, text.as_bytes()))
        })
    }
}

/// The hash modulo of the derivation at `path`, reading it and what it depends on by `read`
/// and keeping everything in `memo`. Does not recurse, however deep the graph.
pub fn hash_modulo<E: From<ModuloError>>(
    path: &StorePath,
    memo: &mut ModuloMemo,
    mut read: impl FnMut(&StorePath) -> Result<Derivation, E>,
) -> Result<Modulo, E> {
    if let Some(&known) = memo.get(path) {
        return Ok(known);
    }
    let mut open = BTreeSet::from([path.clone()]);
    let mut stack = vec![(path.clone(), read(path)?)];
    while let Some((at, drv)) = stack.last() {
        // A fixed derivation's inputs do not matter: leave them unread.
        let needs_inputs = drv.kind().map_err(ModuloError::from)? == Kind::InputAddressed;
        let mut inputs = drv.input_drvs.keys().chain(drv.dynamic_inputs.keys());
        let missing = inputs.find(|input| needs_inputs && !memo.contains_key(*input));
        if let Some(missing) = missing.cloned() {
            if !open.insert(missing.clone()) {
                return Err(ModuloError::Cycle(missing).into());
            }
            let next = read(&missing)?;
            stack.push((missing, next));
            continue;
        }
        let known =
            |input: &StorePath| Ok::<_, E>(memo.get(input).copied().unwrap_or(Modulo::Deferred));
        let modulo = drv.modulo(known)?;
        memo.insert(at.clone(), modulo);
        open.remove(at);
        stack.pop();
    }
    Ok(memo[path])
}
