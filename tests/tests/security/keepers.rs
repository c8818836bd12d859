//! What keeps the store right: verification, collection, one owner at a time, roots that belong to their users.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use floe_tests::scene::{fails_saying, says};

use crate::place::Place;

/// A chain: `top` refers to `low`, and `mid` is needed to build `top` but not to have it.
const CHAIN: &str = "low = ca \"low\" \"mkdir $out; echo low > $out/file\";\n\
    mid = ca' { inherit low; } \"mid\" \"echo $low > $out\";\n\
    top = ca' { inherit mid low; } \"top\" \"test -e $mid; mkdir $out; echo $low > $out/file; ln -s $low $out/link\";";

#[test]
fn verification_finds_every_change() {
    type Change = fn(&std::path::Path);
    let flip: Change = |dir| {
        let file = dir.join("file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("to unlock");
        let mut bytes = fs::read(&file).expect("the file");
        bytes[0] ^= 1;
        fs::write(&file, bytes).expect("to write");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).expect("to lock");
    };
    let open: Change =
        |dir| fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).expect("to open");
    let extra: Change = |dir| {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).expect("to unlock");
        fs::write(dir.join("new"), "").expect("a file");
        fs::set_permissions(dir, fs::Permissions::from_mode(0o555)).expect("to lock");
    };
    let less: Change = |dir| {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).expect("to unlock");
        fs::remove_file(dir.join("file")).expect("to remove");
        fs::set_permissions(dir, fs::Permissions::from_mode(0o555)).expect("to lock");
    };
    let executable: Change = |dir| {
        fs::set_permissions(dir.join("file"), fs::Permissions::from_mode(0o555)).expect("a mode");
    };
    let writable: Change = |dir| {
        fs::set_permissions(dir.join("file"), fs::Permissions::from_mode(0o644)).expect("a mode");
    };
    let gone: Change = |dir| fs::rename(dir, dir.with_file_name("stranger")).expect("to move");
    for (what, change) in [
        ("a flipped bit", flip),
        ("an open directory", open),
        ("one more file", extra),
        ("one file less", less),
        ("an executable file", executable),
        ("a writable file", writable),
        ("an object moved away", gone),
    ] {
        let place = Place::with(CHAIN);
        let low = place.made(&["low"]);
        place.is_clean();
        change(&low);
        let verify = place.world.floe(["store", "verify"]);
        assert!(!verify.success(), "{what} was not found");
        fails_saying(&verify, &["-low"]);
    }
}

