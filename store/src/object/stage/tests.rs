//! Staging against what Nix 2.8 made of the same trees (`nix-build` with `ca-derivations`;
//! paths, NAR hashes and sizes from `nix-store -q`), and against hostile builders.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use floe_core::base32;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

/// A directory in which the outputs of one derivation are made.
struct Build {
    dir: tempfile::TempDir,
    handle: File,
    drv_name: &'static str,
    outputs: Vec<(OutputName, Address, StorePath)>,
}

const NAR: Address = Address::Floating(Method::Nar, HashAlgo::Sha256);

impl Build {
    fn new(drv_name: &'static str, outputs: &[(&str, Address)]) -> Build {
        let dir = tempfile::tempdir().unwrap();
        let handle = File::open(dir.path()).unwrap();
        let outputs = outputs
            .iter()
            .map(|(name, address)| {
                let output = OutputName::new(name).unwrap();
                let digest =
                    Hash::of(HashAlgo::Sha1, format!("{drv_name} {name}").as_bytes()).fold();
                let path = StorePath::new(&digest, &output.path_name(drv_name)).unwrap();
                (output, address.clone(), path)
            })
            .collect();
        Build { dir, handle, drv_name, outputs }
    }

    /// What the builder calls output `at`, and where it lies really.
    fn output(&self, at: usize) -> (String, std::path::PathBuf) {
        (self.outputs[at].2.to_string(), self.dir.path().join(self.outputs[at].2.base_name()))
    }

    fn stage(
        &self,
        candidates: &BTreeSet<StorePath>,
        links: Option<&Links>,
    ) -> Result<Vec<Staged>, ObjectError> {
        let outputs: Vec<Scratch<'_>> = self
            .outputs
            .iter()
            .map(|(output, address, path)| Scratch {
                output,
                address,
                path,
                dir: self.handle.as_fd(),
                file_name: OsStr::new(path.base_name()),
            })
            .collect();
        stage_outputs(self.drv_name, &outputs, candidates, links)
    }

    fn staged(&self) -> Vec<Staged> {
        self.stage(&BTreeSet::new(), None).unwrap()
    }

    fn error(&self) -> String {
        self.stage(&BTreeSet::new(), None).unwrap_err().to_string()
    }
}

fn check(staged: &Staged, base_name: &str, nar_hash: &str, nar_size: u64, refs: &[&str]) {
    assert_eq!(staged.path.base_name(), base_name);
    assert_eq!(staged.contents.nar_hash.to_string(), nar_hash);
    assert_eq!(staged.contents.nar_size, nar_size);
    let found: BTreeSet<&str> = staged.refs.iter().map(StorePath::base_name).collect();
    assert_eq!(found, refs.iter().copied().collect());
}

#[test]
fn an_output_that_names_itself() {
    let build = Build::new("self", &[("out", NAR)]);
    let (path, real) = build.output(0);
    fs::write(real, format!("{path}\n")).unwrap();
    let base = "6hq42kcs3m6a9cv31m6mkfz0iql1r9zm-self";
    let hash = "sha256:0slz56639ahlsjyzkcybq9zdjr3vaa89d3f773l9106rvbwpj1y0";
    check(&build.staged()[0], base, hash, 168, &[base]);
}

