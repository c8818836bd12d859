//! The list of requests that can be looked back to, newest last. Nothing is compared here.

use std::fmt::Write;

use anyhow::Result;
use floe_engine::journal::{Head, Logged, MAX_REQUESTS};
use floe_engine::record::Decision;
use serde_json::{Value, json};

use super::{json as explanation, words};
use crate::terminal::marked;
use crate::time;

/// A block of lines for each.
pub fn text(head: Head, requests: &[(u64, Logged)]) -> String {
    let mut out = String::new();
    for (number, logged) in requests {
        let targets = logged.targets.iter().take(LISTED).map(String::as_str);
        let targets: Vec<&str> = targets.map(named).collect();
        let more = logged.target_count.saturating_sub(targets.len() as u64);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let at = time::shown(logged.at);
        let _ = writeln!(out, "{number}  {at}  {}{more}", marked(&targets.join(" ")));
        let decisions: Vec<String> =
            logged.decisions.iter().map(|(decision, count)| tally(*decision, *count)).collect();
        let _ = writeln!(out, "  {}: {}", logged.rebuilder, decisions.join(", "));
        for edit in logged.edits.iter().take(LISTED) {
            let _ = writeln!(out, "  {}", words::edit(edit));
        }
        let left = logged.edit_count.saturating_sub(logged.edits.len().min(LISTED) as u64);
        if left > 0 {
            let _ = writeln!(out, "  ... and {left} more {}", words::plural(left, "edit"));
        }
    }
    if requests.is_empty() {
        let _ = writeln!(out, "no request is kept yet");
    } else if head.oldest > 1 {
        let _ = writeln!(out, "older ones were dropped (at most {MAX_REQUESTS} are kept)");
    }
    out
}

/// How many targets and edits of a request are listed.
const LISTED: usize = 5;

fn named(target: &str) -> &str {
    if target.is_empty() { "(everything)" } else { target }
}

fn tally(decision: Decision, count: u64) -> String {
    let word = match decision {
        Decision::Cutoff => "cut off",
        decision => decision.word(),
    };
    format!("{count} {word}")
}

/// The same for scripts.
pub fn json(requests: &[(u64, Logged)]) -> Result<String> {
    let list: Vec<Value> = requests
        .iter()
        .map(|(number, logged)| {
            let edits: Vec<Value> = logged.edits.iter().map(explanation::edit).collect();
            let asked: Vec<Value> = logged
                .asked
                .iter()
                .map(|(name, value)| json!({ "name": name, "value": value }))
                .collect();
            json!({
                "request": number,
                "at": logged.at,
                "rebuilder": logged.rebuilder,
                "targets": logged.targets,
                "target_count": logged.target_count,
                "asked": asked,
                "edits": edits,
                "edit_count": logged.edit_count,
                "first_reads": logged.first_reads,
                "decisions": logged.decisions,
            })
        })
        .collect();
    Ok(serde_json::to_string_pretty(&list)? + "\n")
}
