//! `floe build`, and the building that `run`, `shell` and the Nix names share. What a server does
//! for it is asked in `remote`; what comes of a request is shown here, whoever carried it out.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use floe_core::path::StorePath;
use floe_engine::cancel::Cancel;
use floe_engine::engine::{BuildOptions, Built, Engine};
use floe_engine::environ::Environment;
use floe_engine::event::{Events, Stage};
use floe_engine::import::Wanted;
use floe_engine::job::Difference;
use floe_engine::spent::Meter;
use floe_lang::graph::DrvGraph;
use floe_server::answer;
use floe_server::protocol::{Answer, Bytes, Failed, How, Outputs, Report};
use serde_json::json;

use crate::args::{Build, Building, Global};
use crate::evaluate::{Evaluation, Target};
use crate::fault::{self, Ended, status};
use crate::profiling::Profiling;
use crate::progress::{Form, Progress, Style, json_error, json_note};
use crate::terminal::{marked, marked_line};

/// When a request began, evaluation included.
pub struct Started {
    at: SystemTime,
    clock: Instant,
}

impl Started {
    /// Now.
    pub fn now() -> Started {
        Started { at: SystemTime::now(), clock: Instant::now() }
    }

    /// What a report of the request holds.
    pub fn report(&self, args: &Build) -> Option<Report> {
        let at_s = self.at.duration_since(UNIX_EPOCH).map_or(0, |at| at.as_secs());
        args.report.as_ref().map(|_| Report { changed_only: args.report_changed, at_s })
    }
}

/// `floe build`.
pub fn build(global: &Global, args: &Build) -> Result<()> {
    if args.watch {
        return super::remote::watch(global, args);
    }
    // A server waits for the store, whoever asks, and evaluates as little as it can.
    let is_looked_at = args.source.profile.is_some() || args.source.stats || args.check;
    let is_usual = args.building.scheduler == Default::default();
    let is_asked = args.server && !args.no_server;
    if is_asked && !global.no_wait && !is_looked_at && is_usual {
        return super::remote::build(global, args);
    }
    if is_asked && args.source.profile.is_some() && !global.quiet {
        json_or_line(global, "building without a server: the profile is of this process");
    }
    build_here(global, args)
}

/// Says something beside what happens.
pub fn json_or_line(global: &Global, text: &str) {
    match global.progress {
        Form::Json => json_note(text),
        _ => eprintln!("floe: {text}"),
    }
}

/// The same without a server.
pub fn build_here(global: &Global, args: &Build) -> Result<()> {
    let started = Started::now();
    let style = Style::of(global, args.building.print_build_logs);
    let profiling = Profiling::begin(&args.source, style)?;
    let progress = Progress::start(style.evaluating());
    let events = match &profiling {
        Some((profiling, _)) => profiling.before(progress.events()),
        None => progress.events(),
    };
    let mut engine = super::engine(global, events.clone())?;
    let mut options = options(&args.building, args.dry_run, args.report.is_some())?;
    options.asked = answer::asked(&super::remote::source(&args.source)?);
    let source = profiling.as_ref().map_or(&args.source, |(_, source)| source);
    let evaluating = events.stage(Stage::Evaluating);
    let meter = Meter::of_process();
    let (drvs, targets) = evaluate(&engine, source, &args.attrs, &options)?;
    let evaluation = meter.read();
    drop(evaluating);
    let built = carry_out(&mut engine, &drvs, &targets, &options, progress)?;
    drop(profiling);
    if let (Some(file), Some(wanted)) = (&args.report, started.report(args)) {
        let cost = engine.cost(started.clock, evaluation, &built);
        let text = answer::report(&built, &drvs, options.strategy.name(), wanted, cost)?;
        write_report(file, &text)?;
    }
    let mut answer = answered(&engine, &built, &targets, args.dry_run);
    if args.check && !args.dry_run {
        fail_if_failed(&answer, Form::of(global))?;
        check(&mut engine, &drvs, &targets, &options, style)?;
    }
    if !args.no_link && !args.dry_run && answer.failures.is_empty() {
        let linked = link(&engine, &args.out_link, &answer.results);
        answer.unlinked = linked.err().map(|error| floe_server::sentence(error.as_ref()));
    }
    show(&answer, global, args)
}