#[test]
fn collection_keeps_what_roots_reach_and_builds_go_on_after_it() {
    let place = Place::with(&format!("{CHAIN}\nother = ca \"other\" \"echo other > $out\";"));
    let report = place.world.work().join("report");
    let built = |args: &[&str]| {
        let path = report.to_string_lossy().into_owned();
        let outcome =
            place.world.floe(["build", "-f", "case.nix", "--report", &path].iter().chain(args));
        assert!(outcome.success(), "{}", outcome.describe());
        let lines = fs::read_to_string(&report).expect("the report");
        lines.lines().filter(|line| line.contains("\"decision\":\"built\"")).count()
    };
    let store = || {
        let mut names: Vec<_> = fs::read_dir(place.world.root().join("store"))
            .expect("the store")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy()[33..].to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(built(&["top", "-o", "result"]), 3);
    assert_eq!(built(&["other", "--no-link"]), 1);
    let before = store();
    let dry = place.world.floe(["store", "gc", "--dry-run"]);
    assert!(dry.success(), "{}", dry.describe());
    assert_eq!(dry.lines().len(), 1, "{}", dry.describe());
    assert!(dry.stdout.contains("-other"), "{}", dry.describe());
    assert_eq!(store(), before);
    let gc = place.world.floe(["store", "gc"]);
    assert!(gc.success(), "{}", gc.describe());
    assert_eq!(dry.stdout, gc.stdout, "the dry run told the truth");
    // What went into the build of something that stays is kept with it.
    assert_eq!(store(), before.into_iter().filter(|name| name != "other").collect::<Vec<_>>());
    place.is_clean();
    assert_eq!(built(&["top", "-o", "result"]), 0);
    assert_eq!(built(&["other", "top", "--no-link"]), 1, "other, since it went");
    let text = fs::read_to_string(place.world.work().join("case.nix")).expect("the case");
    let text = text.replace("test -e $mid;", "test -e $mid; : changed;");
    fs::write(place.world.work().join("case.nix"), text).expect("the case");
    assert_eq!(built(&["top", "--no-link"]), 1, "top alone");
    fs::remove_file(place.world.work().join("result")).expect("the link");
    assert!(place.world.floe(["store", "gc"]).success());
    assert_eq!(store(), Vec::<String>::new());
    place.is_clean();
    assert_eq!(built(&["top", "--no-link"]), 3, "all, from nothing");
}

#[test]
fn one_owner_at_a_time() {
    let marker = &format!("6.0{}", std::process::id());
    let place = Place::with(&format!(
        "{CHAIN}\nlong = ca' {{ inherit low; }} \"long\" \"$bb sleep {marker}; echo $low > $out\";"
    ));
    let mut child = place.start_until(&["long"], marker);
    let holder = format!("process {}", child.id());
    for args in [
        &["store", "gc", "--no-wait"][..],
        &["build", "-f", "case.nix", "mid", "--no-link", "--no-wait"],
    ] {
        let outcome = place.world.floe(args);
        fails_saying(&outcome, &[&holder]);
    }
    // Waits, says so, and takes nothing away that the build needs.
    let gc = place.world.floe(["store", "gc"]);
    assert!(gc.success(), "{}", gc.describe());
    says(&gc, &[&holder]);
    assert!(child.wait().expect("its end").success(), "the build beside a collection");
    place.is_clean();
}

#[test]
fn cve_2025_52991_a_place_that_somebody_prepared_is_refused() {
    let place = Place::with(CHAIN);
    let prepared = place.world.work().join("prepared");
    fs::create_dir(&prepared).expect("a directory");
    let root = if rustix::process::getuid().is_root() {
        chown(&prepared, Some(65533), Some(65533)).expect("root may do that");
        prepared
    } else {
        std::path::PathBuf::from("/usr")
    };
    let outcome = place.build(&["low", "--root", &root.to_string_lossy()]);
    fails_saying(&outcome, &["belongs to", "owned by", "permission denied"]);
    says(&outcome, &[&root.to_string_lossy()]);

    // One's own directory that others may write is closed first.
    let shared = place.world.work().join("shared");
    fs::create_dir(&shared).expect("a directory");
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).expect("its mode");
    assert!(place.build(&["low", "--root", &shared.to_string_lossy()]).success());
    let mode = fs::metadata(&shared).expect("the root").permissions().mode() & 0o7777;
    assert_eq!(mode & 0o022, 0, "{mode:o}");
}

#[test]
fn locks_cannot_be_held_by_strangers() {
    let place = Place::with(CHAIN);
    place.made(&["low"]);
    assert!(place.world.floe(["store", "gc", "--dry-run"]).success());
    for name in ["lock", "gc.lock"] {
        let meta = fs::metadata(place.world.root().join(name)).expect("a lock");
        // Whoever can open it for reading can hold it for ever.
        assert_eq!(meta.permissions().mode() & 0o077, 0, "{name}");
    }
}

#[test]
fn an_out_link_replaces_only_links_into_the_store() {
    let place = Place::with(CHAIN);
    let link = place.world.work().join("result");
    symlink("/etc/passwd", &link).expect("a link of the user's");
    let outcome = place.world.floe(["build", "-f", "case.nix", "low"]);
    fails_saying(&outcome, &["result"]);
    assert_eq!(fs::read_link(&link).expect("the link"), std::path::Path::new("/etc/passwd"));
    fs::remove_file(&link).expect("to remove");
    for attribute in ["low", "mid"] {
        let outcome = place.world.floe(["build", "-f", "case.nix", attribute]);
        assert!(outcome.success(), "{}", outcome.describe());
        let target = fs::read_link(&link).expect("the link");
        assert!(target.to_string_lossy().ends_with(attribute), "{target:?}");
    }
}
