//! What stands on the screen while builders run: a tree from what was asked for down to what runs,
//! the last lines of the slowest builder, and a line of counts. Made anew from the scene each time,
//! for a size; it paints nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use floe_engine::event::Phase;

use super::line::{Line, Tone, truncated, width};
use super::paint::Size;
use super::scene::{Running, Scene};
use super::words;
use crate::terminal;

/// The most rows that the tree and the log may take.
const MOST_ROWS: usize = 20;

/// An evaluation that takes less is not told of.
const LONG_EVALUATION: Duration = Duration::from_secs(1);

/// Names are not cut shorter than this for the sake of what stands beside them.
const NAME_COLUMNS: usize = 8;

/// The characters that draw.
#[derive(Debug, Clone, Copy)]
pub struct Glyphs {
    branch: &'static str,
    last: &'static str,
    pass: &'static str,
    /// Around the number of tasks between two that are shown.
    gap: char,
    job: char,
    log: &'static str,
    about: char,
}

impl Glyphs {
    /// Of Unicode.
    pub const LINES: Glyphs =
        Glyphs {
            branch: "├─", last: "└─", pass: "│ ", gap: '┄', job: '▸', log: "┊ ", about: '~'
        };
    /// Where the locale knows none of them.
    pub const ASCII: Glyphs =
        Glyphs { branch: "|-", last: "`-", pass: "| ", gap: '.', job: '>', log: ": ", about: '~' };
}

/// What is drawn, for whom and when.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// What is known.
    pub scene: &'a Scene,
    /// The moment.
    pub now: Instant,
    /// The room.
    pub size: Size,
    /// With what.
    pub glyphs: Glyphs,
}

/// A line of the tree: a job, or something that waits for several.
struct Branch {
    job: u32,
    /// Whether its last sibling has come, for each level above it, and for its own.
    lasts: Vec<bool>,
    /// How many that wait stand between it and the line above.
    between: usize,
}

