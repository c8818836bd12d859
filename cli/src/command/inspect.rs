//! `floe path-info` and `floe log`: what is known of a store path.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use floe_core::path::StorePath;
use floe_engine::engine::Engine;
use floe_engine::local::log_path;
use floe_engine::rebuilder::Strategy;
use floe_store::{ObjectInfo, Store};
use serde_json::{Value, json};

use crate::args::{Global, Log, PathInfo};

/// Prints what the store knows of paths.
pub fn path_info(global: &Global, args: &PathInfo) -> Result<()> {
    let engine = super::build::silent(global)?;
    let store = super::existing_store(global, &engine)?;
    let mut paths = Vec::new();
    for word in &args.paths {
        paths.push(super::store_path(&store, word)?.0);
    }
    if args.recursive {
        paths = store.closure(&paths)?;
    }
    let mut out = std::io::stdout().lock();
    let mut list = Vec::new();
    for path in &paths {
        let info = store.need(path)?;
        if args.json {
            let closure = store.closure(std::slice::from_ref(path))?;
            let mut size = 0;
            for path in &closure {
                size += store.need(path)?.nar_size;
            }
            list.push(to_json(path, &info, size));
        } else {
            writeln!(out, "{path}")?;
            writeln!(out, "  lies at     {}", store.physical(path).display())?;
            writeln!(out, "  archive     {} bytes, {}", info.nar_size, info.nar_hash.sri())?;
            writeln!(out, "  tree        blake3:{}", info.tree.base16())?;
            if let Some(ca) = &info.ca {
                writeln!(out, "  content     {ca}")?;
            }
            if let Some(deriver) = &info.deriver {
                writeln!(out, "  made by     {deriver}")?;
            }
            for reference in &info.refs {
                writeln!(out, "  refers to   {reference}")?;
            }
        }
    }
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&list)?)?;
    }
    Ok(())
}

fn to_json(path: &StorePath, info: &ObjectInfo, closure_size: u64) -> Value {
    json!({
        "path": path.as_str(),
        "narHash": info.nar_hash.sri(),
        "narSize": info.nar_size,
        "references": info.refs.iter().map(StorePath::as_str).collect::<Vec<_>>(),
        "deriver": info.deriver.as_ref().map(StorePath::as_str),
        "ca": info.ca.as_ref().map(ToString::to_string),
        "tree": format!("blake3:{}", info.tree.base16()),
        "registrationTime": info.registered_at_ms / 1000,
        "closureSize": closure_size,
    })
}

/// Prints the log of the build that made something.
pub fn log(global: &Global, args: &Log) -> Result<()> {
    let engine = super::build::silent(global)?;
    let store = super::existing_store(global, &engine)?;
    print_log(&engine, &store, &args.what)
}

/// Prints the log of the build that made what a word names.
pub fn print_log(engine: &Engine, store: &Store, what: &str) -> Result<()> {
    let mut path = super::store_path(store, what).ok().map(|(path, _)| path);
    if path.is_none() {
        for strategy in Strategy::all() {
            let records = engine.records(strategy)?;
            let found = records
                .iter()
                .filter(|(task, _)| *task == what || task.rsplit('/').next() == Some(what));
            path = found
                .max_by_key(|(_, record)| record.at)
                .and_then(|(_, record)| record.outputs.values().next().cloned());
            if path.is_some() {
                break;
            }
        }
    }
    let Some(path) = path else { return log_by_name(store.log_dir(), what) };
    let deriver = match path.is_derivation() {
        true => path.clone(),
        false => store
            .need(&path)?
            .deriver
            .with_context(|| format!("{path} was not built here, so there is no log"))?,
    };
    let file = log_path(store.log_dir(), &deriver);
    print(&file).with_context(|| format!("there is no log of {deriver} at {}", file.display()))
}

/// A build that failed has no output: its log is found by the derivation's name, the newest first.
fn log_by_name(log_dir: &Path, what: &str) -> Result<()> {
    let name = what.rsplit('/').next().unwrap_or(what);
    let named = |file: &Path| {
        let base = file.file_name()?.to_str()?.strip_suffix(".drv.log")?;
        let (_, found) = base.split_once('-')?;
        let version = found.strip_prefix(name)?;
        (version.is_empty() || version.starts_with('-')).then_some(())
    };
    let dirs = std::fs::read_dir(log_dir).into_iter().flatten().flatten();
    let files = dirs.filter_map(|dir| std::fs::read_dir(dir.path()).ok()).flatten().flatten();
    let newest = files
        .map(|entry| entry.path())
        .filter(|file| named(file).is_some())
        .max_by_key(|file| file.metadata().and_then(|meta| meta.modified()).ok());
    let Some(file) = newest else { bail!("'{what}' names nothing that was built here") };
    print(&file).with_context(|| format!("cannot read the log {}", file.display()))
}

fn print(file: &Path) -> std::io::Result<()> {
    let mut log = std::fs::File::open(file)?;
    std::io::copy(&mut log, &mut std::io::stdout().lock()).map(drop)
}
