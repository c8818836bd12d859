//! Outputs that no store takes. Device nodes and set-id bits meet two walls: the sandbox refuses the call that makes
//! them, and what came to be all the same is refused, or undone, when the output is taken in.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};

use floe_tests::scene::{Scene, says};

/// What a builder that meets the sandbox's refusal is told to do.
const LEAVE_OUT: &str = "leave that out of the build";

#[test]
fn a_builder_that_writes_no_output() {
    let scene = Scene::with_script("echo nothing");
    let outcome = scene.bad_fails(&[], &["failed to produce output path for output 'out'"]);
    says(&outcome, &["it must write to $out (/nix/store/"]);
    insta::assert_snapshot!(scene.told(&outcome));
}

#[test]
fn a_builder_that_leaves_one_output_out() {
    let scene = Scene::with_attributes("echo x > $out", "outputs = [ \"out\" \"dev\" ];");
    scene.bad_fails(&[], &["output 'dev'; it must write to $dev"]);
}

#[test]
fn a_builder_that_writes_a_pipe() {
    let scene = Scene::with_script("mkdir $out; mkfifo $out/pipe");
    let outcome = scene.bad_fails(&[], &["-bad/pipe' is a fifo"]);
    says(&outcome, &["so remove it or leave it out"]);
    insta::assert_snapshot!(scene.told(&outcome));
}

#[test]
fn a_builder_that_writes_a_device_node() {
    for node in ["c 1 3", "b 7 0"] {
        let scene = Scene::with_script(&format!("mkdir $out; mknod $out/node {node}"));
        let outcome = scene.bad_fails(&[], &["device nodes"]);
        // the builder's own words name the file
        says(&outcome, &["-bad/node: Operation not permitted"]);
        says(&outcome, &[LEAVE_OUT]);
    }
}

#[test]
fn a_builder_that_does_not_mind_that_it_gets_no_device_node() {
    let scene = Scene::with_script(
        "mkdir $out; mknod $out/node c 1 3 || :; mknod $out/disk b 7 0 || :; echo x > $out/file",
    );
    let made = scene.made("bad");
    let names: Vec<_> = fs::read_dir(&made)
        .expect("the output")
        .flatten()
        .map(|entry| (entry.file_name(), entry.file_type().expect("its type")))
        .collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert!(!names[0].1.is_char_device() && names[0].0 == "file", "{names:?}");
    scene.store_is_sound();
}

#[test]
fn a_builder_that_writes_a_set_id_file() {
    for mode in ["4755", "2755", "6755", "u+s", "g+s"] {
        let scene =
            Scene::with_script(&format!("mkdir $out; echo x > $out/file; chmod {mode} $out/file"));
        let outcome = scene.bad_fails(&[], &["set-user-id"]);
        says(&outcome, &["-bad/file: Operation not permitted"]);
        says(&outcome, &[LEAVE_OUT]);
        if mode == "4755" {
            insta::assert_snapshot!(scene.told(&outcome));
        }
    }
}

#[test]
fn a_builder_that_does_not_mind_that_it_gets_no_set_id_bit() {
    let scene = Scene::with_script(
        "mkdir -p $out/dir; echo x > $out/file; chmod 755 $out/file; \
         chmod 4755 $out/file || :; chmod 2755 $out/file $out/dir $out || :",
    );
    let made = scene.made("bad");
    for path in [made.clone(), made.join("dir"), made.join("file")] {
        let mode = fs::metadata(&path).expect("the output").permissions().mode();
        assert_eq!(mode & 0o7777, 0o555, "{path:?}");
    }
    scene.store_is_sound();
}

/// Directories inherit the set-group-id bit with no call that a sandbox could refuse.
#[test]
fn set_group_id_bits_that_are_inherited_do_not_stay() {
    let scene =
        Scene::with_script("mkdir -p $out/dir; echo x > $out/dir/file; chmod 755 $out/dir/file");
    let root = scene.world.root();
    fs::create_dir(&root).expect("the root");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o2755)).expect("its mode");
    let made = scene.made("bad");
    let inherited = fs::metadata(root.join("builds")).expect("the builds").permissions().mode();
    assert_ne!(inherited & 0o2000, 0, "the test needs a file system that hands the bit down");
    for path in [made.clone(), made.join("dir"), made.join("dir/file")] {
        let mode = fs::metadata(&path).expect("the output").permissions().mode();
        assert_eq!(mode & 0o7777, 0o555, "{path:?}");
    }
    scene.store_is_sound();
}

#[test]
fn a_wrong_fixed_output_hash() {
    let wrong = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let attributes =
        format!("__contentAddressed = false; outputHashMode = \"flat\"; outputHash = \"{wrong}\";");
    let scene = Scene::with_attributes("echo content > $out", &attributes);
    if fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun").is_err() {
        // Not for this user on this host: a fixed output's builder has no network, and that is said.
        scene.bad_fails(&[], &["the build's network could not be attached"]);
        return;
    }
    let outcome = scene.bad_fails(&[], &["hash mismatch in fixed-output derivation 'bad'"]);
    says(&outcome, &[wrong]);
    // the SHA-256 of "content\n", for the reader to copy
    says(&outcome, &["got:    sha256-Q0copBCnj1b8G1iZw1k0NuYasMcx6QctleltspAgXlM="]);
    says(&outcome, &["give what was got as outputHash"]);
}

#[test]
fn a_forbidden_reference() {
    let scene = Scene::with_attributes("echo $good > $out", "allowedReferences = [ ];");
    scene.bad_fails(&[], &["not allowed to refer"]);
}

#[test]
fn a_cycle_between_outputs() {
    let scene = Scene::with_attributes(
        "echo $dev > $out; echo $out > $dev",
        "outputs = [ \"out\" \"dev\" ];",
    );
    scene.bad_fails(&[], &["cycle detected in build of 'bad'"]);
}
