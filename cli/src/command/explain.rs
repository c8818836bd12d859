//! `floe explain`: why a derivation was built, cut off or reused the last time, followed down to
//! what changed first.

use anyhow::{Result, bail};
use floe_engine::record::{Decision, Record};
use serde_json::json;

use crate::args::{Explain, Global};

/// Prints the chain of causes.
pub fn explain(global: &Global, args: &Explain) -> Result<()> {
    let engine = super::build::silent(global)?;
    let store = super::existing_store(global, &engine)?;
    let records = engine.records(args.rebuilder)?;
    let path = super::store_path(&store, &args.what).ok().map(|(path, _)| path);
    let matches = |task: &str, record: &Record| {
        let last = task.rsplit('/').next().unwrap_or(task);
        task == args.what
            || last == args.what
            || last.rsplit('.').next() == Some(&args.what)
            || last.strip_prefix(&*args.what).is_some_and(|rest| rest.starts_with('-'))
            || path.as_ref().is_some_and(|path| record.outputs.values().any(|out| out == path))
    };
    // The same derivation may be a task of several requests: the newest word counts.
    let Some((task, record)) =
        records.iter().filter(|(task, record)| matches(task, record)).max_by_key(
            |(task, record)| (record.at, *task == args.what, std::cmp::Reverse(task.len())),
        )
    else {
        bail!(
            "nothing called '{}' was built with the rebuilder {}; name an attribute, a derivation or a store path",
            args.what,
            args.rebuilder
        );
    };
    let mut chain = vec![(task.as_str(), record)];
    while let Some(by) = chain.last().and_then(|(_, record)| record.decided_by.as_ref()) {
        let next = records.iter().find(|(task, _)| *task == by.input);
        match next {
            Some((task, record)) if !chain.iter().any(|(seen, _)| seen == task) => {
                chain.push((task, record));
            }
            _ => break,
        }
    }
    if args.json {
        let list: Vec<_> =
            chain.iter().map(|(task, record)| json!({ "task": task, "record": record })).collect();
        println!("{}", serde_json::to_string_pretty(&list)?);
        return Ok(());
    }
    for (depth, (task, record)) in chain.iter().enumerate() {
        let indent = "  ".repeat(depth);
        let kind =
            record.kind.map(|kind| format!(" ({kind:?})").to_lowercase()).unwrap_or_default();
        println!("{indent}{task}: {}{kind}, because {}", word(record.decision), record.reason);
        if depth == 0 {
            for (name, path) in &record.outputs {
                println!("{indent}  {name}: {path}");
            }
            if record.decision == Decision::Built {
                println!(
                    "{indent}  its builder took {} ms ({} ms of processor time)",
                    record.wall_ms, record.cpu_ms
                );
            }
        }
    }
    Ok(())
}

fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Cutoff => "cut off",
        decision => decision.word(),
    }
}
