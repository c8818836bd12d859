//! A store in a temporary directory, and small objects to put into it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use floe_core::hash::Digest;
use floe_core::path::{OutputName, StorePath};
use floe_store::{
    Batch, GcOptions, GcReport, NewTrace, Open, Origin, Prepared, Realisation, Store, TraceKey,
    VerifyOptions,
};

/// A store that goes with the test.
pub struct World {
    pub dir: tempfile::TempDir,
    pub store: Store,
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let store = Store::open(&dir.path().join("root"), Open::READ_WRITE).expect("opens");
        Self { dir, store }
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// Closes and opens the store again.
    pub fn reopen(self) -> Self {
        let Self { dir, store } = self;
        drop(store);
        let store = Store::open(&dir.path().join("root"), Open::READ_WRITE).expect("opens");
        Self { dir, store }
    }

    /// Registers a text object; nothing protects it afterwards.
    pub fn add(&self, name: &str, refs: &[&StorePath]) -> StorePath {
        let prepared = prepare(&self.store, name, refs);
        let path = prepared.object.path.clone();
        let batch = Batch { objects: vec![prepared.object], ..Batch::default() };
        self.store.register(&batch).expect("registers");
        path
    }

    pub fn gc(&self) -> GcReport {
        self.store.gc(&GcOptions::default()).expect("collects")
    }

    pub fn root_link(&self, name: &str, target: &StorePath) -> PathBuf {
        let link = self.dir.path().join(name);
        self.store.add_root(&link, target).expect("makes a root");
        link
    }
}

/// A text object in place, not registered.
pub fn prepare(store: &Store, name: &str, refs: &[&StorePath]) -> Prepared {
    let refs: BTreeSet<StorePath> = refs.iter().map(|path| (*path).clone()).collect();
    store.prepare_text(name, format!("content of {name}").as_bytes(), &refs).expect("prepares")
}

/// All that must hold at any moment: nothing missing, changed, dangling or unregistered.
pub fn check_invariants(store: &Store) {
    let report = store.verify(&VerifyOptions::default()).expect("verifies");
    assert_eq!(report.faults, []);
    for path in store.find("").expect("lists") {
        let info = store.need(&path).expect("has a row");
        for reference in &info.refs {
            let referrers = store.referrers(reference).expect("lists referrers");
            assert!(referrers.contains(&path), "{path} is not among the referrers of {reference}");
        }
        for referrer in store.referrers(&path).expect("lists referrers") {
            let info = store.need(&referrer).expect("a referrer is registered");
            assert!(info.refs.contains(&path));
        }
    }
}

pub fn trace(number: u8, path: &StorePath) -> NewTrace {
    NewTrace {
        key: TraceKey { resolved: Digest([number; 32]), profile: Digest([0; 32]) },
        output: OutputName::out(),
        realisation: Realisation {
            path: path.clone(),
            origin: Origin::Built,
            at_ms: 4_000_000_000_000,
            wall_ms: 2,
            cpu_ms: 3,
        },
    }
}

/// A message without the names of temporary directories.
pub fn message(error: &dyn std::fmt::Display, dir: &Path) -> String {
    error.to_string().replace(&*dir.canonicalize().expect("exists").to_string_lossy(), "DIR")
}
