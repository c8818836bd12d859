//! `floe explain`: why derivations were built, cut off or reused, followed down to what somebody
//! edited, and what would have stopped it. What is said is the engine's; how, is in the modules.

mod json;
mod requests;
mod revision;
mod text;
pub mod words;

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use floe_engine::explain::{self, Explanation, Span};
use floe_engine::history::History;
use floe_engine::journal::Logged;
use floe_store::Store;

use crate::args::{Explain, Global};
use crate::picture;
use crate::time::Named;

/// Prints or draws the causes, or lists the requests.
pub fn explain(global: &Global, args: &Explain) -> Result<()> {
    let engine = super::build::silent(global)?;
    let store = super::existing_store(global, &engine)?;
    let history = History::new(&store, args.rebuilder);
    let mut out = std::io::stdout().lock();
    if args.list {
        let (head, requests) = (history.head()?, history.requests()?);
        let text =
            if args.json { requests::json(&requests)? } else { requests::text(head, &requests) };
        return Ok(out.write_all(text.as_bytes())?);
    }
    let (span, task) = span(&history, &store, args)?;
    let explanation = explain::explain(&span, &history, task.as_deref());
    let is_shown = args.html.is_none() && args.svg.is_none();
    if let Some(file) = &args.svg {
        write(file, &picture::svg(&explanation))?;
    }
    if let Some(file) = &args.html {
        write(file, &picture::page(&explanation, &text::text(&explanation, usize::MAX)))?;
    }
    if args.json {
        out.write_all(json::json(&explanation)?.as_bytes())?;
    } else if is_shown {
        out.write_all(text::text(&explanation, text::MANY).as_bytes())?;
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// How things stood and stand, and which task is meant.
fn span(history: &History<'_>, store: &Store, args: &Explain) -> Result<(Span, Option<String>)> {
    let (head, rebuilder) = (history.head()?, args.rebuilder.name());
    let span = history.now()?;
    let given = match &args.since {
        None => None,
        Some(Named::Request(since)) => Some(since.resolve(head, &span.journal)?),
        Some(Named::Revision(revision)) => Some(revision::request(revision, head, &span.journal)?),
    };
    let task = args.what.as_deref().map(|what| task(&span, store, what, rebuilder)).transpose()?;
    let of_this = |(_, logged): &&(u64, Logged)| logged.rebuilder == rebuilder;
    let last = match &task {
        Some(task) => span.tasks[task].now.request,
        None => match span.journal.iter().rev().find(of_this) {
            Some((last, _)) => *last,
            None => {
                bail!("nothing was built with the rebuilder {rebuilder}; build something first")
            }
        },
    };
    let before = || explain::before(last, task.as_deref(), rebuilder, &span.journal);
    // What happened last may have happened before the oldest request that is kept.
    let since = given.unwrap_or_else(|| before().max(head.oldest.saturating_sub(1)));
    Ok((history.look_back(span, since)?, task))
}

/// The task that a word names.
fn task(span: &Span, store: &Store, what: &str, rebuilder: &str) -> Result<String> {
    let path = super::store_path(store, what).ok().map(|(path, _)| path);
    let records = span.tasks.iter().map(|(task, seen)| (task.as_str(), &seen.now));
    let found = explain::find(records, what, path.as_ref());
    found.map(str::to_owned).ok_or_else(|| unknown(span, what, rebuilder))
}

/// That nothing has this name, and what has one like it.
fn unknown(span: &Span, what: &str, rebuilder: &str) -> anyhow::Error {
    if let Some((task, why)) = span
        .damaged
        .iter()
        .find(|(task, _)| task.as_str() == what || task.rsplit('/').next() == Some(what))
    {
        return anyhow!(
            "the record of '{task}' is damaged ({why}), so nobody can tell what happened to it; it is written \
             again when something next happens to it"
        );
    }
    let similar = explain::similar(span.tasks.keys().map(String::as_str), what);
    let hint = match similar.as_slice() {
        [] => "name an attribute, a derivation or a store path".to_owned(),
        names => format!("did you mean '{}'?", names.join("' or '")),
    };
    anyhow!("nothing called '{what}' was built with the rebuilder {rebuilder}; {hint}")
}

/// The first cause in an explanation: whose arguments to compare.
fn first_task<'a>(explanation: &'a Explanation<'_>) -> &'a str {
    explanation.tasks.first().map_or("", |explained| explained.task)
}
