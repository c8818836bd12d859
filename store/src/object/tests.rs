//! Sources, archives and deletion on real trees, held against the installed Nix where there
//! is one.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use floe_core::ca::Method;
use floe_core::hash::HashAlgo;

use super::tree::Source;
use super::*;

/// A tree with all that an archive can hold.
fn sample(root: &Path) {
    fs::create_dir_all(root.join("dir/empty")).unwrap();
    fs::write(root.join("dir/file"), "content\n").unwrap();
    fs::write(root.join("dir-x"), "").unwrap();
    fs::write(root.join("big"), vec![7; 600_001]).unwrap();
    fs::write(root.join("run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(root.join("run"), fs::Permissions::from_mode(0o700)).unwrap();
    symlink("/nowhere/at all", root.join("link")).unwrap();
}

fn source(path: &Path, method: Method) -> Source<'_> {
    Source { path, name: "source", method, algo: HashAlgo::Sha256, filter: None }
}

/// What a command of Nix prints, or `None` where it is not installed.
fn nix(command: &str, args: &[&str], path: &Path) -> Option<Vec<u8>> {
    let output = Command::new(command).args(args).arg(path).output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

#[test]
fn a_source_has_the_hash_of_nix_and_its_copy_too() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    sample(&root);
    let hashed = tree::hash(source(&root, Method::Nar)).unwrap();
    if let Some(hash) = nix("nix-hash", &["--type", "sha256", "--base32"], &root) {
        assert_eq!(hashed.contents.nar_hash.base32().as_bytes(), hash.trim_ascii_end());
    }
    let handle = File::open(dir.path()).unwrap();
    let copied = tree::copy(source(&root, Method::Nar), handle.as_fd(), "copy".as_ref()).unwrap();
    assert_eq!((&copied.path, copied.contents.tree), (&hashed.path, hashed.contents.tree));
    let again = tree::digest(handle.as_fd(), "copy".as_ref(), "copy").unwrap();
    assert_eq!(again.tree, hashed.contents.tree);
    assert_eq!(again.files, hashed.contents.files);
    let metadata = fs::metadata(dir.path().join("copy/run")).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.mtime()), (0o555, 1));

    let mut asked = Vec::new();
    let mut filter = |path: &Path, kind| {
        asked.push((path.strip_prefix(&root).unwrap().to_owned(), kind));
        Ok(!path.ends_with("dir"))
    };
    let filtered = Source { filter: Some(&mut filter), ..source(&root, Method::Nar) };
    let filtered = tree::hash(filtered).unwrap();
    assert_ne!(filtered.path, hashed.path);
    let names: Vec<&str> = asked.iter().map(|(path, _)| path.to_str().unwrap()).collect();
    assert_eq!(names, ["big", "dir", "dir-x", "link", "run"]);
    assert_eq!(asked[3].1, FileKind::Symlink);
}

#[test]
fn a_flat_source_is_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.txt");
    fs::write(&file, "hello\n").unwrap();
    let added = tree::hash(Source { name: "a.txt", ..source(&file, Method::Flat) }).unwrap();
    assert_eq!(added.path.base_name(), "fdwm55r4skpypx1gwzb7x69ckav1rv09-a.txt");
    let error = tree::hash(source(dir.path(), Method::Flat)).unwrap_err().to_string();
    assert!(error.contains("added as a flat file"), "{error}");
    let missing = tree::hash(source(&dir.path().join("missing"), Method::Nar)).unwrap_err();
    assert!(missing.to_string().contains("missing'"), "{missing}");
}

