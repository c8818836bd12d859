//! The words for decisions, causes and comparisons, shared by texts and pictures. Nothing here is
//! laid out.

use floe_engine::differences::{FileChange, Kind};
use floe_engine::explain::{Asked, Comparison, Effect, Found, Stop};
use floe_engine::instructions::{Field, Value};
use floe_engine::ledger::Short;
use floe_engine::reads::Edit;
use floe_engine::record::{Decision, Record};

use crate::terminal::marked;

/// A decision, and for a cutoff by which comparison.
pub fn decision(record: &Record) -> String {
    let word = match record.decision {
        Decision::Cutoff => "cut off",
        decision => decision.word(),
    };
    let kind = record.kind.map(|kind| format!(" ({kind:?})").to_lowercase());
    format!("{word}{}", kind.unwrap_or_default())
}

/// How a file differs: `lib/libz.so.1: content from byte 12, 88 -> 92 bytes`.
pub fn file(change: &FileChange) -> String {
    let FileChange { file, kind, old_size, new_size, byte, names_only } = change;
    let name = match file.as_os_str().is_empty() {
        true => "the file itself".to_owned(),
        false => marked(&file.display().to_string()).replace('\n', "\u{fffd}"),
    };
    let size = match (old_size, new_size) {
        (Some(old), Some(new)) if old == new => format!(", {new} bytes"),
        (Some(old), Some(new)) => format!(", {old} -> {new} bytes"),
        (None, Some(size)) | (Some(size), None) => format!(", {size} bytes"),
        (None, None) => String::new(),
    };
    let how = match kind {
        _ if *names_only => "only names of store paths".to_owned(),
        Kind::Content => {
            byte.map_or("content".to_owned(), |byte| format!("content from byte {byte}"))
        }
        Kind::Mode => "may be executed, or no longer may".to_owned(),
        Kind::Link => "leads elsewhere".to_owned(),
        Kind::Type => "another kind of file".to_owned(),
        Kind::Added => "new".to_owned(),
        Kind::Removed => "gone".to_owned(),
    };
    format!("{name}: {how}{size}")
}

/// In what two objects differ, in a line.
pub fn found(comparison: &Comparison) -> String {
    match &comparison.found {
        Found::Files(found) => {
            let mut text = match found.real {
                1 => "1 file differs".to_owned(),
                count => format!("{count} files differ"),
            };
            if found.names_only > 0 {
                text += &format!(", {} more in names of store paths", found.names_only);
            }
            match found.same {
                0 => text,
                same => text + &format!(", {same} same"),
            }
        }
        Found::Names(0) => "only its path differs".to_owned(),
        Found::Names(files) => {
            format!("equal up to names of store paths (in {files} {})", plural(*files, "file"))
        }
        Found::Gone(paths) => {
            let paths: Vec<&str> = paths.iter().map(|path| path.as_str()).collect();
            let was = if paths.len() == 1 { "was" } else { "were" };
            format!("which files differ cannot be told: {} {was} collected", paths.join(" and "))
        }
        Found::Unread => "not compared: too much changed".to_owned(),
    }
}

/// A noun for so many.
pub fn plural(count: u64, noun: &str) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}

/// What became of a task's outputs, where that is worth a line.
pub fn effect(effect: Effect) -> Option<&'static str> {
    match effect {
        Effect::Same => Some("it came out as before, so the change stopped here"),
        Effect::Names => Some("it came out as before, but for names of store paths"),
        Effect::First | Effect::Changed | Effect::Unknown | Effect::Missing => None,
    }
}

/// What would have stopped the change, where anything ran.
pub fn stop(stop: &Stop) -> Option<String> {
    Some(match stop {
        Stop::Stopped | Stop::Other => return None,
        Stop::Retarget => "a retarget: only names of store paths differ".to_owned(),
        Stop::Observation { files, count } => {
            let names: Vec<String> = files
                .iter()
                .take(NAMED_FILES)
                .map(|(place, file)| match file.as_os_str().is_empty() {
                    true => place.clone(),
                    false => {
                        marked(&format!("{place}/{}", file.display())).replace('\n', "\u{fffd}")
                    }
                })
                .collect();
            let more = count.saturating_sub(names.len() as u64);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("observing its reads, if it reads none of {}{more}", names.join(", "))
        }
        Stop::Nothing => "nothing, its own instructions differ".to_owned(),
        Stop::Unknown => "nobody can tell any more".to_owned(),
    })
}

/// How many files a sentence names.
const NAMED_FILES: usize = 5;

/// A part of instructions.
pub fn field(field: &Field) -> String {
    match field {
        Field::Outputs => "its outputs".to_owned(),
        Field::Addressing => "how its outputs are addressed".to_owned(),
        Field::System => "its platform".to_owned(),
        Field::Builder => "its builder".to_owned(),
        Field::Argument(nth) => format!("argument {}", nth + 1),
        Field::Variable(name) => format!("variable {}", marked(name)),
    }
}

/// What a part says, in a line.
pub fn value(value: Option<&Value>) -> String {
    match value {
        None => "(not there)".to_owned(),
        Some(Value::Text(text)) => quoted(text),
        Some(Value::Long { bytes, digest }) => format!("{bytes} bytes ({})", short(digest)),
    }
}

/// A text in quotation marks, its end left out if it is long.
pub fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(MAX_QUOTED).collect();
    let rest = if shown.len() < text.len() { "…" } else { "" };
    format!("{shown:?}{rest}")
}

/// How much of a text is quoted, in letters.
const MAX_QUOTED: usize = 160;

/// The beginning of a digest.
pub fn short(digest: &Short) -> String {
    digest.to_string()[..12].to_owned()
}

/// What was edited.
pub fn edit(edit: &Edit) -> String {
    let (kind, name) = edit.place.parts();
    let name = match kind {
        "file" => near(name),
        "directory" => format!("{}/ (what is in it)", near(name)),
        _ => format!("environment variable {}", marked(name)),
    };
    match (&edit.old, &edit.new) {
        (Some(old), Some(new)) => format!("edited: {name} ({} -> {})", short(old), short(new)),
        (None, Some(new)) => format!("new: {name} ({})", short(new)),
        (_, None) => format!("gone: {name}"),
    }
}

/// A file of a source that was edited.
pub fn edited_source(file: &str, kind: Kind) -> String {
    let word = match kind {
        Kind::Added => "new",
        Kind::Removed => "gone",
        Kind::Content | Kind::Mode | Kind::Link | Kind::Type => "edited",
    };
    format!("{word}: {}", near(file))
}

/// A path as it is written from here.
pub fn near(path: &str) -> String {
    let here = std::env::current_dir().ok();
    let below = here.and_then(|here| {
        let below = std::path::Path::new(path).strip_prefix(here).ok()?;
        Some(below.display().to_string()).filter(|below| !below.is_empty())
    });
    marked(&below.unwrap_or_else(|| path.to_owned())).replace('\n', "\u{fffd}")
}

/// In what it was asked otherwise.
pub fn asked(asked: &Asked) -> String {
    let said = |text: &Option<String>| text.as_deref().map_or("(not given)".to_owned(), quoted);
    format!("asked: {} {} -> {}", asked.name, said(&asked.old), said(&asked.new))
}
