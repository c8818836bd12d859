//! `floe build` by way of the store's resident server: the same words in, the same bytes out. A
//! server that ends in the middle is asked again; where there can be none, the command does without.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use floe_engine::cancel::Cancel;
use floe_server::client::{Client, ClientError};
use floe_server::frame::FrameError;
use floe_server::happening::Happening;
use floe_server::protocol::{self, Answer, Argument, Ask, Bytes, Fault, Say, Source, Top};

use super::build::{Started, build_here, cancel_on_signals, how, json_or_line, show, write_report};
use crate::args::{self, Build, Global};
use crate::evaluate::{Toggles, arguments, search_path};
use crate::fault::{Interrupted, Shown};
use crate::progress::{Progress, Style};
use crate::terminal;

/// So often a server that ends in the middle of a request is asked again.
const TRIES: usize = 3;

/// How often files are looked at where nothing tells of their changes.
const LOOK: Duration = Duration::from_secs(1);

/// Builds by way of the server.
pub fn build(global: &Global, args: &Build) -> Result<()> {
    let ask = ask(args)?;
    let cancel = Cancel::default();
    let _signals = cancel_on_signals(&cancel)?;
    for _ in 0..TRIES {
        match Client::ask(&super::root(global)?, &ask) {
            Ok(mut client) => {
                if let Some(result) = hear_out(&mut client, &cancel, global, args)? {
                    return conclude(result, global, args);
                }
            }
            Err(error) => return without(&error, global, args),
        }
    }
    bail!("each server ended before it had answered; --no-server builds without one")
}

/// Builds, and again whenever something changes that the build rests on, until interrupted.
pub fn watch(global: &Global, args: &Build) -> Result<()> {
    let ask = ask(args)?;
    let root = super::root(global)?;
    let cancel = Cancel::default();
    let _signals = cancel_on_signals(&cancel)?;
    let mut client = Client::ask(&root, &ask)?;
    loop {
        if let Some(result) = hear_out(&mut client, &cancel, global, args)?
            && !cancel.is_cancelled()
        {
            if let Err(error) = conclude(result, global, args) {
                crate::fault::tell(&error, global.progress);
            }
            if !global.quiet {
                json_or_line(global, "waiting for changes");
            }
            if wait_for_change(&mut client, &cancel).is_ok() && client.say(&ask).is_ok() {
                continue;
            }
        }
        if cancel.is_cancelled() {
            return Err(Interrupted.into());
        }
        client = Client::ask(&root, &ask)?;
    }
}

fn wait_for_change(client: &mut Client, cancel: &Cancel) -> Result<(), FrameError> {
    let _ends = cancel.on_cancel(client.closer()?);
    client.say(&Ask::Change)?;
    loop {
        match client.hear()? {
            Say::Changed => return Ok(()),
            Say::Unwatched => {
                std::thread::sleep(LOOK);
                return Ok(());
            }
            _ => {}
        }
    }
}

/// There can be no server: says why, and builds without.
fn without(error: &ClientError, global: &Global, args: &Build) -> Result<()> {
    let why = format!("building without a server: {}", floe_server::sentence(error));
    json_or_line(global, &why);
    build_here(global, args)
}

/// What came of a request.
enum Reply {
    Answer(Answer, Vec<u8>),
    Fault(Fault),
    Interrupted,
}

