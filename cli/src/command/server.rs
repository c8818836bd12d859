//! `floe server`: the resident server of a store root, run, looked at or ended.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use floe_server::client::{self, Client};
use floe_server::daemon::{self, Orders};
use floe_server::protocol::{Ask, Holds, Say};
use serde_json::json;

use crate::args::{Global, ServerCommand};

/// How long the server keeps the store open after a request: others ask for it if they need it, and
/// who does not know how to ask waits no longer than this.
const LINGER: Duration = Duration::from_secs(5);

/// Runs, describes or ends the server.
pub fn server(global: &Global, command: &ServerCommand) -> Result<()> {
    match command {
        ServerCommand::Run { detach, idle } => run(global, *detach, Duration::from_secs(*idle)),
        ServerCommand::Status { json } => status(global, *json),
        ServerCommand::Stop => {
            let was_there = client::end(&super::root(global)?)?;
            if !was_there && !global.quiet {
                eprintln!("there is no server to end");
            }
            Ok(())
        }
    }
}

fn run(global: &Global, detach: bool, idle: Duration) -> Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let root = super::root(global)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .context("cannot watch for signals")?;
    }
    if detach {
        daemon::detach().context("cannot leave the current directory")?;
    }
    let orders = Orders { root, idle, linger: LINGER, show: crate::fault::render };
    let ready = |word: &[u8]| {
        let mut out = std::io::stdout();
        // Nobody may be waiting for it.
        let _ = out.write_all(word).and_then(|()| out.flush());
        if detach {
            let _ = daemon::fall_silent();
        }
    };
    Ok(daemon::run(&orders, ready, &stop)?)
}

fn status(global: &Global, as_json: bool) -> Result<()> {
    let root = super::root(global)?;
    let Some(mut client) = Client::ask_if_there(&root, &Ask::Status)? else {
        bail!("there is no server of this build of floe at {}", root.display());
    };
    let Say::Status(status) = client.hear()? else { bail!("the server says something else") };
    let holds = match status.holds {
        Holds::No => "closed",
        Holds::Reading => "open for reading",
        Holds::Writing => "open for writing",
    };
    let mut out = std::io::stdout().lock();
    if as_json {
        let text = json!({
            "pid": status.pid,
            "up_s": status.up_s,
            "requests": status.requests,
            "store": holds,
            "kept": status.kept,
            "derivations": status.derivations,
            "memory_bytes": status.memory_bytes,
            "aside_bytes": status.aside_bytes,
        });
        writeln!(out, "{}", serde_json::to_string_pretty(&text)?)?;
        return Ok(());
    }
    writeln!(out, "process      {}", status.pid)?;
    writeln!(out, "up           {} s", status.up_s)?;
    writeln!(out, "requests     {}", status.requests)?;
    writeln!(out, "store        {holds}")?;
    writeln!(out, "evaluations  {}, with {} derivations", status.kept, status.derivations)?;
    let mega = |bytes: u64| bytes as f64 / 1e6;
    let (memory, aside) = (mega(status.memory_bytes), mega(status.aside_bytes));
    writeln!(out, "memory       {memory:.1} MB, {aside:.1} MB laid aside in a file")?;
    Ok(())
}
