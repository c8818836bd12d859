//! What must stay quick: opening a small store, registering many objects, a large closure.
//! The bounds are ten times what a quiet machine needs; the figures are printed.

use std::time::{Duration, Instant};

use floe_core::hash::{Digest, Hash, HashAlgo};
use floe_core::path::StorePath;
use floe_store::{Batch, NewObject, Open, Store};

use crate::fixture::World;

fn timed<T>(what: &str, bound: Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    let took = start.elapsed();
    eprintln!("{what}: {took:?}");
    assert!(took < bound, "{what} took {took:?}");
    result
}

/// An object without content worth the name.
fn object(world: &World, number: usize, refs: &[StorePath]) -> NewObject {
    let digest = Digest::of(&number.to_le_bytes()).0;
    let digest: &[u8; 20] = digest.first_chunk().expect("is longer");
    let path = StorePath::new(digest, &format!("package-{number}-1.0")).expect("is a name");
    std::fs::write(world.store.physical(&path), b"").expect("write");
    NewObject {
        path,
        nar_hash: Hash::of(HashAlgo::Sha256, &number.to_le_bytes()),
        nar_size: 1000,
        tree: Digest::of(b""),
        refs: refs.iter().cloned().collect(),
        deriver: None,
        ca: None,
    }
}

#[test]
fn figures() {
    const MANY: usize = 10_000;
    let world = World::new();
    let mut paths: Vec<StorePath> = Vec::new();
    let mut objects = Vec::new();
    for number in 0..MANY {
        let refs: Vec<_> = (1..6).filter_map(|k| number.checked_sub(k * k)).collect();
        let refs: Vec<_> = refs.iter().map(|&at| paths[at].clone()).collect();
        let object = object(&world, number, &refs);
        paths.push(object.path.clone());
        objects.push(object);
    }
    let mut rest = objects.into_iter();
    let mut register = |count: usize, size: usize| {
        for _ in 0..count {
            let objects = rest.by_ref().take(size).collect();
            let batch = Batch { objects, ..Batch::default() };
            world.store.register(&batch).expect("registers");
        }
    };
    timed("register 100 objects one by one", Duration::from_secs(20), || register(100, 1));
    timed("register 1,000 objects in batches of 100", Duration::from_secs(5), || register(10, 100));
    timed("register 8,900 objects in one batch", Duration::from_secs(5), || register(1, 8_900));
    let top = paths[MANY - 1].clone();
    let closure = timed("closure of 10,000 objects", Duration::from_secs(2), || {
        world.store.closure(std::slice::from_ref(&top)).expect("closure")
    });
    assert_eq!(closure.len(), MANY);
    let World { dir, store } = world;
    timed("close", Duration::from_secs(2), || drop(store));
    let root = dir.path().join("root");
    for _ in 0..3 {
        timed("open to read", Duration::from_secs(1), || {
            Store::open(&root, Open::READ_ONLY).expect("opens")
        });
        let store = timed("open to write", Duration::from_secs(2), || {
            Store::open(&root, Open::READ_WRITE).expect("opens")
        });
        timed("close", Duration::from_secs(2), || drop(store));
    }
    let store = Store::open(&root, Open::READ_WRITE).expect("opens");
    timed("collect 10,000 objects", Duration::from_secs(60), || {
        store.gc(&floe_store::GcOptions::default()).expect("collects")
    });
}
