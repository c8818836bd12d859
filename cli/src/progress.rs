//! Progress on standard error: a live display on a terminal, plain lines otherwise. It only
//! listens; it never steers.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use floe_engine::event::{Event, Events};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::terminal;

/// How much is shown.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Nothing but notes.
    pub quiet: bool,
    /// The builders' output.
    pub logs: bool,
}

/// How many events may wait to be shown. A builder that writes faster than they can be waits, too:
/// its lines must not fill the memory.
const WAITING: usize = 1024;

/// What an engine's events come through.
pub struct Channel {
    sender: Sender<Event>,
    receiver: Receiver<Event>,
}

impl Channel {
    /// A channel that nobody listens to yet.
    pub fn new() -> Channel {
        let (sender, receiver) = bounded(WAITING);
        Channel { sender, receiver }
    }

    /// Where the engine sends its events.
    pub fn events(&self) -> Events {
        Events::into(self.sender.clone())
    }
}

/// The display; ends when `finish` is called or it is dropped.
pub struct Progress {
    events: Option<Events>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts listening.
    pub fn start(style: Style) -> Progress {
        Progress::listen(&Channel::new(), style)
    }

    /// Shows what comes through a channel that outlives the display.
    pub fn listen(channel: &Channel, style: Style) -> Progress {
        Progress::take(channel, move |receiver| listen(receiver, style))
    }

    /// Shows nothing of what comes through a channel.
    pub fn ignore(channel: &Channel) -> Progress {
        Progress::take(channel, |receiver| {
            while receiver.recv().is_ok_and(|event| !matches!(event, Event::End)) {}
        })
    }

    fn take(channel: &Channel, work: impl FnOnce(&Receiver<Event>) + Send + 'static) -> Progress {
        let receiver = channel.receiver.clone();
        let thread = std::thread::spawn(move || work(&receiver));
        Progress { events: Some(channel.events()), thread: Some(thread) }
    }

    /// Where the engine sends its events.
    pub fn events(&self) -> Events {
        self.events.clone().unwrap_or_default()
    }

    /// Asks the display to end once it has shown what was sent.
    pub fn finish(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(events) = self.events.take() {
            events.send(Event::End);
        }
        if let Some(thread) = self.thread.take() {
            // A display that panicked must not hide the result.
            let _ = thread.join();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

/// What is known of the request so far.
struct View {
    style: Style,
    bar: ProgressBar,
    live: bool,
    started: Instant,
    running: BTreeMap<u32, (Arc<str>, Instant)>,
    planned: usize,
    built: usize,
    failed: usize,
}

fn listen(events: &Receiver<Event>, style: Style) {
    let live = std::io::stderr().is_terminal() && !style.quiet;
    let bar = if live {
        ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10))
    } else {
        ProgressBar::hidden()
    };
    bar.set_style(ProgressStyle::with_template("{wide_msg}").expect("a valid template"));
    let mut view = View {
        style,
        bar,
        live,
        started: Instant::now(),
        running: BTreeMap::new(),
        planned: 0,
        built: 0,
        failed: 0,
    };
    loop {
        match events.recv_timeout(Duration::from_millis(100)) {
            Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => break,
            Ok(event) => view.take(event),
            Err(RecvTimeoutError::Timeout) => {}
        }
        view.draw();
    }
    view.bar.finish_and_clear();
    view.summary();
}

impl View {
    fn take(&mut self, event: Event) {
        match event {
            Event::Planned { total, done, certain, possible, unknown } => {
                self.planned = certain + possible;
                if self.planned > 0 {
                    let certain = format!("{certain} to build");
                    let possible = if possible > 0 {
                        format!(", {possible} more may follow")
                    } else {
                        String::new()
                    };
                    let unknown = if unknown > 0 { ", and what builders make" } else { "" };
                    self.say(&format!(
                        "floe: {total} derivations, {done} known; {certain}{possible}{unknown}"
                    ));
                }
            }
            Event::Discovered { derivations, .. } => self.planned += derivations,
            Event::Started { job, name } => {
                if !self.live {
                    self.say(&format!("building {name}"));
                }
                self.running.insert(job, (name, Instant::now()));
            }
            Event::Log { name, line, .. } => {
                if self.style.logs {
                    self.print(&format!("{name}> {}", terminal::marked_line(&line)));
                }
            }
            Event::Finished { job, name, wall_ms, .. } => {
                self.running.remove(&job);
                self.built += 1;
                self.say(&format!("built {name} in {}", seconds(Duration::from_millis(wall_ms))));
            }
            Event::Failed { job, name } => {
                self.running.remove(&job);
                self.failed += 1;
                self.say(&format!("failed {name}"));
            }
            Event::Note(text) => {
                let text = terminal::for_stderr(text.as_bytes());
                self.print(&String::from_utf8_lossy(&text));
            }
            Event::End => {}
        }
    }

    /// A line that quiet leaves out.
    fn say(&self, line: &str) {
        if !self.style.quiet {
            self.print(line);
        }
    }

    fn print(&self, line: &str) {
        if self.live {
            self.bar.println(line);
        } else {
            eprintln!("{line}");
        }
    }

    fn draw(&self) {
        if !self.live || self.running.is_empty() {
            return;
        }
        let running: Vec<String> = self
            .running
            .values()
            .map(|(name, since)| format!("{name} {}", seconds(since.elapsed())))
            .collect();
        self.bar.set_message(format!(
            "[{} built, {} of at most {} left] {}",
            self.built,
            self.planned.saturating_sub(self.built + self.failed),
            self.planned,
            running.join(", ")
        ));
        self.bar.tick();
    }

    fn summary(&self) {
        if self.built + self.failed > 0 {
            let failed =
                if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
            self.say(&format!(
                "floe: {} built{failed} in {}",
                self.built,
                seconds(self.started.elapsed())
            ));
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
