//! The store against a model: random registrations, roots, holds, collections and reopenings on
//! one side, a `BTreeMap` on the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use floe_core::path::StorePath;
use floe_store::{Batch, TempRoots};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::fixture::{World, check_invariants, prepare};

const NAMES: usize = 12;

#[derive(Debug, Clone)]
enum Step {
    /// Registers an object that refers to some of the living ones.
    Register {
        name: usize,
        refs: Vec<usize>,
    },
    Root {
        name: usize,
    },
    Unroot {
        name: usize,
    },
    Hold {
        name: usize,
    },
    Release,
    Collect,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..NAMES;
    prop_oneof![
        5 => (name.clone(), vec(name.clone(), 0..4))
            .prop_map(|(name, refs)| Step::Register { name, refs }),
        2 => name.clone().prop_map(|name| Step::Root { name }),
        2 => name.clone().prop_map(|name| Step::Unroot { name }),
        1 => name.prop_map(|name| Step::Hold { name }),
        1 => Just(Step::Release),
        2 => Just(Step::Collect),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Default)]
struct Model {
    objects: BTreeMap<StorePath, BTreeSet<StorePath>>,
    /// The newest object of each name, while it lives.
    newest: BTreeMap<usize, StorePath>,
    roots: BTreeMap<usize, StorePath>,
    held: Option<StorePath>,
}

impl Model {
    fn closure(&self, from: impl IntoIterator<Item = StorePath>) -> BTreeSet<StorePath> {
        let mut seen = BTreeSet::new();
        let mut todo: Vec<_> = from.into_iter().collect();
        while let Some(path) = todo.pop() {
            if let Some(refs) = self.objects.get(&path)
                && seen.insert(path)
            {
                todo.extend(refs.iter().cloned());
            }
        }
        seen
    }

    fn collect(&mut self) {
        let live = self.closure(self.roots.values().chain(&self.held).cloned());
        self.objects.retain(|path, _| live.contains(path));
        self.newest.retain(|_, path| live.contains(path));
    }
}

fn run(steps: &[Step]) {
    let mut world = World::new();
    let mut model = Model::default();
    let mut hold: Option<TempRoots> = None;
    for step in steps {
        match step {
            Step::Register { name, refs } => {
                let refs: BTreeSet<_> =
                    refs.iter().filter_map(|r| model.newest.get(r)).cloned().collect();
                let slices: Vec<&StorePath> = refs.iter().collect();
                let prepared = prepare(&world.store, &format!("n{name}"), &slices);
                let path = prepared.object.path.clone();
                let batch = Batch { objects: vec![prepared.object], ..Batch::default() };
                let done = world.store.register(&batch).expect("registers");
                let new = model.objects.insert(path.clone(), refs).is_none();
                assert_eq!(done.new_objects, usize::from(new));
                model.newest.insert(*name, path);
            }
            Step::Root { name } => {
                if let Some(path) = model.newest.get(name) {
                    world.root_link(&format!("r{name}"), path);
                    model.roots.insert(*name, path.clone());
                }
            }
            Step::Unroot { name } => {
                if model.roots.remove(name).is_some() {
                    fs::remove_file(world.dir.path().join(format!("r{name}"))).expect("remove");
                }
            }
            Step::Hold { name } => {
                if let Some(path) = model.newest.get(name) {
                    hold = Some(world.store.protect([path]));
                    model.held = Some(path.clone());
                }
            }
            Step::Release => {
                hold = None;
                model.held = None;
            }
            Step::Collect => {
                world.gc();
                model.collect();
            }
            Step::Reopen => {
                hold = None;
                model.held = None;
                world = world.reopen();
            }
        }
        let paths: Vec<_> = model.objects.keys().cloned().collect();
        assert_eq!(world.store.find("").expect("lists"), paths, "after {step:?}");
    }
    for path in model.objects.keys() {
        let expect: Vec<_> = model.closure([path.clone()]).into_iter().collect();
        assert_eq!(world.store.closure(std::slice::from_ref(path)).expect("closure"), expect);
    }
    check_invariants(&world.store);
    drop(hold);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..Default::default() })]

    #[test]
    fn behaves_like_a_map(steps in vec(step(), 1..40)) {
        run(&steps);
    }
}
