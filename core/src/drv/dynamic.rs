//! Inputs that are outputs of dynamic derivations (RFC 92): derivations that are outputs of other
//! ones themselves, so that only a build tells what they are. What they look like in a derivation
//! and in its text is here; who builds them is not known here.

use std::collections::{BTreeMap, BTreeSet};

use super::Derivation;
use super::aterm::{AtermReason, Parser, Read, insert, list, plain};
use crate::path::{OutputName, StorePath};

/// So many derivations may lie in each other: a derivation that is an output of one that is an
/// output, and so on. Whoever writes or reads one goes down by recursion.
pub const MAX_NESTING: usize = 1000;

/// The outputs of a derivation that are derivations themselves, each with what is needed of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dynamic(pub BTreeMap<OutputName, Made>);

/// What is needed of a derivation that is an output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    /// These of its outputs.
    pub outputs: BTreeSet<OutputName>,
    /// And of derivations that are outputs of it.
    pub dynamic: Dynamic,
}

impl Dynamic {
    /// Whether nothing is needed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an output at the end of a way through derivations: `way` are the outputs that are
    /// derivations, the outermost one first.
    pub fn insert(&mut self, way: &[OutputName], output: OutputName) {
        let Some((first, rest)) = way.split_first() else { return };
        let made = self.0.entry(first.clone()).or_default();
        match rest {
            [] => drop(made.outputs.insert(output)),
            rest => made.dynamic.insert(rest, output),
        }
    }
}

/// What is needed of one input derivation.
#[derive(Clone, Copy)]
pub(super) struct Uses<'a> {
    pub(super) outputs: &'a BTreeSet<OutputName>,
    pub(super) dynamic: Option<&'a Dynamic>,
}

static NONE: BTreeSet<OutputName> = BTreeSet::new();

impl<'a> Uses<'a> {
    pub(super) fn plain(outputs: &'a BTreeSet<OutputName>) -> Self {
        Uses { outputs, dynamic: None }
    }

    /// The list of outputs; or, where some are derivations, a pair of it and of those.
    pub(super) fn write(&self, text: &mut Vec<u8>) {
        let Some(dynamic) = self.dynamic.filter(|dynamic| !dynamic.is_empty()) else {
            list(text, self.outputs, |text, output| plain(text, output.as_str()));
            return;
        };
        text.push(b'(');
        list(text, self.outputs, |text, output| plain(text, output.as_str()));
        text.push(b',');
        list(text, &dynamic.0, |text, (name, made)| {
            text.push(b'(');
            plain(text, name.as_str());
            text.push(b',');
            Uses { outputs: &made.outputs, dynamic: Some(&made.dynamic) }.write(text);
            text.push(b')');
        });
        text.push(b')');
    }
}

impl Derivation {
    /// Hands all input derivations to `take`, sorted by path, with what is needed of each.
    pub(super) fn with_inputs<T>(
        &self,
        take: impl FnOnce(&mut dyn Iterator<Item = (&str, Uses<'_>)>) -> T,
    ) -> T {
        let plain = self.input_drvs.iter();
        let plain = plain.map(|(path, outputs)| (path.as_str(), Uses::plain(outputs)));
        if self.dynamic_inputs.is_empty() {
            return take(&mut { plain });
        }
        let mut all: BTreeMap<&str, Uses<'_>> = plain.collect();
        for (path, dynamic) in &self.dynamic_inputs {
            let uses = all.entry(path.as_str()).or_insert(Uses::plain(&NONE));
            uses.dynamic = Some(dynamic);
        }
        take(&mut all.into_iter())
    }
}

impl Parser<'_> {
    /// What is needed of the input derivation at `path`.
    pub(super) fn uses(&mut self, path: &StorePath, may_nest: bool) -> Read<Made> {
        self.made(path, if may_nest { MAX_NESTING } else { 0 })
    }

    fn made(&mut self, path: &StorePath, levels: usize) -> Read<Made> {
        let nests = levels > 0 && self.take(b'(');
        let mut made = Made::default();
        self.list(|this| {
            made.outputs.insert(OutputName::new(&this.name()?)?);
            Ok(())
        })?;
        if nests {
            if levels == 1 {
                return Err(AtermReason::Nesting(path.clone()));
            }
            self.expect(",")?;
            self.list(|this| {
                this.expect("(")?;
                let name = OutputName::new(&this.name()?)?;
                this.expect(",")?;
                let inner = this.made(path, levels - 1)?;
                this.expect(")")?;
                insert(&mut made.dynamic.0, name, inner, |name| name.to_string())
            })?;
            self.expect(")")?;
        }
        if made.outputs.is_empty() && made.dynamic.is_empty() {
            return Err(AtermReason::NoOutputs(path.clone()));
        }
        Ok(made)
    }
}