/// Writes a report's text to its file.
pub fn write_report(file: &Path, text: &[u8]) -> Result<()> {
    std::fs::write(file, text)
        .with_context(|| format!("cannot write the report {}", file.display()))
}

/// Shows what came of a request, and ends the command if anything failed.
pub fn show(answer: &Answer, global: &Global, args: &Build) -> Result<()> {
    if args.dry_run {
        fail_if_failed(answer, Form::of(global))?;
        return super::predict::say(answer, args.json);
    }
    fail_if_failed(answer, Form::of(global))?;
    if let Some(why) = &answer.unlinked {
        bail!("{why}");
    }
    print_results(answer, args)
}

/// Makes the targets again and says where they come out otherwise.
pub fn check(
    engine: &mut Engine,
    drvs: &Arc<DrvGraph>,
    targets: &[Target],
    options: &BuildOptions,
    style: Style,
) -> Result<()> {
    let progress = Progress::start(style);
    engine.listen(progress.events());
    let options = BuildOptions { check: true, ..options.clone() };
    let built = carry_out(engine, drvs, targets, &options, progress)?;
    fail_if_failed(&answered(engine, &built, targets, false), style.form)?;
    for (ix, difference) in &built.outcome.differences {
        let name = &built.graph.node(*ix).recipe.name;
        eprintln!("{}", marked(&format!("error: {}", describe(engine, name, difference))));
    }
    match built.outcome.differences.is_empty() {
        true => Ok(()),
        false => Err(Ended(status::CHECK_FAILED).into()),
    }
}

/// Where an output differs, and where both lie.
fn describe(engine: &Engine, name: &str, difference: &Difference) -> String {
    let Difference { output, before, now, place } = difference;
    let file = match place.file.as_os_str().is_empty() {
        true => String::new(),
        false => format!(" in {}", place.file.display()),
    };
    let byte = place.byte.map_or_else(String::new, |byte| format!(" at byte {byte}"));
    let kept = match now {
        Some(now) => now.display().to_string(),
        None => "not kept (--keep-failed keeps it)".to_owned(),
    };
    let lies = engine.physical(before).unwrap_or_default();
    format!(
        "'{name}' is not deterministic: made again from the same inputs, its output '{output}' differs from {before}, \
         first{file}{byte}\n  before: {}\n  now: {kept}",
        lies.display()
    )
}

/// Evaluates a source to the derivations that the attribute paths name.
pub fn evaluate(
    engine: &Engine,
    source: &crate::args::Source,
    attrs: &[String],
    options: &BuildOptions,
) -> Result<(Arc<DrvGraph>, Vec<Target>)> {
    loop {
        let evaluated = begin(engine, source, options).and_then(|mut evaluation| {
            let targets = evaluation.targets(attrs)?;
            Ok((evaluation.finish(), targets))
        });
        match evaluated {
            // Each time something more is built, and there is no end of that only where there is no
            // end of evaluating.
            Err(_) if engine.restarts().take() => {}
            evaluated => return evaluated,
        }
    }
}

/// Begins an evaluation that may build what it wants to read, in the request's own way.
pub fn begin(
    engine: &Engine,
    source: &crate::args::Source,
    options: &BuildOptions,
) -> Result<Evaluation> {
    engine.build_for_evaluation(options.clone(), || {
        let cancel = Cancel::default();
        // Without it the signal ends the process, as it does while nothing is built.
        let guard: Box<dyn std::any::Any> = match cancel_on_signals(&cancel) {
            Ok(guard) => Box::new(guard),
            Err(_) => Box::new(()),
        };
        (cancel, guard)
    });
    for pair in source.option.chunks_exact(2).filter(|pair| pair[0] == "tarball-ttl") {
        engine.host().set_tarball_ttl(seconds(&pair[1])?);
    }
    Evaluation::start(source, engine.host())
}

