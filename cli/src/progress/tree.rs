//! Progress on a terminal: the layout painted again as things happen and time passes, and what
//! lasts written above it.

use std::io::Stderr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use floe_engine::event::Event;

use super::layout::{Glyphs, View};
use super::paint::Painter;
use super::scene::Scene;
use super::{Display, TICK, plain};
use crate::terminal;

/// Lasting lines that wait for the next painting at most.
const MOST_ABOVE: usize = 200;

/// The tree.
pub struct Tree {
    logs: bool,
    painter: Painter<Stderr>,
    glyphs: Glyphs,
    above: Vec<String>,
    painted: Instant,
    /// The process was stopped, and goes on: what stands on the screen now is somebody else's.
    resumed: Arc<AtomicBool>,
}

impl Tree {
    /// With the builders' output above it, or without.
    pub fn new(logs: bool) -> Tree {
        let resumed = Arc::new(AtomicBool::new(false));
        // Without it, a line too many is painted over after Ctrl-Z.
        let _ = signal_hook::flag::register(signal_hook::consts::SIGCONT, Arc::clone(&resumed));
        Tree {
            logs,
            painter: Painter::new(std::io::stderr(), terminal::has_colours()),
            glyphs: if terminal::is_unicode() { Glyphs::LINES } else { Glyphs::ASCII },
            above: Vec::new(),
            painted: Instant::now(),
            resumed,
        }
    }

    fn paint(&mut self, scene: &Scene, now: Instant) {
        let size = terminal::size();
        let view = View { scene, now, size, glyphs: self.glyphs };
        if self.resumed.swap(false, Ordering::Relaxed) {
            self.painter.leave();
        }
        // A terminal that is gone shows nothing; the request goes on.
        let _ = self.painter.paint(&self.above, view.lines(), size);
        self.above.clear();
        self.painted = now;
    }
}

impl Display for Tree {
    fn take(&mut self, event: &Event, scene: &Scene) {
        self.above.extend(plain::lasting(event, scene, self.logs));
        if self.above.len() >= MOST_ABOVE {
            self.paint(scene, Instant::now());
        }
    }

    fn draw(&mut self, scene: &Scene) {
        let now = Instant::now();
        let goes_on = scene.is_evaluating || !scene.running.is_empty();
        let has_news = goes_on || !self.above.is_empty() || self.painter.is_drawn();
        if has_news && now.duration_since(self.painted) >= TICK {
            self.paint(scene, now);
        }
    }

    fn end(&mut self, scene: &Scene) {
        self.above.extend(plain::summary(scene));
        if !self.above.is_empty() || self.painter.is_drawn() {
            let _ = self.painter.paint(&self.above, Vec::new(), terminal::size());
            self.above.clear();
        }
    }
}
