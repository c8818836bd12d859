//! `floe stats`: how good predictions were, beside what somebody would have said who knows nothing
//! but how often things ran. The account is the engine's; here it is laid out.

use std::io::Write;

use anyhow::Result;
use floe_engine::predict::score::{Bin, Scores};
use serde_json::{Value, json};

use crate::args::{Global, Stats};

/// Prints the account of a rebuilder.
pub fn stats(global: &Global, args: &Stats) -> Result<()> {
    let engine = super::build::silent(global)?;
    super::existing_store(global, &engine)?;
    let scores = engine.scores(args.rebuilder);
    let text = match args.json {
        true => format!("{:#}\n", to_json(&scores, args.rebuilder.name())),
        false => text(&scores, args.rebuilder.name()),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

fn to_json(scores: &Scores, rebuilder: &str) -> Value {
    let bins = scores.bins.iter().enumerate().map(|(nth, bin)| {
        json!({
            "from": nth as f64 / 10.0,
            "to": (nth + 1) as f64 / 10.0,
            "count": bin.count,
            "said": share(bin.said, bin.count),
            "ran": share(bin.ran as f64, bin.count),
        })
    });
    json!({
        "rebuilder": rebuilder,
        "requests": scores.requests,
        "predictions": scores.count,
        "ran": scores.ran,
        "certain": { "predictions": scores.certain, "ran": scores.certain_ran },
        "brier": {
            "predicted": scores.brier(),
            "base_rate": scores.base_brier(),
            "own_rate": scores.task_brier(),
            "skill": skill(scores),
        },
        "reliability": bins.collect::<Vec<_>>(),
        "times": {
            "requests": scores.times.requests,
            "inside_90": scores.times.inside,
            "median_relative_error": scores.times.median_error(),
        },
    })
}

fn share(sum: f64, count: u64) -> Option<f64> {
    (count > 0).then(|| (sum / count as f64 * 1e4).round() / 1e4)
}

/// The part of the base rate's error that prediction saves.
fn skill(scores: &Scores) -> Option<f64> {
    let base = scores.base_brier().filter(|base| *base > 0.0)?;
    Some(1.0 - scores.brier()? / base)
}

fn text(scores: &Scores, rebuilder: &str) -> String {
    let mut text =
        format!("Predictions of what runs, by builds with the rebuilder {rebuilder}\n\n");
    text += &format!("certain    {} predictions, {} ran\n", scores.certain, scores.certain_ran);
    text += &format!(
        "uncertain  {} predictions in {} requests, {} ran\n",
        scores.count, scores.requests, scores.ran
    );
    if let (Some(said), Some(base), Some(own)) =
        (scores.brier(), scores.base_brier(), scores.task_brier())
    {
        text += "\nBrier score (mean squared error, 0 is perfect; each forecast from earlier requests only)\n";
        text += &format!("  predicted                    {said:.4}\n");
        text += &format!("  the base rate                {base:.4}\n");
        text += &format!("  each derivation's own rate   {own:.4}\n");
        if let Some(skill) = skill(scores) {
            let (percent, word) =
                ((skill.abs() * 100.0).round(), if skill < 0.0 { "more" } else { "less" });
            text += &format!("  {percent} % {word} than the base rate's\n");
        }
        text += "\nReliability\n   said        predictions  mean said  ran\n";
        let bins = scores.bins.iter().enumerate().filter(|(_, bin)| bin.count > 0);
        bins.for_each(|(nth, bin)| text += &reliability(nth, bin));
    }
    let times = &scores.times;
    if let Some(error) = times.median_error() {
        text += &format!(
            "\nExpected times  {} of {} requests inside their 90 % interval, {:.0} % off in the middle\n",
            times.inside,
            times.requests,
            error * 100.0
        );
    }
    text
}

fn reliability(nth: usize, bin: &Bin) -> String {
    let mean = |sum: f64| sum / bin.count as f64 * 100.0;
    format!(
        "  {:>3} to {:>3} %  {:>11}  {:>7.0} %  {:>2.0} %\n",
        nth * 10,
        (nth + 1) * 10,
        bin.count,
        mean(bin.said),
        mean(bin.ran as f64)
    )
}