/// The value of the setting `tarball-ttl`.
pub fn seconds(text: &str) -> Result<u64> {
    text.parse().map_err(|_| anyhow!("tarball-ttl is a number of seconds"))
}

/// The engine's options for what the command line says.
pub fn options(building: &Building, dry_run: bool, decide_all: bool) -> Result<BuildOptions> {
    let options = answer::options(&how(building, dry_run), Environment::default());
    let mut options = options.map_err(|words| anyhow!(words))?;
    options.decide_all = decide_all;
    options.schedule.scheduling = building.scheduler;
    Ok(options)
}

/// How the command line wants to build.
pub fn how(building: &Building, dry_run: bool) -> How {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    How {
        rebuilder: building.rebuilder.name().to_owned(),
        jobs: building.jobs.unwrap_or(processors) as u64,
        cores: building.cores.unwrap_or(processors) as u64,
        keep_going: building.keep_going,
        keep_failed: building.keep_failed,
        timeout_s: building.timeout,
        max_silent_s: building.max_silent_time,
        max_log_bytes: building.max_log_size,
        max_memory_bytes: building.max_memory,
        max_processes: building.max_processes,
        max_file_bytes: building.max_file_size,
        max_download_bytes: building.max_download_size,
        max_dynamic_depth: building.max_dynamic_depth,
        max_dynamic_derivations: building.max_dynamic_derivations,
        allow_missing_layers: building.allow_missing_layer.clone(),
        host_network: building.host_network,
        dry_run,
    }
}

/// Builds the targets, showing progress and heeding Ctrl-C.
pub fn carry_out(
    engine: &mut Engine,
    drvs: &Arc<DrvGraph>,
    targets: &[Target],
    options: &BuildOptions,
    progress: Progress,
) -> Result<Built> {
    let done = request(engine, drvs, targets, options);
    progress.finish();
    done
}

/// Builds the targets, heeding Ctrl-C.
pub fn request(
    engine: &mut Engine,
    drvs: &Arc<DrvGraph>,
    targets: &[Target],
    options: &BuildOptions,
) -> Result<Built> {
    let cancel = Cancel::default();
    let _signals = cancel_on_signals(&cancel)?;
    let wanted: Vec<Wanted> = targets.iter().map(|target| target.wanted.clone()).collect();
    let built = engine.build(drvs, &wanted, options, &cancel)?;
    if cancel.is_cancelled() {
        return Err(fault::Interrupted.into());
    }
    Ok(built)
}

/// Cancels on SIGINT, SIGTERM and SIGHUP for as long as the guard lives; a second signal kills.
pub fn cancel_on_signals(cancel: &Cancel) -> Result<SignalGuard> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])
        .context("cannot watch for signals")?;
    let handle = signals.handle();
    let cancel = cancel.clone();
    std::thread::spawn(move || {
        for _ in &mut signals {
            if cancel.is_cancelled() {
                std::process::exit(i32::from(status::INTERRUPTED));
            }
            cancel.cancel();
        }
    });
    Ok(SignalGuard(handle))
}

/// Lets signals do what they did before when it is dropped.
pub struct SignalGuard(signal_hook::iterator::Handle);

