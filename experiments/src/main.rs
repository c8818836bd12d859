//! `floe-experiment`, which `floe experiment` runs: lists, runs and renders the studies. Arguments and messages; no study.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use floe_experiments::compare::{compare, kept};
use floe_experiments::description::{self, Description, Scale};
use floe_experiments::report::{self, readme};
use floe_experiments::runner::{self, Order};
use floe_experiments::{record, stats, studies};

/// Studies of what edits cost: floe and its peers on the same work.
#[derive(Debug, Parser)]
#[command(name = "floe experiment", bin_name = "floe experiment", version)]
struct Cli {
    /// The top of floe's sources [default: the nearest folder above that has experiments/studies]
    #[arg(long, global = true, value_name = "DIR", env = "FLOE_SOURCES")]
    top: Option<PathBuf>,
    #[command(subcommand)]
    does: Does,
}

#[derive(Debug, Subcommand)]
enum Does {
    /// Lists the studies, what they ask and how long they take
    List,
    /// Runs what the results of studies lack
    Run(Run),
    /// Renders the report from the results
    Report(Report),
    /// Puts the headline figures into README.md
    Readme {
        /// Change nothing, and fail when the README says something else than the results
        #[arg(long)]
        check: bool,
    },
    /// Compares the results of a study with those of an earlier run: counts must agree
    Compare {
        /// The study
        study: String,
        /// The earlier run's results [default: those that --again moved aside]
        before: Option<PathBuf>,
        /// Results of the quick run
        #[arg(long)]
        quick: bool,
    },
}

#[derive(Debug, Args)]
struct Run {
    /// Studies [default: all]
    studies: Vec<String>,
    /// A small run, to see that everything works: all studies in three minutes
    #[arg(long)]
    quick: bool,
    /// Move former results aside and measure everything again
    #[arg(long)]
    again: bool,
    /// Where stores and other work is kept from trial to trial [default: target/experiments in the sources]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// The floe command to measure [default: the one beside this program]
    #[arg(long, value_name = "FILE", env = "FLOE_BIN")]
    floe: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Report {
    /// Studies [default: all that have results]
    studies: Vec<String>,
    /// Of the quick run's results
    #[arg(long)]
    quick: bool,
    /// Where the page is written [default: experiments/report, of quick results target/experiments/report]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    match execute(Cli::parse()) {
        Ok(code) => code,
        Err(fault) => {
            tell(&fault);
            ExitCode::FAILURE
        }
    }
}

fn tell(fault: &anyhow::Error) {
    // Nobody hears it where standard error is closed; the exit status says that something failed.
    let _ = writeln!(io::stderr(), "floe experiment: error: {fault:#}");
}

