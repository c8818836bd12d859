//! Progress as lines: what starts, what it comes to, and a summary. Where nobody looks on, and
//! wherever a screen cannot be drawn again.

use std::time::Duration;

use floe_engine::event::{Event, Phase};

use super::scene::Scene;
use super::{Display, words};
use crate::terminal::{for_stderr, marked, marked_line};

/// A line for each event.
pub struct Plain {
    logs: bool,
}

impl Plain {
    /// With the builders' output, or without.
    pub fn new(logs: bool) -> Plain {
        Plain { logs }
    }
}

impl Display for Plain {
    fn take(&mut self, event: &Event, scene: &Scene) {
        match event {
            Event::Started { name, .. } => eprintln!("building {name}"),
            Event::Phase { job, phase: phase @ Phase::Named(_) } => {
                eprintln!("{}", marked(&format!("{}: {}", scene.name(*job), phase.word())));
            }
            _ => {
                if let Some(line) = lasting(event, scene, self.logs) {
                    eprintln!("{line}");
                }
            }
        }
    }

    fn end(&mut self, scene: &Scene) {
        if let Some(line) = summary(scene) {
            eprintln!("{line}");
        }
    }
}

/// Notes, and the builders' output if it is asked for.
pub struct Notes {
    /// Whether it is.
    pub logs: bool,
}

impl Display for Notes {
    fn take(&mut self, event: &Event, scene: &Scene) {
        if matches!(event, Event::Note(_) | Event::Log { .. })
            && let Some(line) = lasting(event, scene, self.logs)
        {
            eprintln!("{line}");
        }
    }

    fn end(&mut self, _scene: &Scene) {}
}

/// What is said of an event for good, on a terminal as well as elsewhere.
pub fn lasting(event: &Event, scene: &Scene, logs: bool) -> Option<String> {
    Some(match event {
        Event::Planned { total, done, certain, possible, unknown, .. }
            if certain + possible > 0 =>
        {
            let possible = match possible {
                0 => String::new(),
                possible => format!(", {possible} more may follow"),
            };
            let unknown = if *unknown > 0 { ", and what builders make" } else { "" };
            format!(
                "floe: {total} derivations, {done} known; {certain} to build{possible}{unknown}"
            )
        }
        Event::Log { name, line, .. } if logs => format!("{name}> {}", marked_line(line)),
        Event::Finished { name, wall_ms, .. } => {
            format!("built {name} in {}", words::seconds(Duration::from_millis(*wall_ms)))
        }
        Event::CutOff { jobs, count, by } => {
            let known = jobs.len() == *count && jobs.iter().all(|job| scene.knows(*job));
            let names = match known {
                true => words::some(jobs.iter().map(|job| scene.name(*job))),
                false => format!("{count} derivations"),
            };
            format!("cut off {names}: {} changed nothing for them", scene.name(*by))
        }
        Event::Failed { name, .. } => format!("failed {name}"),
        Event::Stopped { name, .. } => format!("stopped {name}"),
        Event::Note(text) => String::from_utf8_lossy(&for_stderr(text.as_bytes())).into_owned(),
        _ => return None,
    })
}

/// The last line, if anything ran.
pub fn summary(scene: &Scene) -> Option<String> {
    let ran = scene.counts.built + scene.counts.failed > 0;
    ran.then(|| words::summary(scene.counts, scene.started.elapsed()))
}
