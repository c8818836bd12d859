//! Opening: modes, locks, and everything that can be wrong with a root.

use std::cell::RefCell;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use floe_store::{Mode, Open, Store, StoreError, Waiting, WaitingFor};

use crate::fixture::{World, message};

#[test]
fn nothing_is_writable_by_others() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let root = dir.path().join("root");
    fs::create_dir(&root).expect("create");
    fs::set_permissions(&root, Permissions::from_mode(0o777)).expect("open up");
    let store = Store::open(&root, Open::READ_WRITE).expect("opens");
    for place in [store.root(), store.objects_dir(), store.builds_dir()] {
        let mode = place.metadata().expect("exists").permissions().mode();
        assert_eq!(mode & 0o022, 0, "{place:?} has mode {mode:o}");
    }
}

#[test]
fn readers_work_beside_the_owner() {
    let world = World::new();
    let path = world.add("a", &[]);
    let reader = Store::open(&world.root(), Open::READ_ONLY).expect("opens");
    assert!(reader.is_valid(&path).expect("reads"));
    let later = world.add("b", &[]);
    assert!(!reader.is_valid(&later).expect("reads"), "a snapshot stays as it was");
    let error = reader.add_text("c", b"", &Default::default()).expect_err("refuses");
    insta::assert_snapshot!(
        message(&error, world.dir.path()),
        @r#"cannot add objects: the store "DIR/root" is open read-only"#
    );
}

#[test]
fn a_store_in_the_making_is_not_there_yet() {
    let dir = tempfile::tempdir().expect("temporary directory");
    for round in 0..10 {
        let root = dir.path().join(format!("root-{round}"));
        // as whoever made it before and was killed may have left it
        if round % 2 == 1 {
            fs::create_dir_all(root.join("db.new")).expect("create");
            fs::write(root.join("db.new/CURRENT"), "half").expect("write");
        }
        std::thread::scope(|scope| {
            let maker = scope.spawn(|| Store::open(&root, Open::READ_WRITE).map(drop));
            let mut seen = false;
            while !seen {
                let ended = maker.is_finished();
                match Store::open(&root, Open::READ_ONLY) {
                    Ok(_) => seen = true,
                    Err(StoreError::NoStore { .. }) => assert!(!ended, "it was made"),
                    Err(error) => panic!("a reader sees a part of the store: {error}"),
                }
            }
            maker.join().expect("no panic").expect("is made");
        });
        assert!(!root.join("db.new").exists());
    }
}

#[test]
fn a_second_owner_waits_or_fails() {
    let world = World::new();
    let open = Open { mode: Mode::ReadWrite, wait: false, on_wait: None };
    let error = Store::open(&world.root(), open).expect_err("is taken");
    let text = message(&error, world.dir.path());
    insta::assert_snapshot!(
        text.replace(&format!("process {}", std::process::id()), "process PID"),
        @r#"the store "DIR/root" is in use: process PID holds "DIR/root/lock"; wait for it to end, or run without --no-wait"#
    );
    let World { dir, store } = world;
    std::thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel();
        let root = dir.path().join("root");
        let second = scope.spawn(move || {
            let seen = RefCell::new(Vec::new());
            let on_wait = |waiting: &Waiting| {
                seen.borrow_mut().push(waiting.reason);
                tell.send(()).expect("somebody listens");
            };
            let open = Open { mode: Mode::ReadWrite, wait: true, on_wait: Some(&on_wait) };
            drop(Store::open(&root, open).expect("opens in the end"));
            assert_eq!(seen.into_inner(), [WaitingFor::Owner]);
        });
        told.recv().expect("it waits");
        drop(store);
        second.join().expect("no panic");
    });
}

#[test]
fn a_missing_store_cannot_be_read() {
    let dir = tempfile::tempdir().expect("temporary directory");
    for root in [dir.path().join("absent"), dir.path().to_path_buf()] {
        let error = Store::open(&root, Open::READ_ONLY).expect_err("is not there");
        assert!(matches!(error, StoreError::NoStore { .. }), "{error}");
    }
    let error = Store::open(&dir.path().join("absent"), Open::READ_ONLY).expect_err("no");
    insta::assert_snapshot!(
        message(&error, dir.path()),
        @r#"there is no store at "DIR/absent"; build or add something first, or choose another store with --root DIR"#
    );
}

#[test]
fn a_damaged_database_is_named() {
    for victim in ["CURRENT", "MANIFEST", ".sst"] {
        let world = World::new();
        for number in 0..300 {
            world.store.put_records([(&[number as u8, 1][..], &[7; 50_000][..])]).expect("writes");
        }
        let World { dir, store } = world.reopen();
        drop(store);
        let db = dir.path().join("root/db");
        let mut damaged = 0;
        for entry in fs::read_dir(&db).expect("list") {
            let path = entry.expect("list").path();
            if path.to_string_lossy().contains(victim) {
                let bytes = fs::read(&path).expect("read");
                fs::write(&path, &bytes[..bytes.len() / 2]).expect("truncate");
                damaged += 1;
            }
        }
        assert!(damaged > 0, "{victim}");
        for open in [Open::READ_WRITE, Open::READ_ONLY] {
            let error = Store::open(&dir.path().join("root"), open).expect_err(victim);
            assert!(matches!(error, StoreError::Corrupt { .. }), "{victim}: {error:?}");
            let text = message(&error, dir.path());
            assert!(text.contains(r#"database "DIR/root/db" is damaged"#), "{text}");
        }
    }
}

#[test]
fn a_root_without_permission_is_named() {
    if rustix::process::geteuid().is_root() {
        // Permissions do not bind this user: a file in the way takes their place.
        let dir = tempfile::tempdir().expect("temporary directory");
        fs::write(dir.path().join("root"), b"").expect("write");
        let error = Store::open(&dir.path().join("root"), Open::READ_WRITE).expect_err("no");
        let text = message(&error, dir.path());
        assert!(text.contains("DIR/root") || text.contains("root"), "{text}");
        return;
    }
    let dir = tempfile::tempdir().expect("temporary directory");
    fs::set_permissions(dir.path(), Permissions::from_mode(0o500)).expect("lock");
    let error = Store::open(&dir.path().join("root"), Open::READ_WRITE).expect_err("no");
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
}