fn execute(cli: Cli) -> Result<ExitCode> {
    let top = match cli.top {
        Some(top) => top,
        None => top_above(&env::current_dir()?)?,
    };
    let top = std::path::absolute(top)?;
    let folder = top.join("experiments/studies");
    let mut out = io::stdout();
    match cli.does {
        Does::List => list(&description::all(&folder)?, &mut out)?,
        Does::Run(run) => {
            let floe = match run.floe {
                Some(floe) => std::path::absolute(floe)?,
                None => env::current_exe()?.with_file_name("floe"),
            };
            let work = match run.work {
                Some(work) => std::path::absolute(work)?,
                None => top.join("target/experiments"),
            };
            let order = Order {
                scale: scale(run.quick),
                again: run.again,
                top: &top,
                work: &work,
                floe: &floe,
            };
            let mut code = ExitCode::SUCCESS;
            for study in description::chosen(&folder, &run.studies)? {
                if let Err(fault) = runner::run(&study, &order, &mut out) {
                    tell(&fault);
                    code = ExitCode::FAILURE;
                }
            }
            return Ok(code);
        }
        Does::Report(args) => {
            let chapters =
                report::chapters(&description::chosen(&folder, &args.studies)?, scale(args.quick))?;
            if chapters.is_empty() {
                bail!("there are no results to render; 'floe experiment run' makes some");
            }
            let default =
                if args.quick { "target/experiments/report" } else { "experiments/report" };
            let to = args.out.unwrap_or_else(|| top.join(default));
            report::write(&chapters, &to)?;
            writeln!(out, "{}", to.join("index.html").display())?;
        }
        Does::Readme { check } => return headlines(&top, &folder, check),
        Does::Compare { study, before, quick } => {
            let chosen = description::chosen(&folder, &[study])?;
            return agreement(&chosen[0], before, scale(quick), &mut out);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn scale(quick: bool) -> Scale {
    if quick { Scale::Quick } else { Scale::Full }
}

fn top_above(from: &Path) -> Result<PathBuf> {
    let found = from.ancestors().find(|folder| folder.join("experiments/studies").is_dir());
    found.map(Path::to_path_buf).with_context(|| {
        format!(
            "there are no studies at {} or above it; go to floe's sources, or name them with --top",
            from.display()
        )
    })
}

fn list(all: &[Description], out: &mut dyn Write) -> Result<()> {
    for study in all {
        let mut held = Vec::new();
        for scale in [Scale::Full, Scale::Quick] {
            let ended = record::read(&study.results(scale))?.ended;
            if !ended.is_empty() {
                let trials = studies::open(study, scale)?.trials()?;
                let there = trials.iter().filter(|trial| ended.contains(&trial.key)).count();
                held.push(format!("{} {there} of {}", scale.name(), trials.len()));
            }
        }
        let held = if held.is_empty() { "no results".to_owned() } else { held.join(", ") };
        writeln!(out, "{:<16} {}", study.name, study.title)?;
        writeln!(out, "{:<16} {}", "", study.question)?;
        writeln!(
            out,
            "{:<16} full: about {}; {held}",
            "",
            stats::duration(study.full_minutes * 60e3)
        )?;
    }
    Ok(())
}

fn headlines(top: &Path, folder: &Path, check: bool) -> Result<ExitCode> {
    let file = top.join("README.md");
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let chapters = report::chapters(&description::all(folder)?, Scale::Full)?;
    let new = readme::insert(&text, &chapters)?;
    if new == text {
        return Ok(ExitCode::SUCCESS);
    }
    if check {
        bail!("README.md does not say what the results say; run 'floe experiment readme'");
    }
    fs::write(&file, new).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn agreement(
    study: &Description,
    before: Option<PathBuf>,
    scale: Scale,
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let file = study.results(scale);
    let before = before.unwrap_or_else(|| file.with_extension("before.jsonl"));
    if !before.exists() {
        bail!(
            "there is no earlier run in {}; 'floe experiment run {} --again' makes one",
            before.display(),
            study.name
        );
    }
    let (before, after) = (record::read(&before)?, record::read(&file)?);
    let found = compare(&before, &after);
    writeln!(out, "{} values that must agree do", stats::whole(found.same as f64))?;
    for (place, old, new) in &found.differ {
        writeln!(out, "differs: {place}: {old} before, {new} now")?;
    }
    for trial in &found.missing {
        writeln!(out, "only one of the runs holds {trial}")?;
    }
    for (name, ratios) in &found.ratios {
        let of = stats::estimate(ratios).context("a ratio")?;
        let (least, most) =
            ratios.iter().fold((f64::MAX, f64::MIN), |(a, b), &r| (a.min(r), b.max(r)));
        writeln!(
            out,
            "{name}: now / before {:.2}, from {least:.2} to {most:.2}, {} values",
            of.median,
            ratios.len()
        )?;
    }
    let mut agrees = found.differ.is_empty();
    for (measure, factor) in &study.another_day {
        let kept = kept(&before, &after, measure, *factor);
        agrees &= kept.enough();
        writeln!(
            out,
            "{measure}: {} of {} medians within the intervals stated, widened by a factor of {factor}",
            kept.within(),
            kept.of
        )?;
        for (place, stated, now) in &kept.beyond {
            writeln!(out, "  beyond: {place}: {stated} before, {} now", stats::duration(*now))?;
        }
    }
    Ok(if agrees { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