/// Shows what happens until the answer comes; none if the server ended before.
fn hear_out(
    client: &mut Client,
    cancel: &Cancel,
    global: &Global,
    args: &Build,
) -> Result<Option<Reply>> {
    let style = Style::of(global, args.building.print_build_logs);
    let mut progress: Option<Progress> = None;
    let share = "cannot share the connection to the server";
    let (stop, close) = (client.canceller().context(share)?, client.closer().context(share)?);
    let is_building = Arc::new(AtomicBool::new(false));
    let building = Arc::clone(&is_building);
    // Builders are seen to their end; an evaluation, which cannot be stopped, is left alone.
    let _stops = cancel.on_cancel(move || match building.load(Ordering::SeqCst) {
        true => stop(),
        false => close(),
    });
    let mut report = Vec::new();
    let reply = loop {
        match client.hear() {
            Ok(Say::Happened(happening)) => {
                if let Happening::Started(..) = happening {
                    is_building.store(true, Ordering::SeqCst);
                }
                let progress = progress.get_or_insert_with(|| Progress::start(style));
                progress.events().send(happening.event());
            }
            Ok(Say::Report(part)) => report.extend(part.0),
            Ok(Say::Built(Ok(answer))) if answer.interrupted => break Some(Reply::Interrupted),
            Ok(Say::Built(Ok(answer))) => break Some(Reply::Answer(answer, report)),
            Ok(Say::Built(Err(Fault::Interrupted))) => break Some(Reply::Interrupted),
            Ok(Say::Built(Err(fault))) => break Some(Reply::Fault(fault)),
            Ok(_) => {}
            Err(FrameError::Io(_) | FrameError::Gone) if cancel.is_cancelled() => {
                break Some(Reply::Interrupted);
            }
            Err(FrameError::Io(_) | FrameError::Gone) => break None,
            Err(error) => return Err(error).context("cannot understand the server"),
        }
    };
    if let Some(progress) = progress {
        progress.finish();
    }
    Ok(reply)
}

fn conclude(reply: Reply, global: &Global, args: &Build) -> Result<()> {
    match reply {
        Reply::Interrupted | Reply::Fault(Fault::Interrupted) => Err(Interrupted.into()),
        Reply::Fault(Fault::Shown(text)) => Err(Shown(text.0).into()),
        Reply::Fault(Fault::Words(words)) => bail!("{words}"),
        Reply::Answer(answer, report) => {
            if let Some(file) = &args.report {
                write_report(file, &report)?;
            }
            show(&answer, global, args)
        }
    }
}

/// The expression that the command line means.
pub fn source(from: &args::Source) -> Result<Source> {
    let base = std::env::current_dir().context("cannot find the current directory")?;
    let toggles = Toggles::of(from)?;
    let stdin = from.nix.as_ref().and_then(|nix| nix.stdin.as_deref());
    Ok(Source {
        top: match (stdin, &from.expr) {
            (Some(text), _) => Top::Text(String::from_utf8_lossy(text).into_owned()),
            (None, Some(text)) => Top::Text(text.clone()),
            (None, None) => {
                let file = from.file.as_deref().unwrap_or(Path::new("."));
                Top::File(Bytes::from(base.join(file).as_path()))
            }
        },
        args: arguments(from, Argument::Expr, Argument::Text),
        search: search_path(&from.include, &base)
            .into_iter()
            .map(|entry| (entry.prefix, Bytes::from(entry.path.as_path())))
            .collect(),
        import_from_derivation: toggles.import_from_derivation.unwrap_or(true),
        pure: toggles.pure.unwrap_or(false),
        tarball_ttl_s: toggles.tarball_ttl_s,
        base: Bytes::from(base.as_path()),
    })
}

/// The request that the command line means.
fn ask(args: &Build) -> Result<Ask> {
    let from = &args.source;
    let source = source(from)?;
    let environment = std::env::vars_os()
        .map(|(name, value)| (Bytes(name.as_bytes().to_vec()), Bytes::from(value)))
        .collect();
    let link = match args.no_link {
        true => None,
        false => Some(Bytes::from(source.base.path().join(&args.out_link).as_path())),
    };
    Ok(Ask::Build(Box::new(protocol::Build {
        source,
        attrs: args.attrs.clone(),
        environment,
        how: how(&args.building, args.dry_run),
        show_trace: from.show_trace,
        colour: terminal::has_colours(),
        report: Started::now().report(args),
        link,
    })))
}