#[test]
fn a_tree_that_names_itself() {
    let build = Build::new("tree", &[("out", NAR)]);
    let (path, real) = build.output(0);
    fs::create_dir_all(real.join("bin")).unwrap();
    fs::create_dir(real.join("empty")).unwrap();
    fs::write(real.join("bin/run"), format!("#!/bin/sh\nexec {path}/bin/other {path}\n")).unwrap();
    fs::set_permissions(real.join("bin/run"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink(format!("{path}/bin/run"), real.join("bin/link")).unwrap();
    fs::write(real.join("plain"), "plain\n").unwrap();
    fs::hard_link(real.join("plain"), real.join("twin")).unwrap();
    let staged = build.staged();
    let base = "mb9h416lfm1bmc5n6sjvv2bgljvcd5qc-tree";
    let hash = "sha256:17g3yl3wa1akn88kbmjg4y35ybjry7j1qj4yjr49684b70w2j8n1";
    check(&staged[0], base, hash, 1400, &[base]);

    let link = fs::read_link(real.join("bin/link")).unwrap();
    assert_eq!(link, Path::new(&format!("/nix/store/{base}/bin/run")));
    for (file, mode) in
        [("", 0o555), ("bin", 0o555), ("empty", 0o555), ("bin/run", 0o555), ("plain", 0o444)]
    {
        let metadata = fs::symlink_metadata(real.join(file)).unwrap();
        assert_eq!(metadata.mode() & 0o7777, mode, "{file}");
        assert_eq!(metadata.mtime(), 1, "{file}");
    }
    assert_eq!(fs::symlink_metadata(real.join("bin/link")).unwrap().mtime(), 1);
    assert_eq!(fs::metadata(real.join("plain")).unwrap().nlink(), 1);
    let again = super::super::tree::digest(
        build.handle.as_fd(),
        OsStr::new(build.outputs[0].2.base_name()),
        "x",
    );
    let again = again.unwrap();
    assert_eq!(again.tree, staged[0].contents.tree);
    assert_eq!(again.nar_hash, staged[0].contents.nar_hash);

    let store = tempfile::tempdir().unwrap();
    let to = File::open(store.path()).unwrap();
    let from_name = OsStr::new(build.outputs[0].2.base_name());
    publish(build.handle.as_fd(), from_name, to.as_fd(), OsStr::new(base)).unwrap();
    let metadata = fs::metadata(store.path().join(base)).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.mtime()), (0o555, 1));
    super::super::delete::delete(to.as_fd(), OsStr::new(base)).unwrap();
    assert_eq!(fs::read_dir(store.path()).unwrap().count(), 0);
}

#[test]
fn outputs_that_name_each_other() {
    let build = Build::new("three", &[("dev", NAR), ("lib", NAR), ("out", NAR)]);
    let [(dev, real_dev), (lib, real_lib), (out, real_out)] = [0, 1, 2].map(|at| build.output(at));
    fs::create_dir(&real_out).unwrap();
    fs::create_dir(&real_dev).unwrap();
    fs::write(real_out.join("lib"), format!("{lib}\n")).unwrap();
    fs::write(real_out.join("dev"), format!("{dev}\n")).unwrap();
    fs::write(real_out.join("self"), format!("{out}\n")).unwrap();
    fs::write(real_dev.join("lib"), format!("{lib}\n")).unwrap();
    fs::write(real_dev.join("self"), format!("{dev}{dev}\n")).unwrap();
    fs::write(&real_lib, "lib\n").unwrap();
    let staged = build.staged();
    let base_dev = "9sy535d2g1f468lkypqny48hv8w7f415-three-dev";
    let base_lib = "frc550swsllhwpc8bpqx8w5lz7hyjj9z-three-lib";
    let base_out = "ahh3zcasr13ji7hfl3apa6wy16qhbg5w-three";
    let hash = "sha256:0csqgfahyfabsdpbw1n807a6y2k120mfna8inkk27mj5ffslhsg0";
    check(&staged[0], base_dev, hash, 632, &[base_dev, base_lib]);
    let hash = "sha256:03wzk1cq3sdbichqwdkvmxv8y66pcq7c24rv9cjwkf6crw241gr3";
    check(&staged[1], base_lib, hash, 120, &[]);
    let hash = "sha256:1vj59ygg9fmn89lf60da8cd1y0b9l793fx32368g6kz81l7lmwjn";
    check(&staged[2], base_out, hash, 816, &[base_dev, base_lib, base_out]);

    fs::remove_file(&real_lib).unwrap();
    let build = Build::new("round", &[("dev", NAR), ("lib", NAR), ("out", NAR)]);
    let [(dev, real_dev), (lib, real_lib), (_, real_out)] = [0, 1, 2].map(|at| build.output(at));
    fs::write(real_dev, lib).unwrap();
    fs::write(real_lib, &dev).unwrap();
    fs::write(real_out, dev).unwrap();
    let error = build.error();
    assert!(
        error.starts_with("cycle detected in build of 'round' in the references of output"),
        "{error}"
    );
    assert!(error.contains("'dev'") && error.contains("'lib'"), "{error}");
}

