//! Collection, roots, recovery and verification.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use floe_core::path::OutputName;
use floe_store::{Fault, GcOptions, Mode, Open, Store, VerifyOptions};

use crate::fixture::{World, check_invariants, message, prepare, trace};

#[test]
fn what_no_root_reaches_goes() {
    let world = World::new();
    let a = world.add("a", &[]);
    let b = world.add("b", &[&a]);
    let c = world.add("c", &[&a]);
    let link = world.root_link("result", &b);
    let batch = floe_store::Batch { traces: vec![trace(1, &c)], ..Default::default() };
    world.store.register(&batch).expect("registers");
    let epoch = world.store.epoch();

    let plan = world.store.gc(&GcOptions { dry_run: true, ..GcOptions::default() });
    assert_eq!(plan.expect("plans").deleted, std::slice::from_ref(&c));
    assert!(world.store.is_valid(&c).expect("reads"), "a dry run deletes nothing");
    assert_eq!(world.store.epoch(), epoch);

    let report = world.gc();
    assert_eq!((&report.deleted, report.kept, report.traces), (&vec![c.clone()], 2, 0));
    let known = world.store.trace_get(&trace(1, &c).key, &OutputName::out()).expect("reads");
    assert_eq!(known.map(|known| known.path), Some(c.clone()), "what it was is known still");
    assert!(!world.store.physical(&c).exists());
    assert!(report.freed_bytes > 0 && report.links > 0, "{report:?}");
    assert_eq!(world.store.epoch(), epoch + 1);
    check_invariants(&world.store);

    fs::remove_file(&link).expect("remove");
    let report = world.gc();
    assert_eq!(report.deleted, [b, a], "referrers first");
    assert_eq!(report.stale_roots.len(), 1);
    let world = world.reopen();
    assert_eq!(world.store.epoch(), epoch + 2);
    assert!(!world.store.recovered().was_unclean);
}

/// A run is forgotten as a whole: the outputs of another are not put in the place of its own.
#[test]
fn old_runs_are_forgotten_whole() {
    let world = World::new();
    let names = ["out", "dev"].map(|name| OutputName::new(name).expect("is a name"));
    let run = |moment: u64, objects: [&str; 2]| {
        let traces = names.iter().zip(objects).map(|(output, object)| {
            let mut trace = trace(1, &world.add(object, &[]));
            trace.output = output.clone();
            trace.realisation.at_ms = moment;
            trace
        });
        let batch = floe_store::Batch { traces: traces.collect(), ..Default::default() };
        world.store.register(&batch).expect("registers")
    };
    run(1, ["out1", "dev"]);
    run(2, ["out2", "dev"]);
    let key = trace(1, &world.add("out1", &[])).key;
    let runs = || world.store.runs(&key, &names).expect("reads");
    assert_eq!(runs().len(), 2);
    assert_eq!(world.store.divergences().expect("reads").len(), 1, "dev is the same in both");
    let [first, second] = [runs()[0].clone(), runs()[1].clone()];
    let both = first.values().chain(second.values());
    assert!(world.store.mixture(both).expect("reads").is_some());
    assert_eq!(world.store.mixture(first.values()).expect("reads"), None);
    world.store.prefer(&key, &second).expect("writes");
    assert_eq!(runs(), [second.clone(), first.clone()]);

    world.root_link("result", &second[&names[0]]);
    let forget_all = GcOptions { trace_age_ms: Some(0), ..GcOptions::default() };
    let report = world.store.gc(&forget_all).expect("collects");
    assert_eq!(
        (report.deleted.len(), report.traces),
        (2, 2),
        "dev and out1 go, and the run of out1"
    );
    assert_eq!(runs(), [second], "the other is whole: dev is known, though it is gone");
    assert_eq!(world.store.divergences().expect("reads"), []);
    check_invariants(&world.store);
}

#[test]
fn roots_are_links() {
    let world = World::new();
    let (a, b) = (world.add("a", &[]), world.add("b", &[]));
    let link = world.root_link("result", &a);
    assert_eq!(fs::read_link(&link).expect("is a link"), world.store.physical(&a));
    world.store.add_root(&link, &b).expect("replaces");
    world.store.add_named_root("profiles/default".as_ref(), &a).expect("makes");
    let targets: Vec<_> =
        world.store.roots().expect("lists").into_iter().map(|r| r.target).collect();
    assert!(targets.contains(&a) && targets.contains(&b) && targets.len() == 2);
    assert_eq!(world.gc().deleted, []);
    assert!(world.store.add_named_root("../x".as_ref(), &a).is_err());
    let file = world.dir.path().join("file");
    fs::write(&file, b"precious").expect("write");
    let error = world.store.add_root(&file, &a).expect_err("a file is in the way");
    insta::assert_snapshot!(
        message(&error, world.dir.path()),
        @r#"cannot make the link "DIR/file": something that is no link into a store is in the way; remove it or choose another name with --out-link"#
    );
}