impl Drop for SignalGuard {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What came of building the targets.
pub fn answered(engine: &Engine, built: &Built, targets: &[Target], dry_run: bool) -> Answer {
    let named = targets.iter().map(|target| (&target.wanted, target.main_program.as_ref()));
    let objects = engine.store().map(|store| Bytes::from(store.objects_dir()));
    Answer { objects, ..answer::answer(built, named, dry_run) }
}

/// Ends the command if anything failed, having said what.
pub fn fail_if_failed(answer: &Answer, form: Form) -> Result<()> {
    if answer.failures.is_empty() {
        return Ok(());
    }
    match form {
        Form::Json => answer.failures.iter().for_each(|failed| json_error(failure_object(failed))),
        _ => say_failures(answer, form == Form::None),
    }
    Err(Ended(status::BUILD_FAILED).into())
}

fn say_failures(answer: &Answer, quiet: bool) {
    answer.failures.iter().for_each(say_failure);
    if quiet {
        return;
    }
    if answer.failures.len() > 1 {
        let names: Vec<&str> = answer.failures.iter().map(|failed| &*failed.name).collect();
        eprintln!("floe: {} builds failed: {}", names.len(), names.join(", "));
    }
    if answer.skipped > 0 {
        eprintln!("floe: {} derivations were not built because of this", answer.skipped);
    }
}

fn say_failure(failed: &Failed) {
    eprintln!("{}", marked(&format!("error: {}", failed.message)));
    if !failed.log_tail.is_empty() {
        eprintln!("last {} lines of the log of '{}':", failed.log_tail.len(), failed.name);
        for line in &failed.log_tail {
            eprintln!("  {}", marked_line(&line.0));
        }
    }
    if let Some(log) = &failed.log {
        let (name, file) = (&failed.name, log.path());
        eprintln!("the whole log: `floe log {name}`, or {}", file.display());
    }
}

/// A failure as tools read it.
fn failure_object(failed: &Failed) -> serde_json::Value {
    let line = |line: &Bytes| String::from_utf8_lossy(&line.0).into_owned();
    json!({
        "message": failed.message,
        "name": failed.name,
        "log_tail": failed.log_tail.iter().map(line).collect::<Vec<_>>(),
        "log": failed.log.as_ref().map(|log| log.path().display().to_string()),
    })
}

/// Links the results as `nix-build` does: `result`, `result-2`, `result-dev`, ...
pub fn link(engine: &Engine, out_link: &Path, results: &[Outputs]) -> Result<()> {
    match engine.store() {
        Some(store) => Ok(answer::link(&store, out_link, results)?),
        None => Ok(()),
    }
}

fn print_results(answer: &Answer, args: &Build) -> Result<()> {
    let objects = answer.objects.as_ref().filter(|_| args.physical);
    let shown = |path: &StorePath| match objects {
        Some(objects) => objects.path().join(path.base_name()).display().to_string(),
        None => path.to_string(),
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        let list: Vec<_> = answer
            .results
            .iter()
            .map(|result| {
                let outputs: serde_json::Map<_, _> = result
                    .outputs
                    .iter()
                    .map(|(name, path)| (name.as_str().to_owned(), json!(shown(path))))
                    .collect();
                json!({ "attr": result.attr, "outputs": outputs })
            })
            .collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&list)?)?;
    } else {
        for (_, path) in answer.results.iter().flat_map(|result| &result.outputs) {
            writeln!(out, "{}", shown(path))?;
        }
    }
    Ok(())
}

/// Builds for a command that needs the outputs and prints nothing of its own.
pub fn realise(
    global: &Global,
    source: &crate::args::Source,
    building: &Building,
    attrs: &[String],
) -> Result<(Engine, Vec<Outputs>)> {
    let style = Style::of(global, building.print_build_logs).evaluating();
    let progress = Progress::start(style);
    let mut engine = super::engine(global, progress.events())?;
    let mut options = options(building, false, false)?;
    options.asked = answer::asked(&super::remote::source(source)?);
    let (drvs, targets) = evaluate(&engine, source, attrs, &options)?;
    let built = carry_out(&mut engine, &drvs, &targets, &options, progress)?;
    let answer = answered(&engine, &built, &targets, false);
    fail_if_failed(&answer, Form::of(global))?;
    Ok((engine, answer.results))
}

/// Nobody listens to this engine, and it only reads.
pub fn silent(global: &Global) -> Result<Engine> {
    super::reader(global, Events::nowhere())
}
