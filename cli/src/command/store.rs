//! `floe store`: objects as such.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use floe_core::ca::Method;
use floe_core::hash::HashAlgo;
use floe_store::object::tree::Source;
use floe_store::{GcOptions, VerifyOptions};

use crate::args::{Global, StoreCommand};
use crate::fault::{Ended, status};
use crate::progress::{Progress, Style};
use crate::terminal::marked;

/// A day in milliseconds.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Looks after the store.
pub fn store(global: &Global, command: &StoreCommand) -> Result<()> {
    let progress = Progress::start(Style::of(global, false));
    let engine = super::engine(global, progress.events())?;
    match command {
        StoreCommand::Add { path, name, flat } => {
            let path = std::path::absolute(path)?;
            let own = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let name = name.clone().or(own).context("give the object a name with --name")?;
            let method = if *flat { Method::Flat } else { Method::Nar };
            let source =
                Source { path: &path, name: &name, method, algo: HashAlgo::Sha256, filter: None };
            let (path, _hold) = engine.writable_store()?.add_source(source)?;
            println!("{path}");
            Ok(())
        }
        StoreCommand::Ls { path: None, .. } => {
            let store = super::existing_store(global, &engine)?;
            let mut out = std::io::stdout().lock();
            let mut written = Ok(());
            store.objects("", |path, _| {
                written = writeln!(out, "{path}");
                written.is_ok()
            })?;
            Ok(written?)
        }
        StoreCommand::Ls { path: Some(path), recursive, long } => {
            let store = super::existing_store(global, &engine)?;
            let (path, below) = super::store_path(&store, path)?;
            store.need(&path)?;
            list(&store.physical(&path).join(&below), Path::new(""), *recursive, *long)
        }
        StoreCommand::Cat { path } => {
            let store = super::existing_store(global, &engine)?;
            let (path, below) = super::store_path(&store, path)?;
            if let Some(text) = store.derivation(&path)? {
                std::io::stdout().lock().write_all(&text)?;
                return Ok(());
            }
            store.need(&path)?;
            let file = store.physical(&path).join(&below);
            let file = if below.as_os_str().is_empty() { store.physical(&path) } else { file };
            let mut reader =
                fs::File::open(&file).with_context(|| format!("cannot read {}", file.display()))?;
            if reader.metadata()?.is_dir() {
                bail!("{path} is a directory; name a file in it (`floe store ls {path}`)");
            }
            std::io::copy(&mut reader, &mut std::io::stdout().lock())?;
            Ok(())
        }
        StoreCommand::Verify => {
            let store = super::existing_store(global, &engine)?;
            let report = store.verify(&VerifyOptions::default())?;
            progress.finish();
            for fault in &report.faults {
                eprintln!("{}", marked(&fault.to_string()));
            }
            if report.faults.is_empty() {
                if !global.quiet {
                    eprintln!("every object is what it was registered as");
                }
                return Ok(());
            }
            Err(Ended(status::ERROR).into())
        }
        StoreCommand::Gc { dry_run, max_freed, trace_days } => {
            super::existing_store(global, &engine)?;
            drop(engine);
            let engine = super::engine(global, progress.events())?;
            let store = engine.into_writable()?;
            let options = GcOptions {
                dry_run: *dry_run,
                max_freed_bytes: *max_freed,
                trace_age_ms: Some(u64::from(*trace_days) * DAY_MS),
                ..GcOptions::default()
            };
            let report = store.gc(&options)?;
            progress.finish();
            for path in &report.deleted {
                println!("{path}");
            }
            if !global.quiet {
                let would = if *dry_run { "would be " } else { "" };
                eprintln!(
                    "{} objects {would}deleted, {:.1} MB {would}freed",
                    report.deleted.len(),
                    report.freed_bytes as f64 / 1e6
                );
            }
            Ok(())
        }
    }
}

fn list(root: &Path, below: &Path, recursive: bool, long: bool) -> Result<()> {
    let place = root.join(below);
    let place = if below.as_os_str().is_empty() { root.to_path_buf() } else { place };
    let meta = fs::symlink_metadata(&place)
        .with_context(|| format!("cannot look at {}", place.display()))?;
    if !meta.is_dir() {
        return show(&place, below, long);
    }
    let mut names: Vec<_> = fs::read_dir(&place)
        .with_context(|| format!("cannot list {}", place.display()))?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<_, _>>()?;
    names.sort();
    for name in names {
        let path = below.join(&name);
        show(&place.join(&name), &path, long)?;
        if recursive && fs::symlink_metadata(place.join(&name))?.is_dir() {
            list(root, &path, recursive, long)?;
        }
    }
    Ok(())
}

fn show(place: &Path, name: &Path, long: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if !long {
        writeln!(out, "{}", name.display())?;
        return Ok(());
    }
    let meta = fs::symlink_metadata(place)?;
    let link = if meta.is_symlink() {
        format!(" -> {}", fs::read_link(place)?.display())
    } else {
        String::new()
    };
    let kind = match meta.is_dir() {
        true => "dir",
        false if meta.is_symlink() => "link",
        false if meta.permissions().mode() & 0o100 != 0 => "exec",
        false => "file",
    };
    // What a directory's own size is depends on the file system, not on the object.
    let size = if meta.is_dir() { String::new() } else { meta.len().to_string() };
    writeln!(out, "{kind:4} {size:>12} {}{link}", name.display())?;
    Ok(())
}
