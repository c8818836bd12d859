//! A profile as Chrome's trace events (JSON), which Perfetto and chrome://tracing show. The format
//! is the one of "Trace Event Format" by the Chromium authors: complete events (`X`) on a track for
//! each worker, asynchronous ones (`b`, `e`) where things wait side by side, counters (`C`), and
//! flows (`s`, `f`) along the longest chain.

use std::io::{self, Write};

use floe_lang::profile::{Profile as Calls, Track};
use serde_json::{Map, Value, json};

use super::spans::{Job, Profile, Request, Span};
use crate::event::Phase;

/// The trace's one process.
const PROCESS: u32 = 1;

/// The tracks: stages, the calls of the evaluation, the longest chains, and then the workers.
const STAGES: u32 = 1;
const CALLS: u32 = 2;
const CHAIN: u32 = 3;
const WORKERS: u32 = 10;

/// What viewers show in red.
const RED: &str = "terrible";

impl Profile {
    /// Writes it, with the calls of evaluations and when their recording began; gives what a reader
    /// should know of those.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_chrome(
        &self,
        calls: &[(u64, Calls)],
        out: &mut dyn Write,
    ) -> io::Result<Vec<String>> {
        let process = json!({ "name": "process_name", "ph": "M", "pid": PROCESS, "args": { "name": "floe" } });
        write!(out, "{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n{process}")?;
        let mut events = Events { out };
        events.tracks(self, !calls.is_empty())?;
        for stage in &self.stages {
            let word = stage.what.word();
            events.complete(STAGES, word, "stage", stage, Map::new())?;
        }
        for (at, request) in self.requests.iter().enumerate() {
            for job in &request.jobs {
                events.job(at, job)?;
            }
            events.chain(at, request)?;
        }
        for (at_ns, running, waiting) in &self.counts {
            let args = json!({ "running": running, "waiting": waiting });
            let value = json!({ "name": "jobs", "ph": "C", "ts": us(*at_ns), "pid": PROCESS, "args": args });
            events.write(&value)?;
        }
        let mut notes = Vec::new();
        for (start_ns, calls) in calls {
            let track = Track { process: PROCESS, thread: CALLS, start_ns: *start_ns };
            notes.extend(calls.write_calls(track, &mut *events.out)?);
        }
        writeln!(out, "\n]}}")?;
        Ok(notes)
    }
}

/// Writes events after one another.
struct Events<'w> {
    out: &'w mut dyn Write,
}

impl Events<'_> {
    fn write(&mut self, event: &Value) -> io::Result<()> {
        write!(self.out, ",\n{event}")
    }

    /// Names the tracks, in the order in which they are to be shown.
    fn tracks(&mut self, profile: &Profile, has_calls: bool) -> io::Result<()> {
        let jobs = profile.requests.iter().flat_map(|request| &request.jobs);
        let workers = jobs.map(|job| job.what.worker + 1).max().unwrap_or(0);
        let mut tracks = vec![(STAGES, "request".to_owned())];
        if has_calls {
            tracks.push((CALLS, "evaluation: calls".to_owned()));
        }
        if workers > 0 {
            tracks.push((CHAIN, "critical path".to_owned()));
        }
        tracks.extend((0..workers).map(|worker| (WORKERS + worker, format!("worker {worker}"))));
        for (thread, name) in tracks {
            for (kind, args) in [
                ("thread_name", json!({ "name": name })),
                ("thread_sort_index", json!({ "sort_index": thread })),
            ] {
                let event =
                    json!({ "name": kind, "ph": "M", "pid": PROCESS, "tid": thread, "args": args });
                self.write(&event)?;
            }
        }
        Ok(())
    }

    fn complete<T>(
        &mut self,
        thread: u32,
        name: &str,
        category: &str,
        span: &Span<T>,
        args: Map<String, Value>,
    ) -> io::Result<()> {
        let is_critical = args.get("critical") == Some(&Value::Bool(true));
        let mut event = json!({
            "name": name,
            "cat": if is_critical { format!("{category},critical") } else { category.to_owned() },
            "ph": "X",
            "ts": us(span.start_ns),
            "dur": us(span.wall_ns()),
            "pid": PROCESS,
            "tid": thread,
            "args": args,
        });
        if is_critical {
            event["cname"] = json!(RED);
        }
        self.write(&event)
    }

    /// A job on its worker's track, what it was at within it, and how long it waited.
    fn job(&mut self, request: usize, job: &Span<Job>) -> io::Result<()> {
        let Job { id, name, worker, ready_ns, failed, critical, phases } = &job.what;
        let thread = WORKERS + worker;
        let mut args = Map::new();
        args.insert("job".to_owned(), json!(id));
        args.insert("critical".to_owned(), json!(critical));
        args.insert("failed".to_owned(), json!(failed));
        if let Some(ready_ns) = ready_ns {
            let waited_ns = job.start_ns.saturating_sub(*ready_ns);
            args.insert("queued_us".to_owned(), json!(us(waited_ns)));
            let id = format!("{request}.{id}");
            for (kind, at_ns) in [("b", *ready_ns), ("e", job.start_ns)] {
                let event = json!({ "name": &**name, "cat": "queue", "ph": kind, "id": id, "ts": us(at_ns), "pid": PROCESS, "tid": STAGES });
                self.write(&event)?;
            }
        }
        self.complete(thread, name, "job", job, args)?;
        let others = phases.iter().filter(|phase| phase.what != Phase::Running);
        for phase in builder(phases).iter().chain(others) {
            self.complete(thread, phase.what.word(), "phase", phase, Map::new())?;
        }
        Ok(())
    }

    /// The longest chain of a request: on a track of its own, and as arrows from job to job.
    fn chain(&mut self, at: usize, request: &Request) -> io::Result<()> {
        let jobs: Vec<&Span<Job>> = request.chain.iter().map(|&at| &request.jobs[at]).collect();
        for job in &jobs {
            let mut args = Map::new();
            args.insert("critical".to_owned(), json!(true));
            self.complete(CHAIN, &job.what.name, "chain", job, args)?;
        }
        for (nth, pair) in jobs.windows(2).enumerate() {
            let [from, to] = pair else { continue };
            // Within the job that it comes from, as viewers want it.
            let ends = [("s", from, from.end_ns.saturating_sub(1)), ("f", to, to.start_ns)];
            for (kind, job, at_ns) in ends {
                let mut event = json!({
                    "name": "critical path",
                    "cat": "critical",
                    "ph": kind,
                    "id": format!("{at}.{nth}"),
                    "ts": us(at_ns.max(job.start_ns)),
                    "pid": PROCESS,
                    "tid": WORKERS + job.what.worker,
                });
                if kind == "f" {
                    event["bp"] = json!("e");
                }
                self.write(&event)?;
            }
        }
        Ok(())
    }
}

/// The whole time of a builder, with the phases that it named itself.
fn builder(phases: &[Span<Phase>]) -> Option<Span<Phase>> {
    let is_own = |phase: &&Span<Phase>| matches!(phase.what, Phase::Running | Phase::Named(_));
    let first = phases.iter().find(is_own)?;
    let last = phases.iter().rfind(is_own)?;
    Some(Span { what: Phase::Running, start_ns: first.start_ns, end_ns: last.end_ns })
}

/// Microseconds, as the format has them.
fn us(ns: u64) -> f64 {
    ns as f64 / 1e3
}
