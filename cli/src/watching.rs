//! What is recorded of an evaluation beside its value, and where that goes: a profile to a file
//! and a table, statistics to standard error. The recording itself is floe-lang's.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Instant;

use anyhow::{Context, Result};
use floe_lang::Evaluator;
use floe_lang::profile::{Entry, Format, Profile};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};

use crate::args::Source;
use crate::profiling::CallsTo;

/// How many functions and files the table names.
const ROWS: usize = 10;

/// What to record.
#[derive(Default)]
pub struct Watching {
    profile: Option<Destination>,
    stats: bool,
}

struct Destination {
    to: To,
    format: Format,
    table: bool,
}

/// Where a profile goes.
enum To {
    /// A file of its own.
    File(PathBuf, File),
    /// The profile of the whole request, on whose clock it began at this moment.
    Whole(CallsTo, u64),
}

fn now_ns() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| value != "0")
}

impl Watching {
    /// Begins to record what the command line and the environment ask for.
    pub fn begin(source: &Source, evaluator: &mut Evaluator) -> Result<Watching> {
        let mut watching =
            Watching { profile: None, stats: source.stats || is_set("NIX_SHOW_STATS") };
        if watching.stats {
            evaluator.count(is_set("NIX_COUNT_CALLS"));
        }
        if let Some(path) = &source.profile {
            let format = source.format();
            let to = match &source.calls_to {
                Some(whole) => To::Whole(whole.clone(), whole.now_ns()),
                None => {
                    let file = File::create(path)
                        .with_context(|| format!("cannot write the profile {}", path.display()))?;
                    To::File(path.clone(), file)
                }
            };
            watching.profile = Some(Destination { to, format, table: source.nix.is_none() });
            evaluator.profile(now_ns, format);
        }
        Ok(watching)
    }

    /// Writes what was recorded. The evaluation has ended, well or not, so that something cannot
    /// be written is only said.
    pub fn end(&mut self, evaluator: &mut Evaluator) {
        if let (Some(to), Some(profile)) = (self.profile.take(), evaluator.take_profile()) {
            if to.table {
                eprint!("{}", table(&profile));
            }
            match to.to {
                To::File(path, file) => write(&profile, to.format, &path, file),
                To::Whole(whole, start_ns) => whole.take(start_ns, profile),
            }
        }
        if std::mem::take(&mut self.stats) {
            let text = statistics(evaluator);
            match std::env::var_os("NIX_SHOW_STATS_PATH").filter(|path| path != "-") {
                None => eprintln!("{text}"),
                Some(path) => {
                    if let Err(error) = std::fs::write(&path, text + "\n") {
                        let path = Path::new(&path).display();
                        eprintln!("floe: cannot write the statistics {path}: {error}");
                    }
                }
            }
        }
    }
}

fn write(profile: &Profile, format: Format, path: &Path, file: File) {
    let mut out = BufWriter::new(file);
    let written = profile.write(format, &mut out).and_then(|notes| {
        out.flush()?;
        Ok(notes)
    });
    match written {
        Ok(notes) => notes.iter().for_each(|note| eprintln!("floe: {note}")),
        Err(error) => eprintln!("floe: cannot write the profile {}: {error}", path.display()),
    }
}

/// Statistics in the layout of C++ Nix.
fn statistics(evaluator: &Evaluator) -> String {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
    let mut all = Map::new();
    all.insert("cpuTime".to_owned(), json!(seconds));
    all.insert("time".to_owned(), json!({ "cpu": seconds }));
    if let Ok(Value::Object(counted)) = serde_json::to_value(evaluator.statistics()) {
        all.extend(counted);
    }
    format!("{:#}", Value::Object(all))
}

/// The functions and files with the most time of their own.
fn table(profile: &Profile) -> String {
    let calls = profile.calls();
    let mut text = format!("floe: evaluation took {} in {calls} calls\n", time(profile.total_ns()));
    text += "       own      total      calls  function\n";
    for entry in profile.functions().into_iter().take(ROWS) {
        let Entry { name, place, calls, own_ns, total_ns } = entry;
        let place = place.as_ref().map_or_else(String::new, |pos| {
            format!(" {}:{}:{}", pos.file.display(), pos.line, pos.column)
        });
        text +=
            &format!("{:>10} {:>10} {calls:>10}  {name}{place}\n", time(*own_ns), time(*total_ns));
    }
    text += "       own  file\n";
    for (file, own_ns) in profile.files().iter().take(ROWS) {
        text += &format!("{:>10}  {file}\n", time(*own_ns));
    }
    text
}

fn time(ns: u64) -> String {
    let ms = ns as f64 / 1e6;
    if ms >= 1000.0 { format!("{:.2} s", ms / 1e3) } else { format!("{ms:.2} ms") }
}
