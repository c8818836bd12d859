//! Runs the trials of a study that its results do not hold yet, and says how far it is and how long it will take.

use std::io::Write;
use std::time::Instant;
use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::description::{Description, Scale};
use crate::record::{self, Head, Journal};
use crate::study::{Place, Study, Trial};
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

/// Runs what is missing and tells it on `out`. A trial that fails is told there, and the others run: a run takes hours, and
/// nobody may be looking.
///
/// # Errors
/// Nothing can be run, or trials failed: what ended is kept, and the next run tries the others again.
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

    let failed = carry_out(&mut *study, &left, &place, &mut journal, out)?;
    if failed > 0 {
        bail!(
            "{failed} of {} trials of the study {} failed, as told above; run it again to try them again",
            left.len(),
            description.name
        );
    }
    Ok(())
}

/// Runs these trials one after the other; how many failed.
fn carry_out(
    study: &mut dyn Study,
    left: &[&Trial],
    place: &Place,
    journal: &mut Journal,
    out: &mut dyn Write,
) -> Result<usize> {
    let total: f64 = left.iter().map(|trial| trial.weight).sum();
    let (began, mut done, mut failed) = (Instant::now(), 0.0, 0);
    for (at, trial) in left.iter().enumerate() {
        let started = Instant::now();
        let rows = study.run(trial, place);
        let wall_ms = started.elapsed().as_secs_f64() * 1e3;
        done += trial.weight;
        match rows {
            Ok(rows) => journal.add(&trial.key, rows, wall_ms as u64)?,
            Err(fault) => {
                failed += 1;
                writeln!(out, "[{}/{}] {} failed: {fault:#}", at + 1, left.len(), trial.key)?;
                continue;
            }
        }
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
    Ok(failed)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;
    use crate::record::Row;
    use crate::report::block::Section;
    use crate::study::Fields;

    /// Fails where a trial's name says so.
    struct Sample;

    impl Study for Sample {
        fn trials(&self) -> Result<Vec<Trial>> {
            Ok(["one", "bad", "two"].map(Trial::new).to_vec())
        }

        fn run(&mut self, trial: &Trial, _: &Place) -> Result<Vec<Fields>> {
            match trial.key.as_str() {
                "bad" => Err(anyhow!("no room").context("it was not built")),
                _ => Ok(vec![Fields::new()]),
            }
        }

        fn section(&self, _: &[Row]) -> Result<Section> {
            Ok(Section::default())
        }
    }

    #[test]
    fn a_trial_that_fails_keeps_no_other_from_running() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("full.jsonl");
        let head = Head::new("some", Scale::Full, "0".to_owned(), 1, Vec::new());
        let mut journal = Journal::open(&file, head).expect("a journal");
        let place = Place {
            top: folder.path().to_path_buf(),
            folder: folder.path().to_path_buf(),
            work: folder.path().to_path_buf(),
            floe: folder.path().join("floe"),
            scale: Scale::Full,
        };
        let trials = Sample.trials().expect("trials");
        let mut told = Vec::new();
        let left: Vec<&Trial> = trials.iter().collect();
        let failed =
            carry_out(&mut Sample, &left, &place, &mut journal, &mut told).expect("it goes on");
        assert_eq!(failed, 1);
        let told = String::from_utf8(told).expect("text");
        assert!(told.contains("[2/3] bad failed: it was not built: no room\n[3/3] two"), "{told}");
        let kept = record::read(&file).expect("results").ended;
        assert!(kept.contains("one") && kept.contains("two") && !kept.contains("bad"));
    }
}