#[test]
fn temporary_roots_protect() {
    let world = World::new();
    let a = world.add("a", &[]);
    let b = world.add("b", &[&a]);
    let hold = world.store.protect_valid([&b]).expect("reads").expect("valid");
    assert_eq!(world.gc().deleted, []);
    drop(hold);
    let file = world.store.protect_by_file([&b]).expect("writes");
    assert_eq!(world.gc().deleted, []);
    drop(file);
    fs::write(world.root().join("temproots/1-1"), a.base_name()).expect("write");
    assert_eq!(world.gc().deleted, [b, a], "nobody holds that file");
    assert_eq!(fs::read_dir(world.root().join("temproots")).expect("list").count(), 0);
}

#[test]
fn collections_wait_for_readers() {
    let world = World::new();
    world.add("a", &[]);
    let reader = Store::open(&world.root(), Open::READ_ONLY).expect("opens");
    let error = world.store.gc(&GcOptions { wait: false, ..GcOptions::default() });
    let error = error.expect_err("somebody reads");
    assert!(error.to_string().contains("reads the store"), "{error}");
    drop(reader);
    assert_eq!(world.gc().deleted.len(), 1);
}

#[test]
fn a_limit_stops_the_collection() {
    let world = World::new();
    for number in 0..10 {
        world.add(&format!("n{number}"), &[]);
    }
    let options = GcOptions { max_freed_bytes: Some(1), ..GcOptions::default() };
    let report = world.store.gc(&options).expect("collects");
    assert_eq!((report.deleted.len(), report.kept), (1, 9));
}

#[test]
fn work_goes_on_during_collections() {
    let world = World::new();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                world.gc();
            }
        });
        for number in 0..60 {
            // Each object refers to one that nothing but the builder's hold keeps.
            let input = prepare(&world.store, &format!("input{number}"), &[]);
            let output = prepare(&world.store, &format!("output{number}"), &[&input.object.path]);
            let path = output.object.path.clone();
            let batch = |object| floe_store::Batch { objects: vec![object], ..Default::default() };
            world.store.register(&batch(input.object.clone())).expect("registers");
            world.store.register(&batch(output.object.clone())).expect("registers");
            if number % 2 == 0 {
                world.root_link(&format!("result{number}"), &path);
            }
            drop((input, output));
        }
        done.store(true, Ordering::Relaxed);
    });
    world.gc();
    check_invariants(&world.store);
    assert_eq!(world.store.find("").expect("lists").len(), 60, "30 outputs with their inputs");
}

#[test]
fn staged_and_forgotten_is_garbage() {
    let world = World::new();
    let path = prepare(&world.store, "a", &[]).object.path;
    fs::create_dir_all(world.root().join("builds/1/deep")).expect("create");
    assert!(world.store.physical(&path).exists());
    let world = world.reopen();
    let recovered = world.store.recovered();
    assert!(recovered.was_unclean);
    assert_eq!((recovered.orphans, recovered.builds), (1, 1));
    assert!(!world.store.physical(&path).exists());
    check_invariants(&world.store);
    let kept = prepare(&world.store, "a", &[]);
    assert_eq!(world.gc().orphans, 0, "still held");
    drop(kept);
    assert_eq!(world.gc().orphans, 1);
}

#[test]
fn verification_finds_every_fault() {
    let world = World::new();
    let [gone, changed, fine] = ["gone", "changed", "fine"].map(|name| world.add(name, &[]));
    fs::remove_file(world.store.physical(&gone)).expect("remove");
    let victim = world.store.physical(&changed);
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o644)).expect("unlock");
    fs::write(&victim, b"tampered").expect("write");
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o444)).expect("lock");
    fs::write(world.store.objects_dir().join("stranger"), b"").expect("write");
    let report = world.store.verify(&VerifyOptions::default()).expect("verifies");
    assert_eq!(report.objects, 3);
    let mut seen = [false; 3];
    for fault in &report.faults {
        match fault {
            Fault::Missing { path, .. } if *path == gone => seen[0] = true,
            Fault::Corrupted { path, expected, got, .. } if *path == changed => {
                assert_ne!(expected, got);
                let text = fault.to_string();
                assert!(text.contains(&expected.sri()) && text.contains(&got.sri()), "{text}");
                seen[1] = true;
            }
            Fault::Orphan { physical } if physical.ends_with("stranger") => seen[2] = true,
            other => panic!("{other}"),
        }
    }
    assert_eq!(seen, [true; 3]);
    assert!(world.store.is_valid(&fine).expect("reads"));
}

#[test]
fn an_unused_store_closes_cleanly() {
    let world = World::new();
    world.add("a", &[]);
    let root = world.root();
    assert!(root.join("unclean").exists());
    let World { dir, store } = world;
    drop(store);
    assert!(!root.join("unclean").exists());
    let open = Open { mode: Mode::ReadWrite, wait: false, on_wait: None };
    let store = Store::open(&root, open).expect("opens");
    assert!(!store.recovered().was_unclean);
    drop((store, dir));
}
