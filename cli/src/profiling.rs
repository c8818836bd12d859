//! The profile of a whole request, for `floe build --profile`: begun before evaluation, written when
//! the request is over, however it ended. What is recorded is the engine's affair; here it gets a
//! file, and a summary in words.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use floe_engine::event::Events;
use floe_engine::profile::{Recorder, Summary};
use floe_lang::profile::{Format, Profile as Calls};

use crate::args::Source;
use crate::progress::{Form, Style, seconds};

/// How many names of the critical path are told at either end.
const TOLD: usize = 6;

/// The calls of evaluations that are part of a whole request's profile.
#[derive(Clone)]
pub struct CallsTo {
    recorder: Recorder,
    calls: Arc<Mutex<Vec<(u64, Calls)>>>,
}

impl std::fmt::Debug for CallsTo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CallsTo")
    }
}

impl CallsTo {
    /// The moment, on the profile's clock.
    pub fn now_ns(&self) -> u64 {
        self.recorder.now_ns()
    }

    /// Takes what an evaluation recorded from this moment on.
    pub fn take(&self, start_ns: u64, calls: Calls) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push((start_ns, calls));
    }
}

/// A profile that is being recorded; it is written when it is dropped.
pub struct Profiling {
    to: CallsTo,
    path: PathBuf,
    file: Option<File>,
    style: Style,
}

impl Profiling {
    /// Begins, if the command line asks for a profile of the whole request. The source then sends
    /// its evaluation's calls here.
    pub fn begin(source: &Source, style: Style) -> Result<Option<(Profiling, Source)>> {
        let Some(path) = source.profile.as_ref().filter(|_| source.format() == Format::Chrome)
        else {
            return Ok(None);
        };
        let file = File::create(path)
            .with_context(|| format!("cannot write the profile {}", path.display()))?;
        let to = CallsTo { recorder: Recorder::start(), calls: Arc::default() };
        let source = Source { calls_to: Some(to.clone()), ..source.clone() };
        Ok(Some((Profiling { to, path: path.clone(), file: Some(file), style }, source)))
    }

    /// Hears what others hear, before they do.
    pub fn before(&self, others: Events) -> Events {
        self.to.recorder.before(others)
    }
}

impl Drop for Profiling {
    /// The request is over, well or not, so that something cannot be written is only said.
    fn drop(&mut self) {
        let profile = self.to.recorder.finish();
        let calls =
            std::mem::take(&mut *self.to.calls.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(file) = self.file.take() else { return };
        let mut out = BufWriter::new(file);
        let written = profile.write_chrome(&calls, &mut out).and_then(|notes| {
            out.flush()?;
            Ok(notes)
        });
        match written {
            Ok(_) if matches!(self.style.form, Form::None | Form::Json) => {}
            Ok(notes) => {
                notes.iter().for_each(|note| eprintln!("floe: {note}"));
                eprintln!("floe: {}", sentence(&profile.summary()));
            }
            Err(error) => {
                eprintln!("floe: cannot write the profile {}: {error}", self.path.display());
            }
        }
    }
}

/// What a profile comes to, in words.
fn sentence(summary: &Summary) -> String {
    let time = |ns: u64| seconds(Duration::from_nanos(ns));
    let Summary { wall_ns, critical_ns, chain, evaluation_ns, unhindered_ns, jobs } = summary;
    let evaluation = format!("evaluation {}", time(*evaluation_ns));
    if *jobs == 0 {
        return format!("nothing ran in {}; {evaluation}", time(*wall_ns));
    }
    let names: Vec<&str> = chain.iter().map(AsRef::as_ref).collect();
    let way = match names.len().saturating_sub(2 * TOLD) {
        0 => names.join(" -> "),
        left_out => {
            let (first, last) = (&names[..TOLD], &names[names.len() - TOLD..]);
            format!("{} -> ({left_out} more) -> {}", first.join(" -> "), last.join(" -> "))
        }
    };
    format!(
        "critical path {} of {}: {way}; {evaluation}; with a worker for each job it would take {}",
        time(*critical_ns),
        time(*wall_ns),
        time(*unhindered_ns)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_is_told_by_its_ends() {
        let chain: Vec<Arc<str>> = (0..40).map(|at| format!("d{at}").into()).collect();
        let summary = Summary {
            wall_ns: 14_000_000_000,
            critical_ns: 12_300_000_000,
            chain,
            evaluation_ns: 400_000_000,
            unhindered_ns: 13_000_000_000,
            jobs: 50,
        };
        insta::assert_snapshot!(sentence(&summary), @"critical path 12.3 s of 14.0 s: d0 -> d1 -> d2 -> d3 -> d4 -> d5 -> (28 more) -> d34 -> d35 -> d36 -> d37 -> d38 -> d39; evaluation 0.4 s; with a worker for each job it would take 13.0 s");
        let summary = Summary { chain: vec!["a".into(), "b".into()], ..summary };
        assert!(sentence(&summary).contains(": a -> b; "));
        let nothing = Summary { jobs: 0, ..summary };
        assert_eq!(sentence(&nothing), "nothing ran in 14.0 s; evaluation 0.4 s");
    }
}
