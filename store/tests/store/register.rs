//! Registration and look-ups.

use std::fs;
use std::time::{Duration, SystemTime};

use floe_core::hash::{Digest, Hash, HashAlgo};
use floe_core::path::OutputName;
use floe_store::{Batch, FileStat, NewDerivation, StoreError};

use crate::fixture::{World, check_invariants, message, prepare, trace};

#[test]
fn a_batch_becomes_true_together() {
    let world = World::new();
    let a = prepare(&world.store, "a", &[]);
    let b = prepare(&world.store, "b", &[&a.object.path]);
    let drv = NewDerivation {
        path: prepare(&world.store, "b.drv", &[]).object.path,
        text: b"Derive".to_vec(),
        refs: [a.object.path.clone()].into(),
    };
    let (path_a, path_b) = (a.object.path.clone(), b.object.path.clone());
    let batch = Batch {
        // The referrer first: order does not matter.
        objects: vec![b.object.clone(), a.object.clone()],
        derivations: vec![drv.clone()],
        traces: vec![trace(1, &path_b)],
        records: vec![(b"task".to_vec(), b"decided".to_vec())],
        memories: vec![(b"task".to_vec(), b"remembered".to_vec())],
        dropped_records: vec![b"older task".to_vec()],
    };
    let older =
        Batch { records: vec![(b"older task".to_vec(), b"decided".to_vec())], ..Batch::default() };
    world.store.register(&older).expect("registers");
    assert!(world.store.record(b"older task").expect("reads").is_some());
    let done = world.store.register(&batch).expect("registers");
    assert_eq!((done.new_objects, done.divergent), (2, vec![]));
    let again = world.store.register(&batch).expect("is idempotent");
    assert_eq!((again.new_objects, again.divergent), (0, vec![]));

    drop((a, b));
    let world = world.reopen();
    let store = &world.store;
    assert_eq!(store.closure(std::slice::from_ref(&path_b)).expect("closure").len(), 2);
    assert_eq!(store.referrers(&path_a).expect("referrers"), std::slice::from_ref(&path_b));
    let key = trace(1, &path_b).key;
    let found = store.trace_get(&key, &OutputName::out()).expect("reads").expect("is there");
    assert_eq!(found, trace(1, &path_b).realisation);
    assert_eq!(store.traces_of(&key.resolved).expect("reads").len(), 1);
    assert_eq!(store.record(b"task").expect("reads").as_deref(), Some(&b"decided"[..]));
    assert_eq!(store.record(b"older task").expect("reads"), None);
    assert_eq!(store.memory(b"task").expect("reads").as_deref(), Some(&b"remembered"[..]));
    assert_eq!(store.derivation(&drv.path).expect("reads"), Some(drv.text));
    let prefix = &path_a.base_name()[..5];
    assert!(store.find(prefix).expect("finds").contains(&path_a), "{prefix}");
    assert_eq!(store.find(path_a.base_name()).expect("finds"), [path_a]);
    assert_eq!(store.find("e").expect("no such digit"), []);
}

#[test]
fn references_come_first() {
    let world = World::new();
    let a = prepare(&world.store, "a", &[]);
    let b = prepare(&world.store, "b", &[&a.object.path]);
    let batch = Batch { objects: vec![b.object.clone()], ..Batch::default() };
    let error = world.store.register(&batch).expect_err("a is missing");
    assert!(matches!(error, StoreError::MissingReference { .. }), "{error}");
    assert!(!world.store.is_valid(&b.object.path).expect("reads"));
    let batch = Batch { traces: vec![trace(1, &a.object.path)], ..Batch::default() };
    let error = world.store.register(&batch).expect_err("a is missing");
    assert!(matches!(error, StoreError::NotValid { .. }), "{error}");
}

#[test]
fn another_object_under_the_same_path_is_refused() {
    let world = World::new();
    let path = world.add("a", &[]);
    let mut object = prepare(&world.store, "a", &[]).object;
    object.nar_hash = Hash::of(HashAlgo::Sha256, b"something else");
    let batch = Batch { objects: vec![object], ..Batch::default() };
    let error = world.store.register(&batch).expect_err("differs");
    assert!(matches!(error, StoreError::Conflict { what: "NAR hash", .. }), "{error}");
    assert!(error.to_string().contains(path.as_str()));
}

#[test]
fn objects_without_files_are_refused() {
    let world = World::new();
    let object = prepare(&world.store, "a", &[]).object;
    fs::remove_file(world.store.physical(&object.path)).expect("remove");
    let batch = Batch { objects: vec![object], ..Batch::default() };
    let error = world.store.register(&batch).expect_err("no files");
    assert!(matches!(error, StoreError::NotStaged { .. }), "{error}");
}

#[test]
fn divergent_realisations_coexist() {
    let world = World::new();
    let (a, b) = (world.add("a", &[]), world.add("b", &[]));
    let both = [trace(1, &a), trace(1, &b)];
    let batch = |t| Batch { traces: vec![t], ..Batch::default() };
    let [first, second] = both.map(|t| world.store.register(&batch(t)).expect("registers"));
    assert_eq!(first.divergent, []);
    assert_eq!((&second.divergent[0].preferred, &second.divergent[0].other), (&a, &b));
    let key = trace(1, &a).key;
    let all = world.store.trace_all(&key, &OutputName::out()).expect("reads");
    assert_eq!(all.iter().map(|r| &r.path).collect::<Vec<_>>(), [&a, &b]);

    world.root_link("result", &b);
    world.gc();
    let left = world.store.trace_get(&key, &OutputName::out()).expect("reads");
    assert_eq!(left.map(|r| r.path), Some(a), "preferred although its object is gone");
    check_invariants(&world.store);
}

#[test]
fn digests_hold_until_the_stat_changes() {
    let world = World::new();
    let file = world.dir.path().join("file");
    fs::write(&file, b"one").expect("write");
    let stat = FileStat::of(&file.metadata().expect("stat"));
    let put = |at| world.store.digest_put(at, [(&*file, stat, &b"digest"[..])]).expect("writes");
    assert_eq!(put(SystemTime::now()), 0, "just changed: the next change could be invisible");
    assert_eq!(put(SystemTime::now() + Duration::from_secs(5)), 1);
    let get = |stat| world.store.digest_get(&file, &stat).expect("reads");
    assert_eq!(get(stat).as_deref(), Some(&b"digest"[..]));
    assert_eq!(get(FileStat { ino: stat.ino + 1, ..stat }), None);
    assert_eq!(get(FileStat { ctime_ns: stat.ctime_ns + 1, ..stat }), None);
}

#[test]
fn errors_say_what_to_do() {
    let world = World::new();
    let path = prepare(&world.store, "a", &[]).object.path;
    let error = world.store.need(&path).expect_err("is not registered");
    let digest = Digest::of(b"");
    assert_eq!(world.store.traces_of(&digest).expect("reads"), []);
    insta::assert_snapshot!(
        message(&error, world.dir.path()),
        @r#"/nix/store/7947fif9q73nj49dyacgc272aj512wsj-a is not valid: no such object is registered in the store "DIR/root"; build it or add it first"#
    );
}