#[test]
fn other_methods_and_algorithms() {
    let address = |method, algo| Address::Floating(method, algo);
    let flat_hash = "sha256:0hkbia1003qqh0r7fn03drzx5yaw7yp99xs7j6c7qsddnp1w7dpc";
    let build = Build::new("plainsha512", &[("out", address(Method::Nar, HashAlgo::Sha512))]);
    let (_, real) = build.output(0);
    fs::create_dir(&real).unwrap();
    fs::write(real.join("x"), "x\n").unwrap();
    let hash = "sha256:0x8rfwm8ahk1g7chxpm8ij2nhvzxiryknb33py3dha2qxw5fkgr9";
    check(&build.staged()[0], "dxfjm2308y2zx1rwzifl4jg2mlxdvrd2-plainsha512", hash, 288, &[]);
    for (name, algo, base) in [
        ("flat", HashAlgo::Sha256, "gfa3x68423nhylzr301dhvnknf4ccw9j-flat"),
        ("flatsha1", HashAlgo::Sha1, "gjvv95vzrzhn0ixy76n0v7mm6w8rvr9r-flatsha1"),
    ] {
        let build = Build::new(name, &[("out", address(Method::Flat, algo))]);
        let (path, real) = build.output(0);
        fs::write(&real, "x\n").unwrap();
        check(&build.staged()[0], base, flat_hash, 120, &[]);

        let build = Build::new(name, &[("out", address(Method::Flat, algo))]);
        let (_, real) = build.output(0);
        fs::write(&real, path).unwrap();
        assert!(build.error().contains("not allowed to refer to other store paths"));
        fs::set_permissions(&real, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(build.error().contains("should be a non-executable regular file"));
    }
}

#[test]
fn fixed_outputs_are_checked() {
    let name = OutputName::out();
    let make = |hash| {
        let ca = ContentAddress { method: Method::Flat, hash };
        let path = fixed_path("src", &ca, &Refs::default()).unwrap();
        Build::new("src", &[(name.as_str(), Address::Fixed(path, ca))])
    };
    let build = make(Hash::of(HashAlgo::Sha256, b"hello\n"));
    let (path, real) = build.output(0);
    fs::write(&real, "hello\n").unwrap();
    assert_eq!(build.staged()[0].ca.unwrap().hash, Hash::of(HashAlgo::Sha256, b"hello\n"));

    let build = make(Hash::zero(HashAlgo::Sha256));
    assert!(
        build
            .error()
            .starts_with("builder for 'src' failed to produce output 'out' at '/nix/store/")
    );
    let (_, real) = build.output(0);
    fs::write(&real, "hello\n").unwrap();
    assert_eq!(
        build.error(),
        "hash mismatch in fixed-output derivation 'src':\n  \
         specified: sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n     \
         got:    sha256-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=\n  \
         if that is the content you want, give what was got as outputHash"
    );
    let build = make(Hash::of(HashAlgo::Sha256, path.as_bytes()));
    let (_, real) = build.output(0);
    fs::write(&real, &path).unwrap();
    assert!(build.error().contains("must not refer to store paths"));
}

#[test]
fn references_to_candidates_are_found() {
    let build = Build::new("refs", &[("out", NAR)]);
    let (_, real) = build.output(0);
    let input = |name: &str| {
        StorePath::new(&Hash::of(HashAlgo::Sha1, name.as_bytes()).fold(), name).unwrap()
    };
    let candidates = BTreeSet::from([input("a"), input("b"), input("c")]);
    fs::create_dir(&real).unwrap();
    let far = [vec![b'0'; 300_000], input("a").as_str().into(), vec![b'0'; 99]].concat();
    fs::write(real.join("far"), far).unwrap();
    symlink(input("c").as_str(), real.join("link")).unwrap();
    let staged = build.stage(&candidates, None).unwrap();
    assert_eq!(staged[0].refs, BTreeSet::from([input("a"), input("c")]));
}

#[test]
fn what_may_not_be_in_the_store() {
    let refused = |make: &dyn Fn(&Path), expect: &str| {
        let build = Build::new("bad", &[("out", NAR)]);
        let (path, real) = build.output(0);
        fs::create_dir(&real).unwrap();
        make(&real.join("file"));
        let error = build.error();
        assert!(error.contains(expect) && error.contains(&format!("'{path}/file'")), "{error}");
    };
    refused(
        &|file| mknodat(CWD, file, FileType::Fifo, Mode::RWXU, 0).unwrap(),
        "is a fifo: only regular files",
    );
    refused(&|file| drop(std::os::unix::net::UnixListener::bind(file).unwrap()), "is a socket");
    for mode in [0o4755, 0o2755, 0o4644] {
        refused(
            &|file| {
                fs::write(file, "x").unwrap();
                fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
            },
            "has a set-user-id or set-group-id bit",
        );
    }
    let build = Build::new("deep", &[("out", NAR)]);
    let (_, real) = build.output(0);
    fs::create_dir_all(real.join("d/".repeat(70))).unwrap();
    assert!(build.error().contains("maximum depth of 64"));
}

#[test]
fn unreadable_files_are_read_and_foreign_names_are_cut_off() {
    let build = Build::new("locked", &[("out", NAR)]);
    let (_, real) = build.output(0);
    fs::create_dir(&real).unwrap();
    fs::write(real.join("file"), "content").unwrap();
    let outside = build.dir.path().join("outside");
    fs::hard_link(real.join("file"), &outside).unwrap();
    fs::set_permissions(real.join("file"), fs::Permissions::from_mode(0o0)).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o0)).unwrap();
    build.staged();
    fs::set_permissions(&outside, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&outside, "evil").unwrap();
    assert_eq!(fs::read(real.join("file")).unwrap(), b"content");
}

