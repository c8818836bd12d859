//! `floe build`, and the building that `run`, `shell` and the Nix names share.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use floe_core::path::{OutputName, StorePath};
use floe_engine::cancel::Cancel;
use floe_engine::engine::{BuildOptions, Built, Engine};
use floe_engine::event::Events;
use floe_engine::import::Wanted;
use floe_engine::job::{Difference, Failure};
use floe_engine::local::{Bounds, LocalSettings, current_system};
use floe_engine::record::Decision;
use floe_engine::report;
use floe_engine::schedule::{Options, State};
use floe_lang::graph::DrvGraph;
use floe_sandbox::{Layer, Policy};
use serde_json::json;

use crate::args::{Build, Building, Global};
use crate::evaluate::{Evaluation, Target};
use crate::fault::{self, Ended, status};
use crate::progress::{Progress, Style, plain};

/// One built target.
pub struct Outputs {
    /// The attribute path.
    pub attr: String,
    /// Its outputs, those that were asked for.
    pub outputs: Vec<(OutputName, StorePath)>,
    /// What `meta.mainProgram` says.
    pub main_program: Option<String>,
}

/// When a request began, evaluation included.
struct Started {
    at: SystemTime,
    clock: Instant,
}

/// `floe build`.
pub fn build(global: &Global, args: &Build) -> Result<()> {
    let started = Started { at: SystemTime::now(), clock: Instant::now() };
    let style = Style { quiet: global.quiet, logs: args.building.print_build_logs };
    let progress = Progress::start(style);
    let mut engine = super::engine(global, progress.events())?;
    let options = options(&args.building, args.dry_run, args.report.is_some())?;
    let (drvs, targets) = evaluate(&engine, &args.source, &args.attrs, &options)?;
    let built = carry_out(&mut engine, &drvs, &targets, &options, progress)?;
    if let Some(file) = &args.report {
        let restarts = engine.restarts().count();
        write_report(file, &built, &drvs, &options, (started, restarts), args.report_changed)
            .with_context(|| format!("cannot write the report {}", file.display()))?;
    }
    if args.dry_run {
        say_what_would_run(&built, args.json);
        return Ok(());
    }
    fail_if_failed(&built, global.quiet)?;
    if args.check {
        check(global, &mut engine, &drvs, &targets, &options, style)?;
    }
    let results = results(&built, &targets);
    if !args.no_link {
        link(&engine, &args.out_link, &results)?;
    }
    print_results(&engine, &results, args)
}

/// Makes the targets again and says where they come out otherwise.
pub fn check(
    global: &Global,
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
    fail_if_failed(&built, global.quiet)?;
    for (ix, difference) in &built.outcome.differences {
        let name = &built.graph.node(*ix).recipe.name;
        eprintln!("{}", plain(&format!("error: {}", describe(engine, name, difference))));
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
        let seconds = pair[1].parse();
        let seconds = seconds.map_err(|_| anyhow!("tarball-ttl is a number of seconds"))?;
        engine.host().set_tarball_ttl(seconds);
    }
    Evaluation::start(source, engine.host())
}