#[test]
fn archives_go_out_and_come_back() {
    let dir = tempfile::tempdir().unwrap();
    sample(&dir.path().join("root"));
    let handle = File::open(dir.path()).unwrap();
    let mut archive = Vec::new();
    let dumped = restore::dump(handle.as_fd(), "root".as_ref(), "root", &mut archive).unwrap();
    if let Some(theirs) = nix("nix-store", &["--dump"], &dir.path().join("root")) {
        assert!(archive == theirs, "the archive is not that of nix-store --dump");
    }
    archive.extend_from_slice(b"rest");
    let mut rest = restore::restore(&archive[..], handle.as_fd(), "back".as_ref()).unwrap();
    let mut text = String::new();
    rest.read_to_string(&mut text).unwrap();
    assert_eq!(text, "rest");
    let back = tree::digest(handle.as_fd(), "back".as_ref(), "back").unwrap();
    assert_eq!(back.tree, dumped.tree);
    let again = restore::restore(&archive[..], handle.as_fd(), "back".as_ref());
    assert!(matches!(again, Err(ObjectError::Exists { .. })));
    let short = restore::restore(&archive[..archive.len() - 40], handle.as_fd(), "new".as_ref());
    assert!(matches!(short, Err(ObjectError::Unpack { .. })));
}

#[test]
fn deletion_follows_no_link_and_minds_no_mode_or_depth() {
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), "x").unwrap();
    let root = dir.path().join("root");
    sample(&root);
    symlink(&outside, root.join("dir/out")).unwrap();
    for locked in ["dir/empty", "dir", ""] {
        fs::set_permissions(root.join(locked), fs::Permissions::from_mode(0o555)).unwrap();
    }
    let handle = File::open(dir.path()).unwrap();
    let deleted = delete::delete(handle.as_fd(), "root".as_ref()).unwrap();
    assert_eq!(deleted.entries, 9);
    assert!(outside.join("precious").exists() && !root.exists());
    assert_eq!(delete::delete(handle.as_fd(), "root".as_ref()).unwrap().entries, 0);

    let mut at = File::open(dir.path()).unwrap();
    for _ in 0..1000 {
        rustix::fs::mkdirat(&at, "d", rustix::fs::Mode::RWXU).unwrap();
        at = handle::open_dir(at.as_fd(), b"d").unwrap().into();
    }
    let deleted = delete::delete(handle.as_fd(), "d".as_ref()).unwrap();
    assert_eq!(deleted.entries, 1000);

    symlink(&outside, dir.path().join("link")).unwrap();
    delete::delete(handle.as_fd(), "link".as_ref()).unwrap();
    assert!(outside.join("precious").exists());
}

/// A tree of everything that is outside, to be compared afterwards.
fn outside(dir: &Path) -> std::path::PathBuf {
    let outside = dir.join("outside");
    fs::create_dir_all(outside.join("inner")).unwrap();
    fs::write(outside.join("precious"), "x").unwrap();
    fs::write(outside.join("inner/precious"), "x").unwrap();
    outside
}

#[test]
fn cve_2024_45593_archives_cannot_reach_through_links() {
    let word = |text: &[u8]| {
        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(text);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    };
    let words = |texts: &[&[u8]]| texts.iter().flat_map(|text| word(text)).collect::<Vec<u8>>();
    let file = words(&[b"(", b"type", b"regular", b"contents", b"evil", b")"]);
    let folder = [
        words(&[b"(", b"type", b"directory", b"entry", b"(", b"name", b"precious", b"node"]),
        file.clone(),
        words(&[b")", b")"]),
    ]
    .concat();
    let dir = tempfile::tempdir().unwrap();
    let outside = outside(dir.path());
    let handle = File::open(dir.path()).unwrap();
    let target = outside.as_os_str().as_bytes();
    let link = words(&[b"(", b"type", b"symlink", b"target", target, b")"]);
    let entry = |name: &[u8], node: &[u8]| {
        let opening = words(&[b"entry", b"(", b"name", name, b"node"]);
        [opening, node.to_vec(), words(&[b")"])].concat()
    };
    let archive = |entries: &[Vec<u8>]| {
        let opening = words(&[b"nix-archive-1", b"(", b"type", b"directory"]);
        [opening, entries.concat(), words(&[b")"])].concat()
    };
    let bad = [
        // a link, then entries through it, under the same name and in other spellings
        archive(&[entry(b"a", &link), entry(b"a", &folder)]),
        archive(&[entry(b"a", &folder), entry(b"a", &link)]),
        archive(&[entry(b"a", &link), entry(b"a/precious", &file)]),
        archive(&[entry(b"a", &link), entry(b"a/", &folder)]),
        archive(&[entry(b"b", &link), entry(b"a", &folder)]),
        archive(&[entry(b"..", &folder)]),
        archive(&[entry(b".", &folder)]),
        archive(&[entry(b"", &folder)]),
        archive(&[entry(b"../outside/precious", &file)]),
        archive(&[entry(target, &folder)]),
        archive(&[entry(b"a\0b", &file)]),
    ];
    for (number, archive) in bad.iter().enumerate() {
        let name = format!("target-{number}");
        let result = restore::restore(&archive[..], handle.as_fd(), name.as_ref());
        assert!(matches!(result, Err(ObjectError::Unpack { .. })), "archive {number}: {result:?}");
        assert_eq!(fs::read_to_string(outside.join("precious")).unwrap(), "x");
        delete::delete(handle.as_fd(), name.as_ref()).unwrap();
    }
    // A link that lies at the target already is not followed either.
    symlink(&outside, dir.path().join("there")).unwrap();
    let good = archive(&[entry(b"precious", &file)]);
    let result = restore::restore(&good[..], handle.as_fd(), "there".as_ref());
    assert!(matches!(result, Err(ObjectError::Exists { .. })), "{result:?}");
    assert_eq!(fs::read_to_string(outside.join("precious")).unwrap(), "x");
}

