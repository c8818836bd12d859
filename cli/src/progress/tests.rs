//! Whole screens, from events: what stands on them at several widths and heights.

use std::sync::Arc;
use std::time::{Duration, Instant};

use floe_engine::event::{Event, Phase, Task};

use super::layout::{Glyphs, View};
use super::paint::Size;
use super::scene::Scene;
use super::{Channel, Form, Style, WAITING};

/// A scene and its clock.
struct Play {
    scene: Scene,
    now: Instant,
}

/// An application whose libraries are being built, after a minute.
///
/// ```text
/// app -> toolkit -> png -> zlib
///     -> toolkit -> jpeg
///     -> docs
/// ```
fn play() -> Play {
    let now = Instant::now();
    let mut play = Play { scene: Scene::new(now), now };
    play.happens(Event::Planned {
        total: 42,
        done: 33,
        certain: 3,
        possible: 6,
        unknown: 0,
        at_once: 4,
    });
    let task = |job: u32, name: &str, needed_by: Option<u32>, certain, expected_s: Option<u64>| {
        let (name, expected_ms) = (Arc::from(name), expected_s.map(|s| s * 1000));
        Task { job, name, needed_by, certain, expected_ms, needs: Vec::new() }
    };
    play.happens(Event::Tasks(vec![
        task(1, "zlib-1.3.1", Some(3), true, Some(40)),
        task(2, "libjpeg-turbo-3.0.4", Some(5), true, Some(75)),
        task(3, "libpng-1.6.39", Some(4), false, Some(20)),
        task(4, "libpng-wrapper", Some(5), false, None),
        task(5, "toolkit-4.16", Some(9), false, Some(300)),
        task(6, "a-manual-in-many-languages-2024-11-27", Some(9), true, None),
        task(7, "fonts", Some(9), false, Some(1)),
        task(9, "app-1.0", None, false, Some(12)),
    ]));
    play.starts(2, "libjpeg-turbo-3.0.4");
    play.passes(20);
    play.starts(1, "zlib-1.3.1");
    play.starts(6, "a-manual-in-many-languages-2024-11-27");
    play.is_at(2, Phase::Running);
    play.is_at(2, Phase::named("buildPhase").expect("a name"));
    play.is_at(6, Phase::Running);
    play.says(2, b"[ 41%] Building C object CMakeFiles/jpeg.dir/jdcolext-sse2.c.o");
    play.says(
        2,
        "\x1b[31m\u{8b66}\u{544a}\x1b[0m: \u{5909}\u{6570} 'x' \x1b[2J\x07 is not used\r"
            .as_bytes(),
    );
    play.happens(Event::CutOff { jobs: vec![7], count: 1, by: 6 });
    play.passes(60);
    play
}

impl Play {
    fn happens(&mut self, event: Event) {
        self.scene.take(&event, self.now);
    }

    fn starts(&mut self, job: u32, name: &str) {
        self.happens(Event::Started { job, name: name.into(), worker: 0 });
    }

    fn is_at(&mut self, job: u32, phase: Phase) {
        self.happens(Event::Phase { job, phase });
    }

    fn says(&mut self, job: u32, line: &[u8]) {
        self.happens(Event::Log { job, name: "it".into(), line: line.to_vec() });
    }

    fn passes(&mut self, s: u64) {
        self.now += Duration::from_secs(s);
    }

    /// The screen, each line with a bar where the terminal ends.
    #[track_caller]
    fn screen(&self, columns: usize, rows: usize, glyphs: Glyphs) -> String {
        let size = Size { columns, rows };
        let view = View { scene: &self.scene, now: self.now, size, glyphs };
        let lines = view.lines();
        assert!(lines.len() < rows.max(2), "{} lines in {rows} rows", lines.len());
        let mut text = String::new();
        for line in lines {
            let line = line.cut(size.width());
            assert!(line.width() < columns, "{line:?}");
            let gap = " ".repeat(columns - line.width());
            text += &format!("{}{gap}|\n", line.paint(false));
        }
        text
    }
}

#[test]
fn the_tree_at_several_widths() {
    let play = play();
    for columns in [80, 40, 20] {
        let screen = play.screen(columns, 24, Glyphs::LINES);
        insta::assert_snapshot!(format!("tree-{columns}"), screen);
    }
    insta::assert_snapshot!("tree-ascii", play.screen(80, 24, Glyphs::ASCII));
}

#[test]
fn few_rows_keep_what_matters() {
    let play = play();
    for rows in [7, 4, 3] {
        insta::assert_snapshot!(format!("rows-{rows}"), play.screen(60, rows, Glyphs::LINES));
    }
}

#[test]
fn every_size_is_kept_to() {
    let mut play = play();
    play.happens(Event::Failed { job: 2, name: "libjpeg-turbo-3.0.4".into() });
    for columns in 2..100 {
        for rows in 2..30 {
            play.screen(columns, rows, Glyphs::LINES);
        }
    }
}

#[test]
fn nothing_is_drawn_while_nothing_runs() {
    let play = Play { scene: Scene::new(Instant::now()), now: Instant::now() };
    assert_eq!(play.screen(80, 24, Glyphs::LINES), "");
}

#[test]
fn an_evaluation_is_told_of_when_it_takes_its_time() {
    let now = Instant::now();
    let mut play = Play { scene: Scene::new(now), now };
    play.scene.is_evaluating = true;
    assert_eq!(play.screen(20, 5, Glyphs::LINES), "");
    play.passes(75);
    assert_eq!(play.screen(20, 5, Glyphs::LINES), "evaluating 1 min 1… |\n");
    play.happens(Event::Planned {
        total: 1,
        done: 1,
        certain: 0,
        possible: 0,
        unknown: 0,
        at_once: 1,
    });
    assert_eq!(play.screen(20, 5, Glyphs::LINES), "");
}

#[test]
fn a_display_that_does_not_come_along_stops_nobody() {
    let channel = Channel::new(Style { form: Form::Tree, logs: false, evaluates: false });
    let events = channel.events();
    for job in 0..10_000 {
        events.send(Event::Log { job, name: "noisy".into(), line: b"line".to_vec() });
        events.send(Event::Failed { job, name: "noisy".into() });
    }
    let (mut lines, mut failures) = (0, 0);
    while let Ok(event) = channel.receiver.try_recv() {
        match event {
            Event::Log { .. } => lines += 1,
            Event::Failed { .. } => failures += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(failures, 10_000);
    assert!((1..=WAITING).contains(&lines), "{lines} lines");
}

#[test]
fn many_jobs_are_counted_and_a_long_way_is_short() {
    let now = Instant::now();
    let mut play = Play { scene: Scene::new(now), now };
    play.happens(Event::Planned {
        total: 900,
        done: 0,
        certain: 40,
        possible: 860,
        unknown: 0,
        at_once: 40,
    });
    let chain = (0..900).map(|job| Task {
        job,
        name: format!("step-{job}").into(),
        needed_by: if job < 40 { Some(40) } else { Some(job + 1).filter(|&next| next < 900) },
        certain: job < 40,
        expected_ms: None,
        needs: Vec::new(),
    });
    play.happens(Event::Tasks(chain.collect()));
    (0..40).for_each(|job| play.starts(job, &format!("step-{job}")));
    play.passes(3);
    insta::assert_snapshot!("many", play.screen(60, 24, Glyphs::LINES));
}