/// The engine's options for what the command line says.
pub fn options(building: &Building, dry_run: bool, decide_all: bool) -> Result<BuildOptions> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut policy = Policy::strict();
    for name in &building.allow_missing_layer {
        let Some(layer) = Layer::from_name(name) else {
            bail!("there is no sandbox layer '{name}'; `floe doctor` lists them");
        };
        policy = policy.allow_missing(layer);
    }
    if building.host_network {
        policy = policy.allow_missing(Layer::NetNamespace);
    }
    let jobs = match building.jobs {
        Some(0) => bail!("--max-jobs must be at least 1: builds run here or nowhere"),
        jobs => jobs.unwrap_or(processors),
    };
    Ok(BuildOptions {
        strategy: building.rebuilder,
        schedule: Options { jobs, keep_going: building.keep_going, dry_run },
        local: LocalSettings {
            cores: building.cores.unwrap_or(processors),
            timeout: building.timeout.map(Duration::from_secs),
            max_silent: building.max_silent_time.map(Duration::from_secs),
            max_log_bytes: Some(building.max_log_size),
            bounds: Bounds {
                max_memory_bytes: building.max_memory,
                max_processes: building.max_processes,
                max_file_bytes: building.max_file_size,
                max_download_bytes: building.max_download_size,
            },
            keep_failed: building.keep_failed,
            policy,
            host_network: building.host_network,
        },
        decide_all,
        check: false,
        scheduling: building.scheduler,
    })
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
fn cancel_on_signals(cancel: &Cancel) -> Result<SignalGuard> {
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

struct SignalGuard(signal_hook::iterator::Handle);

impl Drop for SignalGuard {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Ends the command if anything failed, having said what.
pub fn fail_if_failed(built: &Built, quiet: bool) -> Result<()> {
    let mut failed = 0;
    let mut skipped = 0;
    for (ix, node) in built.graph.nodes() {
        match &built.outcome.states[ix.index()] {
            State::Failed(failure) => {
                failed += 1;
                say_failure(&node.recipe.name, failure);
            }
            State::Skipped(_) => skipped += 1,
            _ => {}
        }
    }
    if failed == 0 {
        return Ok(());
    }
    if skipped > 0 && !quiet {
        eprintln!("floe: {skipped} derivations were not built because of this");
    }
    Err(Ended(status::BUILD_FAILED).into())
}

fn say_failure(name: &str, failure: &Failure) {
    let (tail, log) = match failure {
        Failure::Builder { log_tail, log, .. } => (log_tail.as_slice(), log.as_ref()),
        Failure::Transient { log_tail, .. } => (log_tail.as_slice(), None),
        Failure::Cancelled => (&[][..], None),
    };
    eprintln!("{}", crate::progress::plain(&format!("error: {failure}")));
    if !tail.is_empty() {
        eprintln!("last {} lines of the log of '{name}':", tail.len());
        for line in tail {
            eprintln!("  {}", crate::progress::printable(line));
        }
    }
    if let Some(log) = log {
        eprintln!("the whole log: {}", log.display());
    }
}

/// The outputs of the targets.
pub fn results(built: &Built, targets: &[Target]) -> Vec<Outputs> {
    targets
        .iter()
        .zip(&built.graph.targets)
        .map(|(target, placed)| {
            let outputs = built.outcome.outputs[placed.node.index()].as_deref();
            let path = |name: &OutputName| Some((name.clone(), outputs?.get(name)?.clone()));
            Outputs {
                attr: target.wanted.attr.clone(),
                outputs: target.wanted.outputs.iter().filter_map(path).collect(),
                main_program: target.main_program.clone(),
            }
        })
        .collect()
}

/// Links the results as `nix-build` does: `result`, `result-2`, `result-dev`, ...
pub fn link(engine: &Engine, out_link: &Path, results: &[Outputs]) -> Result<()> {
    let Some(store) = engine.store() else { return Ok(()) };
    for (at, result) in results.iter().enumerate() {
        for (output, path) in &result.outputs {
            let mut name = out_link.as_os_str().to_owned();
            if at > 0 {
                name.push(format!("-{}", at + 1));
            }
            if output.as_str() != "out" {
                name.push(format!("-{output}"));
            }
            store.add_root(&PathBuf::from(name), path)?;
        }
    }
    Ok(())
}

fn print_results(engine: &Engine, results: &[Outputs], args: &Build) -> Result<()> {
    let shown = |path: &StorePath| match engine.physical(path).filter(|_| args.physical) {
        Some(physical) => physical.display().to_string(),
        None => path.to_string(),
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        let list: Vec<_> = results
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
        for (_, path) in results.iter().flat_map(|result| &result.outputs) {
            writeln!(out, "{}", shown(path))?;
        }
    }
    Ok(())
}

fn say_what_would_run(built: &Built, as_json: bool) {
    let name = |ix: &floe_engine::graph::NodeIx| built.graph.node(*ix).recipe.name.to_string();
    let certain: Vec<String> = built.outcome.certain.iter().map(name).collect();
    let possible: Vec<String> = built.outcome.possible.iter().map(name).collect();
    if as_json {
        println!("{}", json!({ "will_build": certain, "may_build": possible }));
        return;
    }
    if certain.is_empty() && possible.is_empty() {
        eprintln!("nothing to build");
    }
    for (list, what) in
        [(certain, "will be built"), (possible, "may be built, depending on what comes out below")]
    {
        if !list.is_empty() {
            eprintln!("{} {what}:", list.len());
            list.iter().for_each(|name| eprintln!("  {name}"));
        }
    }
}

fn write_report(
    file: &Path,
    built: &Built,
    drvs: &DrvGraph,
    options: &BuildOptions,
    (started, restarts): (Started, u64),
    changed_only: bool,
) -> Result<()> {
    let mut out = std::io::BufWriter::new(std::fs::File::create(file)?);
    let head = report::Head {
        floe_report: report::VERSION,
        floe: env!("CARGO_PKG_VERSION"),
        rebuilder: options.strategy.name(),
        system: &current_system(),
        at: started.at.duration_since(UNIX_EPOCH).map_or(0, |at| at.as_secs()),
    };
    report::line(&mut out, &head)?;
    for decided in &built.decided {
        if changed_only && decided.record.decision == Decision::Reused {
            continue;
        }
        let at = decided.node.index();
        let drv = built.drvs.get(at).map(|id| drvs.drv_path(*id)).transpose()?;
        let name = &built.graph.node(decided.node).recipe.name;
        let drv = drv.map(|path| path.to_string());
        report::line(&mut out, &report::decision_line(decided, name, &built.outcome, drv))?;
    }
    let wall_ms = u64::try_from(started.clock.elapsed().as_millis()).unwrap_or(u64::MAX);
    let counters =
        report::counters(&built.decided, &built.outcome, built.queries, restarts, wall_ms);
    report::line(&mut out, &counters)?;
    out.flush()?;
    Ok(())
}

/// Builds for a command that needs the outputs and prints nothing of its own.
pub fn realise(
    global: &Global,
    source: &crate::args::Source,
    building: &Building,
    attrs: &[String],
) -> Result<(Engine, Vec<Outputs>)> {
    let style = Style { quiet: global.quiet, logs: building.print_build_logs };
    let progress = Progress::start(style);
    let mut engine = super::engine(global, progress.events())?;
    let options = options(building, false, false)?;
    let (drvs, targets) = evaluate(&engine, source, attrs, &options)?;
    let built = carry_out(&mut engine, &drvs, &targets, &options, progress)?;
    fail_if_failed(&built, global.quiet)?;
    Ok((engine, results(&built, &targets)))
}

/// Nobody listens to this engine.
pub fn silent(global: &Global) -> Result<Engine> {
    super::engine(global, Events::nowhere())
}
