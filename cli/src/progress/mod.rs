//! Progress on standard error: a tree of what runs on a terminal, lines elsewhere, JSON for tools.
//! It only listens; it never steers. What is known of a request is in [`scene`], and each form of
//! showing it in a module of its own: [`tree`], [`plain`], [`json`].

mod json;
mod layout;
mod line;
mod paint;
mod plain;
mod scene;
#[cfg(test)]
mod tests;
mod tree;
mod words;

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use floe_engine::event::{Event, Events, Phase};

pub use json::{error as json_error, note as json_note};
pub use paint::Size;
pub use words::seconds;

use crate::args::Global;
use crate::terminal;
use scene::Scene;

/// How progress is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// A tree on a terminal, lines elsewhere
    #[default]
    Auto,
    /// A tree of what runs, drawn again and again
    Tree,
    /// A line for each event
    Plain,
    /// A JSON object for each event, and for each error
    Json,
    /// Notes only
    None,
}

/// What is shown, and how.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// The form.
    pub form: Form,
    /// Whether to show the builders' output.
    pub logs: bool,
    /// Whether an evaluation comes first that may take its time.
    pub evaluates: bool,
}

impl Form {
    /// What the flags of every command ask for.
    pub fn of(global: &Global) -> Form {
        match global.progress {
            // A tool that asked for events wants them all.
            Form::Json => Form::Json,
            _ if global.quiet => Form::None,
            form => form,
        }
    }

    /// What stands for it where it hangs on the terminal.
    fn on_this_terminal(self) -> Form {
        match self {
            Form::Auto if terminal::can_be_drawn_on() => Form::Tree,
            Form::Auto => Form::Plain,
            form => form,
        }
    }
}

impl Style {
    /// What the flags of every command ask for.
    pub fn of(global: &Global, logs: bool) -> Style {
        Style { form: Form::of(global), logs, evaluates: false }
    }

    /// Whether an event makes a difference: what makes none need not wake anybody.
    fn shows(self, event: &Event) -> bool {
        match (self.form, event) {
            (Form::Tree, _) => true,
            (_, Event::Log { .. }) => self.logs,
            (Form::None, _) => matches!(event, Event::Note(_) | Event::End),
            (Form::Plain, Event::Phase { phase, .. }) => matches!(phase, Phase::Named(_)),
            _ => true,
        }
    }

    /// The same before an evaluation.
    pub fn evaluating(self) -> Style {
        Style { evaluates: true, ..self }
    }

    fn display(self) -> Box<dyn Display> {
        match self.form {
            Form::Json => Box::new(json::Json::new(self.logs)),
            Form::Tree => Box::new(tree::Tree::new(self.logs)),
            Form::Auto | Form::Plain => Box::new(plain::Plain::new(self.logs)),
            Form::None => Box::new(plain::Notes { logs: self.logs }),
        }
    }
}

/// One form of showing what happens.
trait Display {
    /// Something happened; the scene holds what follows from it.
    fn take(&mut self, event: &Event, scene: &Scene);
    /// Time has passed, or something happened.
    fn draw(&mut self, _scene: &Scene) {}
    /// Nothing more comes.
    fn end(&mut self, scene: &Scene);
}

/// How many events may wait to be shown. Where a builder's output is shown, one that writes faster
/// waits, too: its lines must not fill the memory. Elsewhere nobody waits for a terminal: lines and
/// phases are left out, and of other events there are no more than a few for each derivation.
const WAITING: usize = 1024;

/// How often time that passes is shown.
const TICK: Duration = Duration::from_millis(100);

/// What an engine's events come through.
pub struct Channel {
    sender: Sender<Event>,
    receiver: Receiver<Event>,
    style: Style,
}

impl Channel {
    /// A channel that nobody listens to yet.
    pub fn new(style: Style) -> Channel {
        let (sender, receiver) = if style.logs { bounded(WAITING) } else { unbounded() };
        Channel { sender, receiver, style: Style { form: style.form.on_this_terminal(), ..style } }
    }

    /// Where the engine sends its events.
    pub fn events(&self) -> Events {
        let (sender, style) = (self.sender.clone(), self.style);
        Events::to(move |event| {
            let matters_little = matches!(event, Event::Log { .. } | Event::Phase { .. });
            // Whoever waits for lines is not to miss one.
            let has_room = style.logs || sender.len() < WAITING;
            if style.shows(&event) && (has_room || !matters_little) {
                // A display that is over shows nothing more.
                let _ = sender.send(event);
            }
        })
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
        Progress::listen(&Channel::new(style))
    }

    /// Shows what comes through a channel that outlives the display.
    pub fn listen(channel: &Channel) -> Progress {
        let style = channel.style;
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

fn listen(events: &Receiver<Event>, style: Style) {
    let mut scene = Scene::new(Instant::now());
    scene.is_evaluating = style.evaluates;
    let mut display = style.display();
    loop {
        match events.recv_timeout(TICK) {
            Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => break,
            Ok(event) => {
                scene.take(&event, Instant::now());
                display.take(&event, &scene);
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        display.draw(&scene);
    }
    display.end(&scene);
}
