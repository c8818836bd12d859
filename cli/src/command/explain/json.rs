//! An explanation as JSON. Its fields are told in `docs/explain.md`; they are added to, never
//! changed.

use anyhow::Result;
use floe_engine::differences::{FileChange, Kind};
use floe_engine::explain::{Asked, Cause, Comparison, Effect, Explained, Explanation, Found, Stop};
use floe_engine::instructions::{Change, Field, Value};
use floe_engine::reads::Edit;
use serde_json::{Value as Json, json};

/// The format's version, in `floe_explain`.
const VERSION: u32 = 1;

/// All of it.
pub fn json(explanation: &Explanation<'_>) -> Result<String> {
    let span = explanation.span;
    let task = super::first_task(explanation);
    let sources: Vec<Json> = explanation
        .edited_sources()
        .into_iter()
        .map(|(file, kind)| json!({ "file": file, "kind": word(kind) }))
        .collect();
    let value = json!({
        "floe_explain": VERSION,
        "rebuilder": span.rebuilder,
        "since": span.since,
        "until": span.until,
        "edits": span.edits().iter().map(edit).collect::<Vec<_>>(),
        "edited_sources": sources,
        "asked": span.asked(task).iter().map(asked).collect::<Vec<_>>(),
        "tasks": explanation.tasks.iter().map(one).collect::<Vec<_>>(),
    });
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

/// What was edited.
pub fn edit(edit: &Edit) -> Json {
    let (kind, name) = edit.place.parts();
    let digest = |digest: &Option<_>| digest.as_ref().map(ToString::to_string);
    json!({ "kind": kind, "name": name, "old": digest(&edit.old), "new": digest(&edit.new) })
}

fn asked(asked: &Asked) -> Json {
    json!({ "name": asked.name, "old": asked.old, "new": asked.new })
}

fn one(explained: &Explained<'_>) -> Json {
    let record = &explained.seen.now;
    let outputs =
        record.outputs.iter().map(|(name, path)| (name.to_string(), json!(path.as_str())));
    let outputs: serde_json::Map<_, _> = outputs.collect();
    json!({
        "task": explained.task,
        "happened": explained.happened(),
        "decision": record.decision,
        "kind": record.kind,
        "reason": record.reason,
        "request": record.request,
        "at": record.at,
        "wall_ms": record.wall_ms,
        "cpu_ms": record.cpu_ms,
        "outputs": outputs,
        "effect": effect(explained.effect),
        "changed_outputs": explained.outputs.iter().map(comparison).collect::<Vec<_>>(),
        "causes": explained.causes.iter().map(cause).collect::<Vec<_>>(),
        "stop": stop(&explained.stop),
    })
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::First => "first",
        Effect::Same => "same",
        Effect::Names => "names",
        Effect::Changed => "changed",
        Effect::Unknown => "unknown",
        Effect::Missing => "missing",
    }
}

fn cause(cause: &Cause) -> Json {
    match cause {
        Cause::New => json!({ "kind": "new" }),
        Cause::Input { task, outputs } => {
            let outputs: Vec<Json> = outputs.iter().map(comparison).collect();
            json!({ "kind": "input", "task": task, "outputs": outputs })
        }
        Cause::AddedInput(task) => json!({ "kind": "added_input", "task": task }),
        Cause::RemovedInput(task) => json!({ "kind": "removed_input", "task": task }),
        Cause::Source { origin, object } => {
            json!({ "kind": "source", "origin": origin, "object": comparison(object) })
        }
        Cause::AddedSource { path, origin } => {
            json!({ "kind": "added_source", "path": path.as_str(), "origin": origin })
        }
        Cause::RemovedSource(path) => json!({ "kind": "removed_source", "path": path.as_str() }),
        Cause::Instructions(changes) => {
            let changes: Vec<Json> = changes.iter().map(change).collect();
            json!({ "kind": "instructions", "changes": changes })
        }
        Cause::Passed(task) => json!({ "kind": "passed", "task": task }),
        Cause::Told(task) => json!({ "kind": "told", "task": task }),
    }
}

fn change(change: &Change) -> Json {
    let (part, name) = match &change.field {
        Field::Outputs => ("outputs", None),
        Field::Addressing => ("addressing", None),
        Field::System => ("system", None),
        Field::Builder => ("builder", None),
        Field::Argument(nth) => ("argument", Some(json!(nth))),
        Field::Variable(name) => ("variable", Some(json!(name))),
    };
    let said = |value: &Option<Value>| match value {
        None => Json::Null,
        Some(Value::Text(text)) => json!(text),
        Some(Value::Long { bytes, digest }) => {
            json!({ "bytes": bytes, "digest": digest.to_string() })
        }
    };
    json!({ "part": part, "name": name, "old": said(&change.old), "new": said(&change.new) })
}

fn comparison(comparison: &Comparison) -> Json {
    let mut value = json!({ "old": comparison.old.as_str(), "new": comparison.new.as_str() });
    let found = match &comparison.found {
        Found::Files(found) => json!({
            "found": "files",
            "differ": found.real,
            "names_only": found.names_only,
            "same": found.same,
            "files": found.files.iter().map(file).collect::<Vec<_>>(),
        }),
        Found::Names(files) => json!({ "found": "names", "names_only": files }),
        Found::Gone(paths) => {
            let paths: Vec<&str> = paths.iter().map(|path| path.as_str()).collect();
            json!({ "found": "gone", "gone": paths })
        }
        Found::Unread => json!({ "found": "unread" }),
    };
    if let (Json::Object(value), Json::Object(found)) = (&mut value, found) {
        value.extend(found);
    }
    value
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Content => "content",
        Kind::Mode => "mode",
        Kind::Link => "link",
        Kind::Type => "type",
        Kind::Added => "added",
        Kind::Removed => "removed",
    }
}

fn file(change: &FileChange) -> Json {
    json!({
        "file": change.file.to_string_lossy(),
        "kind": word(change.kind),
        "old_size": change.old_size,
        "new_size": change.new_size,
        "byte": change.byte,
        "names_only": change.names_only,
    })
}

fn stop(stop: &Stop) -> Json {
    match stop {
        Stop::Stopped => json!({ "by": "stopped" }),
        Stop::Retarget => json!({ "by": "retarget" }),
        Stop::Observation { files, count } => {
            let files: Vec<Json> = files
                .iter()
                .map(|(place, file)| json!({ "in": place, "file": file.to_string_lossy() }))
                .collect();
            json!({ "by": "observation", "files": files, "count": count })
        }
        Stop::Nothing => json!({ "by": "nothing" }),
        Stop::Other => json!({ "by": "other" }),
        Stop::Unknown => json!({ "by": "unknown" }),
    }
}