impl View<'_> {
    /// All lines, from the top; none while nothing runs.
    pub fn lines(&self) -> Vec<Line> {
        if self.scene.running.is_empty() {
            return self.evaluation().into_iter().collect();
        }
        // One row is the cursor's, one the counts'.
        let room = self.size.rows.saturating_sub(2).min(MOST_ROWS);
        let tail = self.tail(room / 3);
        let mut lines = self.tree(room - tail.len());
        lines.extend(tail);
        lines.push(self.counts());
        lines
    }

    /// That an expression is being evaluated, once that takes its time.
    fn evaluation(&self) -> Option<Line> {
        let time = self.now.saturating_duration_since(self.scene.started);
        let text = format!("evaluating {}", words::rough(time));
        let is_long = self.scene.is_evaluating && time >= LONG_EVALUATION;
        is_long.then(|| Line::default().with(Tone::Dim, text))
    }

    /// The tree, in so many rows at most.
    fn tree(&self, rows: usize) -> Vec<Line> {
        let mut jobs: Vec<u32> = self.scene.running.keys().copied().collect();
        jobs.sort_by_key(|job| self.scene.running[job].since);
        let all = jobs.len();
        jobs.truncate(rows);
        loop {
            let branches = self.branches(&jobs);
            let hidden = all - jobs.len();
            let more = usize::from(hidden > 0);
            if branches.len() + more <= rows || jobs.len() <= 1 {
                let mut lines: Vec<Line> = branches.iter().map(|one| self.branch(one)).collect();
                // Of a single job, what it is for can be left out.
                lines.drain(..lines.len().saturating_sub(rows.saturating_sub(more).max(1)));
                if hidden > 0 && lines.len() < rows {
                    lines.push(Line::default().with(Tone::Dim, format!("{hidden} more run")));
                }
                lines.truncate(rows);
                return lines;
            }
            jobs.pop();
        }
    }

    /// The jobs in their places below what they are for. What waits is shown where it was asked
    /// for and where ways meet, and counted in between.
    fn branches(&self, jobs: &[u32]) -> Vec<Branch> {
        // Each stays in its place, whatever comes and goes around it.
        let runs: BTreeSet<u32> = jobs.iter().copied().collect();
        let mut below: BTreeMap<Option<u32>, Vec<u32>> = BTreeMap::new();
        let mut placed = BTreeSet::new();
        for &job in &runs {
            let mut child = job;
            let mut way = self.scene.way_up(job);
            while placed.insert(child) {
                let parent = way.next();
                below.entry(parent).or_default().push(child);
                match parent {
                    Some(parent) => child = parent,
                    None => break,
                }
            }
        }
        let children = |job: u32| below.get(&Some(job)).map_or(&[][..], Vec::as_slice);
        let tops = below.get(&None).map_or(&[][..], Vec::as_slice);
        let mut branches = Vec::new();
        let mut stack: Vec<(u32, Vec<bool>, usize)> =
            tops.iter().rev().map(|&top| (top, Vec::new(), 0)).collect();
        while let Some((mut job, lasts, mut between)) = stack.pop() {
            while !lasts.is_empty() && !runs.contains(&job) && children(job).len() == 1 {
                job = children(job)[0];
                between += 1;
            }
            let own = children(job);
            for (nth, &child) in own.iter().enumerate().rev() {
                let lasts = [lasts.as_slice(), &[nth + 1 == own.len()]].concat();
                stack.push((child, lasts, 0));
            }
            branches.push(Branch { job, lasts, between });
        }
        branches
    }

    fn branch(&self, branch: &Branch) -> Line {
        let Glyphs { branch: fork, last, pass, gap, job: mark, .. } = self.glyphs;
        let mut lead = String::new();
        if let Some((own, above)) = branch.lasts.split_last() {
            above.iter().for_each(|last| lead += if *last { "  " } else { pass });
            lead += if *own { last } else { fork };
            if branch.between > 0 {
                lead += &format!("{gap}{}{gap}", branch.between);
            }
        }
        match self.scene.running.get(&branch.job) {
            Some(running) => self.job(format!("{lead}{mark} "), running),
            None => {
                let lead = if lead.is_empty() { lead } else { lead + " " };
                Line::default().with(Tone::Dim, lead + self.scene.name(branch.job))
            }
        }
    }

    /// A job with as much of its phase and its times as there is room for.
    fn job(&self, lead: String, running: &Running) -> Line {
        let time = self.now.saturating_duration_since(running.since);
        let elapsed = words::rough(time);
        let phase = match running.phase {
            Phase::Running => String::new(),
            ref phase => format!(" {}", terminal::bare(phase.word().as_bytes())),
        };
        let about = self.glyphs.about;
        let expected = running.expected.map(|time| format!(" of {about}{}", words::rough(time)));
        let expected = expected.unwrap_or_default();
        let late = running.expected.is_some_and(|expected| time > expected);
        let tone = if late { Tone::Yellow } else { Tone::Dim };
        let room = self.size.width().saturating_sub(width(&lead));
        let name = &*running.name;
        let tails = [
            format!("{phase} {elapsed}{expected}"),
            format!("{phase} {elapsed}"),
            format!(" {elapsed}"),
        ];
        let fits = |tail: &&String| width(name) + width(tail) <= room;
        let (name, tail) = match tails.iter().find(fits) {
            Some(tail) => (name.to_owned(), tail.clone()),
            None => {
                let [.., short] = &tails;
                let left = room.saturating_sub(width(short));
                match left < NAME_COLUMNS {
                    true => (name.to_owned(), String::new()),
                    false => (truncated(name, left), short.clone()),
                }
            }
        };
        Line::default().with(Tone::Plain, lead).with(Tone::Bold, name).with(tone, tail)
    }

    /// The last lines of the builder that runs the longest.
    fn tail(&self, rows: usize) -> Vec<Line> {
        let Some(slowest) = self.scene.slowest() else { return Vec::new() };
        let skipped = slowest.tail.len().saturating_sub(rows);
        let lines = slowest.tail.iter().skip(skipped);
        lines
            .map(|line| {
                let text = format!("{}{}", self.glyphs.log, terminal::bare(line));
                Line::default().with(Tone::Dim, text)
            })
            .collect()
    }

    /// How much is done and how much is left; what matters least goes first where there is no room.
    fn counts(&self) -> Line {
        let counts = self.scene.counts;
        let (to_go, is_certain) = self.scene.to_go();
        let upper = if is_certain { "" } else { "up to " };
        let left = self.scene.left(self.now).map_or_else(String::new, |left| {
            format!("{}{} left", self.glyphs.about, words::rough(left))
        });
        let told = |count: usize, what: &str| match count {
            0 => String::new(),
            count => format!("{count} {what}"),
        };
        // In the order of reading, with a rank: the greatest goes first.
        let mut parts = vec![
            (2, Tone::Plain, told(counts.built, "built")),
            (1, Tone::Red, told(counts.failed, "failed")),
            (4, Tone::Plain, told(counts.cut_off, "cut off")),
            (5, Tone::Dim, told(counts.reused, "reused")),
            (0, Tone::Bold, format!("{upper}{to_go} to go")),
            (3, Tone::Plain, left),
        ];
        parts.retain(|(.., text)| !text.is_empty());
        loop {
            let mut line = Line::default();
            for (nth, (_, tone, text)) in parts.iter().enumerate() {
                let comma = if nth == 0 { "" } else { ", " };
                line = line.with(Tone::Plain, comma).with(*tone, text.as_str());
            }
            if line.width() <= self.size.width() || parts.len() == 1 {
                return line;
            }
            let least = parts.iter().map(|(rank, ..)| *rank).max();
            parts.retain(|(rank, ..)| Some(*rank) != least);
        }
    }
}
