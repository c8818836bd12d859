//! Runs the trials of a study that its results do not hold yet, and says how far it is and how long it will take.

use std::io::Write;
use std::time::Instant;
use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::description::{Description, Scale};
use crate::record::{self, Head, Journal};
use crate::study::{Place, Trial};
use crate::{floe, stats, studies};

/// How a study is run.
#[derive(Debug)]
pub struct Order<'a> {
    /// How much.
    pub scale: Scale,
    /// Results of the same scale are moved aside and measured again.
    pub again: bool,
    /// The top of floe's sources.
    pub top: &'a Path,
    /// Where stores and other things that outlive a trial lie, a folder a study.
    pub work: &'a Path,
    /// The floe that is measured.
    pub floe: &'a Path,
}

/// Runs what is missing and tells it on `out`.
///
/// # Errors
/// A trial fails; what ended before is kept, and the next run goes on there.
pub fn run(description: &Description, order: &Order<'_>, out: &mut dyn Write) -> Result<()> {
    let mut study = studies::open(description, order.scale)?;
    let file = description.results(order.scale);
    if order.again && file.exists() {
        let aside = file.with_extension("before.jsonl");
        fs::rename(&file, &aside)
            .with_context(|| format!("cannot move {} aside", file.display()))?;
    }
    let ended = record::read(&file)?.ended;
    let trials = study.trials()?;
    let left: Vec<&Trial> = trials.iter().filter(|trial| !ended.contains(&trial.key)).collect();
    writeln!(out, "{}: {} of {} trials to run", description.name, left.len(), trials.len())?;
    if left.is_empty() {
        return Ok(());
    }

    let place = Place {
        top: order.top.to_path_buf(),
        folder: description.folder.clone(),
        work: order.work.join(&description.name),
        floe: order.floe.to_path_buf(),
        scale: order.scale,
    };
    fs::create_dir_all(&place.work)
        .with_context(|| format!("cannot make {}", place.work.display()))?;
    let head = Head::new(
        &description.name,
        order.scale,
        floe::version(order.floe, order.top)?,
        description.seed,
        study.peers()?,
    );
    let mut journal = Journal::open(&file, head)?;

    let total: f64 = left.iter().map(|trial| trial.weight).sum();
    let (began, mut done) = (Instant::now(), 0.0);
    for (at, trial) in left.iter().enumerate() {
        let started = Instant::now();
        let rows = study.run(trial, &place).with_context(|| {
            format!(
                "trial {} of the study {} failed; run it again to go on from there",
                trial.key, description.name
            )
        })?;
        let wall_ms = started.elapsed().as_secs_f64() * 1e3;
        journal.add(&trial.key, rows, wall_ms as u64)?;
        done += trial.weight;
        let left_ms = began.elapsed().as_secs_f64() * 1e3 * (total - done) / done;
        let estimate = if at + 1 < left.len() {
            format!("; {} to go", stats::duration(left_ms))
        } else {
            String::new()
        };
        writeln!(
            out,
            "[{}/{}] {}  {}{estimate}",
            at + 1,
            left.len(),
            trial.key,
            stats::duration(wall_ms)
        )?;
    }
    Ok(())
}
