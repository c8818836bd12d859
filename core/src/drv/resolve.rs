//! Resolution: the derivation that is left when every input has become a store path.

use std::collections::{BTreeMap, HashMap};

use memchr::memchr_iter;

use super::aterm::Mask;
use super::modulo::{Modulo, ModuloError};
use super::{Derivation, Kind};
use crate::base32;
use crate::path::{OutputName, StorePath};
use crate::placeholder;

/// Why a derivation cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// An input's path is not known: it has not been built.
    #[error(
        "derivation '{name}' cannot be resolved: the path of output '{output}' of '{input}' is not known"
    )]
    Unknown {
        /// The derivation.
        name: String,
        /// The input derivation.
        input: StorePath,
        /// Its output.
        output: OutputName,
    },
    /// The resolved derivation's outputs cannot be named.
    #[error(transparent)]
    Modulo(#[from] ModuloError),
}

impl Derivation {
    /// The same instructions on store paths alone: what `path_of` answers takes the place of
    /// each input's placeholder, and joins the sources; deferred outputs get their paths. An output
    /// that is a derivation is asked for, and then what is needed of that.
    pub fn resolve(
        &self,
        mut path_of: impl FnMut(&StorePath, &OutputName) -> Option<StorePath>,
    ) -> Result<Derivation, ResolveError> {
        let mut path_of = |input: &StorePath, output: &OutputName| {
            path_of(input, output).ok_or_else(|| ResolveError::Unknown {
                name: self.name.clone(),
                input: input.clone(),
                output: output.clone(),
            })
        };
        let mut rewrites = HashMap::new();
        let mut input_srcs = self.input_srcs.clone();
        for (input, outputs) in &self.input_drvs {
            for output in outputs {
                let path = path_of(input, output)?;
                rewrites.insert(placeholder::upstream(input, output), path.clone());
                input_srcs.insert(path);
            }
        }
        let mut made = Vec::new();
        for (input, dynamic) in &self.dynamic_inputs {
            for (output, uses) in &dynamic.0 {
                let drv = path_of(input, output)?;
                made.push((drv, placeholder::upstream(input, output), uses));
            }
        }
        while let Some((drv, stands, uses)) = made.pop() {
            let computed = |output: &OutputName| {
                placeholder::computed(&stands, output).expect("it is made of a placeholder")
            };
            for output in &uses.outputs {
                let path = path_of(&drv, output)?;
                rewrites.insert(computed(output), path.clone());
                input_srcs.insert(path);
            }
            for (output, uses) in &uses.dynamic.0 {
                made.push((path_of(&drv, output)?, computed(output), uses));
            }
        }
        let mut env = BTreeMap::new();
        for (name, value) in &self.env {
            env.entry(rewrite(name, &rewrites)).or_insert_with(|| rewrite(value, &rewrites));
        }
        let mut resolved = Derivation {
            name: self.name.clone(),
            outputs: self.outputs.clone(),
            input_drvs: BTreeMap::new(),
            dynamic_inputs: BTreeMap::new(),
            input_srcs,
            system: self.system.clone(),
            builder: rewrite(&self.builder, &rewrites),
            args: self.args.iter().map(|arg| rewrite(arg, &rewrites)).collect(),
            env,
        };
        if resolved.kind().map_err(ModuloError::from)? == Kind::Deferred {
            let no_input = |_: &StorePath| Ok::<_, ModuloError>(Modulo::Deferred);
            if let Some(hash) = resolved.hash_text(Mask::Outputs, no_input)? {
                resolved.set_output_paths(&hash).map_err(ModuloError::from)?;
            }
        }
        Ok(resolved)
    }
}

/// Replaces every placeholder in one walk over the bytes.
fn rewrite(text: &[u8], rewrites: &HashMap<String, StorePath>) -> Vec<u8> {
    let mut result = Vec::with_capacity(text.len());
    let mut done = 0;
    for at in memchr_iter(b'/', text) {
        let Some(candidate) = text.get(at..at + placeholder::LEN) else {
            break;
        };
        if !candidate[1..].iter().all(|&byte| base32::is_digit(byte)) {
            continue;
        }
        let path = std::str::from_utf8(candidate).ok().and_then(|key| rewrites.get(key));
        if let Some(path) = path {
            result.extend_from_slice(&text[done..at]);
            result.extend_from_slice(path.as_str().as_bytes());
            done = at + placeholder::LEN;
        }
    }
    result.extend_from_slice(&text[done..]);
    result
}
