//! The commands, a file each. What several of them need is here: the store root, the engine, the
//! way a word names a store path.

pub mod build;
pub mod derivation;
pub mod doctor;
pub mod eval;
pub mod experiment;
pub mod explain;
pub mod inspect;
pub mod matrix;
pub mod predict;
pub mod remote;
pub mod repl;
pub mod report;
pub mod seed;
pub mod server;
pub mod shell;
pub mod stats;
pub mod store;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, anyhow, bail};
use floe_core::path::{STORE_DIR, StorePath};
use floe_engine::engine::Engine;
use floe_engine::event::Events;
use floe_engine::import::Material;
use floe_engine::materials::Materials;
use floe_lang::graph::{DrvGraph, DrvId};
use floe_lang::host::Host;
use floe_server::client::{self, Lease};
use floe_store::Store;

use crate::args::Global;

/// The store root that the flags or the environment name.
pub fn root(global: &Global) -> Result<PathBuf> {
    if let Some(root) = &global.root {
        return Ok(std::path::absolute(root)?);
    }
    let data =
        std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    let data = data
        .or_else(home)
        .context("neither --root, FLOE_ROOT, XDG_DATA_HOME nor HOME says where the store is")?;
    Ok(data.join("floe"))
}

/// The engine over that root, which a server lets go of as long as this process runs.
pub fn engine(global: &Global, events: Events) -> Result<Engine> {
    static LEASE: OnceLock<Option<Lease>> = OnceLock::new();
    let root = root(global)?;
    LEASE.get_or_init(|| client::release(&root));
    Ok(Engine::open(&root, !global.no_wait, events)?)
}

/// The engine over that root, for a command that reads beside whoever writes.
pub fn reader(global: &Global, events: Events) -> Result<Engine> {
    Ok(Engine::open(&root(global)?, !global.no_wait, events)?)
}

/// The store, which must exist.
pub fn existing_store(global: &Global, engine: &Engine) -> Result<Arc<Store>> {
    match engine.store() {
        Some(store) => Ok(store),
        None => {
            bail!("there is no store at {} yet; build something first", root(global)?.display())
        }
    }
}

/// The store path that a word names: a store path or something below one, a base name, a digest's
/// beginning, or a link or path that leads into the store. The rest is what lies below.
pub fn store_path(store: &Store, word: &str) -> Result<(StorePath, PathBuf)> {
    let inside = |text: &str| {
        let (path, rest) = StorePath::parse_prefix(text).ok()?;
        Some((path, PathBuf::from(rest.trim_start_matches('/'))))
    };
    if let Some(found) = inside(word) {
        return Ok(found);
    }
    if let Ok(path) = StorePath::from_base_name(word) {
        return Ok((path, PathBuf::new()));
    }
    if let Some((base, rest)) = word.split_once('/')
        && let Ok(path) = StorePath::from_base_name(base)
    {
        return Ok((path, PathBuf::from(rest)));
    }
    let place = Path::new(word);
    let resolved = std::fs::canonicalize(place).or_else(|_| std::fs::read_link(place));
    if let Ok(resolved) = resolved {
        let below = resolved.strip_prefix(store.objects_dir());
        let text = below.map(|below| format!("{STORE_DIR}/{}", below.display()));
        if let Some(found) = inside(&text.unwrap_or_else(|_| resolved.display().to_string())) {
            return Ok(found);
        }
    }
    let mut matching = store.find(word)?;
    match matching.len() {
        1 => Ok((matching.remove(0), PathBuf::new())),
        0 => Err(anyhow!("'{word}' names nothing in the store")),
        n => Err(anyhow!("'{word}' names {n} objects of the store; give more of the digest")),
    }
}

/// Writes to the store what evaluation showed paths of: sources, and derivations with all that they need.
pub fn write_shown(engine: &Engine, drvs: &Arc<DrvGraph>) -> Result<()> {
    let host: Arc<dyn Host> = engine.host();
    for id in drvs.shown_sources() {
        host.add_source(&drvs.source(id), &drvs.source_path(id)?)?;
    }
    for id in drvs.ids().filter(|id| drvs.observed(*id)) {
        instantiate(engine, drvs, id)?;
    }
    Ok(())
}

/// Writes a derivation's file, and those of all it depends on, to the store.
pub fn instantiate(engine: &Engine, drvs: &Arc<DrvGraph>, drv: DrvId) -> Result<()> {
    let path = drvs.drv_path(drv)?;
    let by_path = HashMap::from([(path.clone(), Material::DrvFile(drv))]);
    let materials = Materials::new(Arc::clone(drvs), engine.host(), by_path);
    materials.ensure(&*engine.writable_store()?, &path)?;
    Ok(())
}