#[test]
fn cve_2025_46415_deletion_under_a_swapping_attacker() {
    use std::sync::atomic::{AtomicBool, Ordering};

    let dir = tempfile::tempdir().unwrap();
    let outside = outside(dir.path());
    let root = dir.path().join("root");
    let spare = dir.path().join("spare");
    let handle = File::open(dir.path()).unwrap();
    let over = AtomicBool::new(false);
    // Exchanges `name` with the spare. Its directory is reached through no link: through one, the
    // attacker would bring what is outside into the tree, where it is rightly deleted.
    let exchange = |name: &str| -> Result<(), rustix::io::Errno> {
        use rustix::fs::{Mode, OFlags, RenameFlags, ResolveFlags, openat2, renameat_with};
        let (parent, name) = name.rsplit_once('/').unwrap();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let parent = openat2(&handle, parent, flags, Mode::empty(), beneath)?;
        renameat_with(&parent, name, &handle, "spare", RenameFlags::EXCHANGE)
    };
    std::thread::scope(|scope| {
        let attacker = scope.spawn(|| {
            let mut exchanged = 0;
            while !over.load(Ordering::Relaxed) {
                for name in ["root/a", "root/a/inner", "root/b/inner/deep"] {
                    // It fails while there is nothing to exchange.
                    exchanged += u32::from(exchange(name).is_ok());
                }
            }
            exchanged
        });
        let started = std::time::Instant::now();
        let mut rounds = 0;
        while started.elapsed() < std::time::Duration::from_secs(2) {
            for sub in ["a/inner", "b/inner/deep"] {
                // The attacker may have moved away what this needs: the next round makes it.
                let _ = fs::create_dir_all(root.join(sub));
                let _ = fs::write(root.join(sub).join("file"), "x");
            }
            // The link may have been deleted, as content of the tree, and a directory left.
            let _ = delete::delete(handle.as_fd(), "spare".as_ref());
            let _ = symlink(&outside, &spare);
            // An attacker who goes on for ever may make it fail, and never make it stray.
            let _ = delete::delete(handle.as_fd(), "root".as_ref());
            rounds += 1;
        }
        over.store(true, Ordering::Relaxed);
        let exchanged = attacker.join().unwrap();
        assert!(rounds > 10 && exchanged > 10, "{rounds} rounds, {exchanged} exchanges");
    });
    for path in ["precious", "inner/precious"] {
        assert!(outside.join(path).exists(), "{path} was deleted through a link");
    }
    delete::delete(handle.as_fd(), "root".as_ref()).unwrap();
    assert!(!root.exists());
}
