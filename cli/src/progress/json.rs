//! Progress for tools: one JSON object a line on standard error. `docs/events.md` tells the fields;
//! they are added to, never changed.

use std::io::Write;
use std::time::Duration;

use floe_engine::event::{Event, Phase, Task};
use serde_json::{Value, json};

use super::Display;
use super::scene::Scene;
use crate::terminal;

/// An object for each event.
pub struct Json {
    logs: bool,
}

impl Json {
    /// With the builders' output, or without.
    pub fn new(logs: bool) -> Json {
        Json { logs }
    }
}

impl Display for Json {
    fn take(&mut self, event: &Event, scene: &Scene) {
        if let Some(mut object) = object(event, self.logs) {
            object["at_ms"] = json!(millis(scene.started.elapsed()));
            write(&object);
        }
    }

    fn end(&mut self, scene: &Scene) {
        let counts = scene.counts;
        write(&json!({
            "event": "end",
            "built": counts.built,
            "failed": counts.failed,
            "cut_off": counts.cut_off,
            "reused": counts.reused,
            "at_ms": millis(scene.started.elapsed()),
        }));
    }
}

/// Something that went wrong, as an object: a build that failed, or the command as a whole.
pub fn error(fields: Value) {
    let mut object = json!({ "event": "error" });
    if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), fields) {
        object.extend(fields);
    }
    write(&object);
}

/// Something that is no event of the engine's, as a note.
pub fn note(text: &str) {
    write(&json!({ "event": "note", "text": text }));
}

fn write(object: &Value) {
    // Whoever asked for events and does not read them gets none.
    let _ = writeln!(std::io::stderr().lock(), "{object}");
}

fn object(event: &Event, logs: bool) -> Option<Value> {
    Some(match event {
        Event::Planned { total, done, certain, possible, unknown, at_once } => json!({
            "event": "planned",
            "total": total,
            "done": done,
            "certain": certain,
            "possible": possible,
            "unknown": unknown,
            "at_once": at_once,
        }),
        Event::Discovered { name, derivations } => json!({
            "event": "discovered",
            "name": &**name,
            "derivations": derivations,
        }),
        Event::Tasks(tasks) => json!({
            "event": "tasks",
            "tasks": tasks.iter().map(task).collect::<Vec<_>>(),
        }),
        Event::Started { job, name, .. } => {
            json!({ "event": "started", "job": job, "name": &**name })
        }
        Event::Phase { job, phase } => json!({
            "event": "phase",
            "job": job,
            "phase": phase.word(),
            "by_builder": matches!(phase, Phase::Named(_)),
        }),
        Event::Log { job, line, .. } if logs => json!({
            "event": "log",
            "job": job,
            "line": String::from_utf8_lossy(line),
        }),
        Event::Finished { job, name, outputs, wall_ms } => json!({
            "event": "finished",
            "job": job,
            "name": &**name,
            "outputs": outputs.iter().map(|path| path.as_str()).collect::<Vec<_>>(),
            "wall_ms": wall_ms,
        }),
        Event::CutOff { jobs, count, by } => {
            json!({ "event": "cutoff", "jobs": jobs, "count": count, "by": by })
        }
        Event::Failed { job, name } => json!({ "event": "failed", "job": job, "name": &**name }),
        Event::Stopped { job, name } => json!({ "event": "stopped", "job": job, "name": &**name }),
        Event::Note(text) => {
            json!({ "event": "note", "text": terminal::without_escapes(text) })
        }
        _ => return None,
    })
}

fn task(task: &Task) -> Value {
    json!({
        "job": task.job,
        "name": &*task.name,
        "needed_by": task.needed_by,
        "certain": task.certain,
        "expected_ms": task.expected_ms,
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
