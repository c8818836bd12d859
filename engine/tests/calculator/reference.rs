//! The plain interpreter that the engine is held against: recursive, forgetful, without queries,
//! states or threads. It says what must run, by the definition and nothing else.

use std::collections::HashMap;

use floe_core::hash::Digest;
use floe_core::path::OutputName;
use floe_engine::graph::{Graph, NodeIx};
use floe_engine::rebuilder::{Address, Strategy};
use floe_engine::resolve::{Outputs, key};

use crate::world::State;

pub struct Reference<'a> {
    graph: &'a Graph,
    strategy: Strategy,
    pub state: State,
    addresses: Vec<Option<Address>>,
    paths: Vec<Option<Option<Outputs>>>,
    results: HashMap<Digest, Option<Outputs>>,
}

impl<'a> Reference<'a> {
    /// Carries out a request from `state` on.
    pub fn run(graph: &'a Graph, strategy: Strategy, mut state: State) -> Reference<'a> {
        state.log.clear();
        let mut addresses: Vec<Option<Address>> = Vec::new();
        for (_, node) in graph.nodes() {
            let rebuilder = strategy.rebuilder();
            let inputs: Vec<Option<&Address>> = match rebuilder.addresses_by_inputs() {
                true => node.deps.iter().map(|dep| addresses[dep.index()].as_ref()).collect(),
                false => Vec::new(),
            };
            addresses.push(rebuilder.address(node.recipe, &inputs));
        }
        let paths = vec![None; graph.len()];
        let mut reference =
            Reference { graph, strategy, state, addresses, paths, results: HashMap::new() };
        for target in &graph.targets {
            reference.objects(target.node, &target.outputs);
        }
        reference
    }

    /// The keys of what ran, sorted.
    pub fn keys(&self) -> Vec<Digest> {
        let mut keys: Vec<Digest> = self.state.log.iter().map(|(_, key)| *key).collect();
        keys.sort_unstable_by_key(|key| key.0);
        keys
    }

    /// The outputs of a node, as far as the request had to know them.
    pub fn known(&self, ix: NodeIx) -> Option<&Outputs> {
        self.paths[ix.index()].as_ref()?.as_ref()
    }

    fn paths(&mut self, ix: NodeIx) -> Option<Outputs> {
        if let Some(known) = &self.paths[ix.index()] {
            return known.clone();
        }
        let found = match &self.addresses[ix.index()] {
            Some(address) => Some(address.outputs.clone()),
            None => match self.key(ix) {
                Some(key) => self.traced(key).or_else(|| self.execute(ix)),
                None => None,
            },
        };
        self.paths[ix.index()] = Some(found.clone());
        found
    }

    fn traced(&self, key: Digest) -> Option<Outputs> {
        self.state.traces.get(&key)?.first().cloned()
    }

    fn derivation(&mut self, ix: NodeIx) -> Option<floe_core::drv::Derivation> {
        let node = self.graph.node(ix);
        // All of them are asked, whatever became of the first.
        let inputs: Vec<Option<Outputs>> = node.deps.iter().map(|&dep| self.paths(dep)).collect();
        let inputs: Vec<&Outputs> = inputs.iter().map(Option::as_ref).collect::<Option<_>>()?;
        let own = self.addresses[ix.index()].as_ref();
        Some(self.strategy.rebuilder().resolve(node.recipe, own, &inputs))
    }

    fn key(&mut self, ix: NodeIx) -> Option<Digest> {
        Some(key(&self.derivation(ix)?))
    }

    fn objects(&mut self, ix: NodeIx, names: &[OutputName]) -> bool {
        let Some(outputs) = self.paths(ix) else { return false };
        let here = names.iter().all(|name| self.state.objects.contains(&outputs[name]));
        here || self.execute(ix).is_some()
    }

    fn execute(&mut self, ix: NodeIx) -> Option<Outputs> {
        let node = self.graph.node(ix);
        let deps = node.deps.iter().zip(node.recipe.deps.iter());
        let missing = deps.filter(|(dep, uses)| !self.objects(**dep, &uses.outputs)).count();
        if missing > 0 {
            return None;
        }
        let derivation = self.derivation(ix)?;
        let key = key(&derivation);
        if let Some(result) = self.results.get(&key) {
            return result.clone();
        }
        let own = self.addresses[ix.index()].as_ref().map(|address| address.outputs.clone());
        let result = self.state.run(&derivation, key, own.as_ref());
        self.results.insert(key, result.clone());
        result
    }
}
