//! Re-evaluation in one process, on a real package set: the first evaluation of a package against that after an edit
//! of its file (a comment, so that its derivation stays; and a new attribute, so that it changes), after an edit of a
//! file that it does not read, and after none.
//!
//! `FLOE_COREPKGS` names a checkout of ekala-project/corepkgs and `FLOE_COREPKGS_LIB` one of the library that its lock
//! names; without them there is nothing to measure.

use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe_core::ca::Method;
use floe_core::hash::HashAlgo;
use floe_engine::engine::Engine;
use floe_engine::event::Events;
use floe_engine::instantiate::{Asked, Instantiator, Top};
use floe_lang::Settings;
use floe_store::object::tree::Source;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A package, its file, and a text in it behind which an attribute can be added.
const LEAVES: &[(&str, &str, &str)] = &[
    ("jq", "pkgs/jq/default.nix", "mkDerivation (finalAttrs: {"),
    ("zlib", "pkgs/zlib/default.nix", "mkDerivation (finalAttrs: {"),
];

const EDITS: usize = 5;

fn main() -> Result<()> {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let (Some(checkout), Some(lib)) = (named("FLOE_COREPKGS"), named("FLOE_COREPKGS_LIB")) else {
        println!("FLOE_COREPKGS and FLOE_COREPKGS_LIB name no checkouts: nothing is measured");
        return Ok(());
    };
    println!("| package | first | none | elsewhere | comment | attribute | first / attribute |");
    println!("|---|---|---|---|---|---|---|");
    for (attr, file, mark) in LEAVES {
        let scratch = tempfile::tempdir()?;
        let set = scratch.path().join("set");
        copy(&checkout, &set)?;
        if !set.join(file).exists() {
            println!("| {attr} | no {file} | | | | | |");
            continue;
        }
        measure(&scratch.path().join("root"), &set, &lib, attr, file, mark)?;
    }
    Ok(())
}

fn measure(root: &Path, set: &Path, lib: &Path, attr: &str, file: &str, mark: &str) -> Result<()> {
    let engine = Engine::open(root, true, Events::nowhere())?;
    let store = engine.writable_store()?;
    let source = Source {
        path: lib,
        name: "source",
        method: Method::Nar,
        algo: HashAlgo::Sha256,
        filter: None,
    };
    let _held = store.add_source(source)?;
    let host = engine.host();
    let mut instantiator = Instantiator::new(host, Settings::default(), Arc::default())?;
    let asked = Asked {
        top: Top::File(set.join("default.nix")),
        base: set.to_path_buf(),
        attr: attr.to_owned(),
        args: Vec::new(),
    };
    let started = Instant::now();
    let original = instantiator.instantiate(&asked)?.drv_paths()?;
    let first = started.elapsed();
    // time stamps are coarse: what was just copied must first become old
    std::thread::sleep(Duration::from_millis(100));
    instantiator.refresh();
    let place = set.join(file);
    let text = fs::read_to_string(&place)?;
    let mut median = |edit: &dyn Fn(usize) -> std::io::Result<()>,
                      differs: bool,
                      evaluations: u64|
     -> Result<Duration> {
        let mut times = Vec::new();
        for round in 0..EDITS {
            edit(round)?;
            let before = instantiator.counts().evaluated;
            let started = Instant::now();
            instantiator.refresh();
            let found = instantiator.instantiate(&asked)?.drv_paths()?;
            times.push(started.elapsed());
            assert_eq!(found != original, differs, "{attr}");
            assert_eq!(instantiator.counts().evaluated - before, evaluations, "{attr}");
        }
        times.sort_unstable();
        Ok(times[EDITS / 2])
    };
    let none = median(&|_| Ok(()), false, 0)?;
    let elsewhere =
        median(&|round| fs::write(set.join("README.md"), format!("{round}")), false, 0)?;
    let comment = median(&|round| fs::write(&place, format!("# {round}\n{text}")), false, 1)?;
    assert!(text.contains(mark), "{file} has no '{mark}'");
    let attribute = median(
        &|round| fs::write(&place, text.replacen(mark, &format!("{mark} edited = {round};"), 1)),
        true,
        1,
    )?;
    let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    println!(
        "| {attr} | {} | {} | {} | {} | {} | {:.0} |",
        ms(first),
        ms(none),
        ms(elsewhere),
        ms(comment),
        ms(attribute),
        first.as_secs_f64() / attribute.as_secs_f64()
    );
    let counts = instantiator.counts();
    println!("<!-- {attr}: {} reads watched, {} files parsed -->", counts.reads, counts.parsed);
    Ok(())
}

/// Copies a tree, without its history.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if entry.file_name() == OsStr::new(".git") {
            continue;
        } else if kind.is_dir() {
            copy(&source, &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source)?, &target)?;
        } else {
            fs::copy(&source, &target)?;
        }
    }
    Ok(())
}