#[test]
fn equal_files_are_shared() {
    let links_dir = tempfile::tempdir().unwrap();
    let links = Links::open(links_dir.path()).unwrap();
    let build = Build::new("twins", &[("out", NAR), ("dev", NAR)]);
    for at in 0..2 {
        let (_, real) = build.output(at);
        fs::create_dir_all(real.join("a/b")).unwrap();
        for (file, mode) in [("a/b/one", 0o644), ("a/two", 0o600), ("three", 0o700)] {
            fs::write(real.join(file), "same").unwrap();
            fs::set_permissions(real.join(file), fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    let staged = build.stage(&BTreeSet::new(), Some(&links)).unwrap();
    let inode = |at: usize, file: &str| fs::metadata(build.output(at).1.join(file)).unwrap().ino();
    assert_eq!(inode(0, "a/b/one"), inode(0, "a/two"));
    assert_eq!(inode(0, "a/b/one"), inode(1, "a/two"));
    assert_eq!(inode(0, "three"), inode(1, "three"));
    assert_ne!(inode(0, "three"), inode(1, "a/two"));
    assert_eq!((links.saved().files, links.saved().bytes), (4, 16));
    assert_eq!(fs::read_dir(links_dir.path()).unwrap().count(), 2);
    let digest = staged[0].contents.files[0].digest;
    links.check(&digest, false).unwrap();
    for at in 0..2 {
        super::super::delete::delete(build.handle.as_fd(), build.output(at).1.file_name().unwrap())
            .unwrap();
    }
    assert_eq!(links.sweep().unwrap().files, 2);
}

/// Digests in file names are rewritten too, as long as the order of names stays.
#[test]
fn names_that_contain_the_digest() {
    let build = Build::new("names", &[("out", NAR)]);
    let (path, real) = build.output(0);
    fs::create_dir(&real).unwrap();
    let scratch = build.outputs[0].2.digest_text().to_owned();
    fs::write(real.join(format!("m-{scratch}")), path).unwrap();
    let staged = build.staged();
    let digest = staged[0].path.digest_text();
    assert_ne!(digest, scratch);
    assert_eq!(base32::decode(digest).unwrap().len(), 20);
    let text = fs::read_to_string(real.join(format!("m-{digest}"))).unwrap();
    assert_eq!(text, staged[0].path.as_str());
}
