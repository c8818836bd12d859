//! `floe explain`: why a derivation was built, cut off or reused the last time, followed down to
//! what changed first.

use anyhow::{Result, bail};
use floe_engine::explain;
use floe_engine::record::Decision;
use serde_json::json;

use crate::args::{Explain, Global};

/// Prints the chain of causes.
pub fn explain(global: &Global, args: &Explain) -> Result<()> {
    let engine = super::build::silent(global)?;
    let store = super::existing_store(global, &engine)?;
    let records = engine.records(args.rebuilder)?;
    let path = super::store_path(&store, &args.what).ok().map(|(path, _)| path);
    let Some(first) = explain::find(&records, &args.what, path.as_ref()) else {
        bail!(
            "nothing called '{}' was built with the rebuilder {}; name an attribute, a derivation or a store path",
            args.what,
            args.rebuilder
        );
    };
    let chain = explain::chain(&records, first);
    if args.json {
        let list: Vec<_> =
            chain.iter().map(|(task, record)| json!({ "task": task, "record": record })).collect();
        println!("{}", serde_json::to_string_pretty(&list)?);
        return Ok(());
    }
    for (depth, (task, record)) in chain.into_iter().enumerate() {
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
