//! `floe run` and `floe shell`: programs of the store in the caller's own world, with the logical
//! store bound over the physical one.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::ExitStatusExt;

use anyhow::{Context, Result, bail};
use floe_engine::engine::Engine;
use floe_sandbox::{EnterSpec, enter};
use floe_server::protocol::Outputs;

use crate::args::{Global, Run, Shell};
use crate::command::build::realise;
use crate::fault::Ended;

/// Builds a derivation and runs its program.
pub fn run(global: &Global, args: &Run) -> Result<()> {
    let attrs: Vec<String> = args.attr.iter().cloned().collect();
    let (engine, results) = realise(global, &args.source, &args.building, &attrs)?;
    let [result] = results.as_slice() else {
        bail!("`floe run` runs one derivation, and this is {}; name an attribute", results.len());
    };
    let program = program(&engine, result)?;
    let mut argv = vec![program.into_bytes()];
    argv.extend(args.args.iter().map(|arg| arg.clone().into_bytes()));
    start(&engine, argv, None)
}

/// Opens a shell with packages on PATH.
pub fn shell(global: &Global, args: &Shell) -> Result<()> {
    let (engine, results) = realise(global, &args.source, &args.building, &args.attrs)?;
    let command = args.command.iter().map(|word| word.clone().into_bytes()).collect();
    open(&engine, &results, command)
}

/// Runs a command, or the user's shell without one, with what was built on PATH.
pub fn open(engine: &Engine, results: &[Outputs], command: Vec<Vec<u8>>) -> Result<()> {
    let mut path = OsString::new();
    for (_, output) in results.iter().flat_map(|result| &result.outputs) {
        path.push(format!("{output}/bin:"));
    }
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let argv = if command.is_empty() {
        let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
        vec![shell.into_vec()]
    } else {
        command
    };
    start(engine, argv, Some(path))
}

/// The program a derivation is run by: `meta.mainProgram`, or the only one in `bin`, or the one
/// that is called as the derivation is.
fn program(engine: &Engine, result: &Outputs) -> Result<String> {
    let (_, path) = result.outputs.first().context("the derivation has no output")?;
    let bin = engine.physical(path).context("the output is in the store")?.join("bin");
    if let Some(name) = &result.main_program {
        return Ok(format!("{path}/bin/{name}"));
    }
    let mut names: Vec<String> = std::fs::read_dir(&bin)
        .with_context(|| format!("{path} has no programs: there is no bin directory in it"))?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let own = names
        .iter()
        .find(|name| path.name() == **name || path.name().starts_with(&format!("{name}-")));
    match (own, names.as_slice()) {
        (Some(name), _) => Ok(format!("{path}/bin/{name}")),
        (None, [name]) => Ok(format!("{path}/bin/{name}")),
        (None, []) => bail!("{path} has no programs in its bin directory"),
        (None, names) => bail!(
            "{path} has several programs ({}) and no meta.mainProgram; use `floe shell ATTR -- PROGRAM`",
            names.join(", ")
        ),
    }
}

fn start(engine: &Engine, argv: Vec<Vec<u8>>, path: Option<OsString>) -> Result<()> {
    let store = engine.store().context("the store was opened to build")?;
    let mut env: Vec<(Vec<u8>, Vec<u8>)> = std::env::vars_os()
        .filter(|(name, _)| path.is_none() || name != "PATH")
        .map(|(name, value)| (name.into_vec(), value.into_vec()))
        .collect();
    env.extend(path.map(|path| (b"PATH".to_vec(), path.into_vec())));
    let ended = enter(&EnterSpec {
        store: store.objects_dir().to_path_buf(),
        argv,
        env,
        directory: std::env::current_dir().context("cannot find the current directory")?,
    })?;
    match (ended.code(), ended.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(Ended(u8::try_from(code).unwrap_or(1)).into()),
        (None, signal) => Err(Ended(128 + u8::try_from(signal.unwrap_or(0)).unwrap_or(0)).into()),
    }
}
