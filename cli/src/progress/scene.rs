//! What is known of a request from the events so far: what runs, what waits for it, how much is
//! left and for how long. It knows no form of showing that, and no clock but what it is told.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe_engine::event::{Event, Phase, Task};

/// Lines kept of each running builder's output.
pub const TAIL: usize = 4;

/// Longer ways from a task to what was asked for are not followed to their end.
const LONGEST_WAY: usize = 10_000;

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Waiting,
    Running,
    CutOff,
    Ended,
}

/// A derivation of the plan.
struct Planned {
    name: Arc<str>,
    needed_by: Option<u32>,
    certain: bool,
    expected_ms: Option<u64>,
    standing: Standing,
}

/// A job that runs.
pub struct Running {
    /// The derivation's name.
    pub name: Arc<str>,
    /// When it started.
    pub since: Instant,
    /// What it is at.
    pub phase: Phase,
    /// How long its builder took the last time.
    pub expected: Option<Duration>,
    /// The last lines of its output.
    pub tail: VecDeque<Vec<u8>>,
}

/// How much happened so far, in all requests that were heard of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Builders that ended well.
    pub built: usize,
    /// Those that did not.
    pub failed: usize,
    /// Derivations that need not be built after all.
    pub cut_off: usize,
    /// Those that were known when the request began.
    pub reused: usize,
}

/// What is known.
pub struct Scene {
    /// When this began.
    pub started: Instant,
    /// What happened.
    pub counts: Counts,
    /// What runs, by job.
    pub running: BTreeMap<u32, Running>,
    /// Whether nothing is known because an expression is being evaluated.
    pub is_evaluating: bool,
    plan: HashMap<u32, Planned>,
    at_once: usize,
    /// Tasks that wait, and how many of them will certainly run.
    waiting: usize,
    certain: usize,
    /// Of those that wait: how long they took the last time together, and how many have no past.
    expected_ms: u64,
    strangers: usize,
    /// Of all tasks with a past, to guess at the others.
    known: (u64, usize),
}

impl Scene {
    /// Nothing happened yet.
    pub fn new(started: Instant) -> Scene {
        Scene {
            started,
            counts: Counts::default(),
            running: BTreeMap::new(),
            is_evaluating: false,
            plan: HashMap::new(),
            at_once: 1,
            waiting: 0,
            certain: 0,
            expected_ms: 0,
            strangers: 0,
            known: (0, 0),
        }
    }

    /// Something happened at this moment.
    pub fn take(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Planned { done, at_once, .. } => {
                *self = Scene { counts: self.counts, ..Scene::new(self.started) };
                self.counts.reused = *done;
                self.at_once = (*at_once).max(1);
            }
            Event::Tasks(tasks) => tasks.iter().for_each(|task| self.plan(task)),
            Event::Started { job, name, .. } => {
                self.stand(*job, Standing::Running);
                let expected = self.plan.get(job).and_then(|task| task.expected_ms);
                let (name, phase) = (Arc::clone(name), Phase::SettingUp);
                let expected = expected.map(Duration::from_millis);
                let running =
                    Running { name, since: now, phase, expected, tail: VecDeque::default() };
                self.running.insert(*job, running);
            }
            Event::Phase { job, phase } => {
                if let Some(running) = self.running.get_mut(job) {
                    running.phase = phase.clone();
                }
            }
            Event::Log { job, line, .. } => {
                if let Some(running) = self.running.get_mut(job) {
                    if running.tail.len() == TAIL {
                        running.tail.pop_front();
                    }
                    running.tail.push_back(line.clone());
                }
            }
            Event::Finished { job, wall_ms, .. } => {
                self.running.remove(job);
                self.stand(*job, Standing::Ended);
                self.counts.built += 1;
                self.known.0 += wall_ms;
                self.known.1 += 1;
            }
            Event::Failed { job, .. } => {
                self.running.remove(job);
                self.stand(*job, Standing::Ended);
                self.counts.failed += 1;
            }
            Event::Stopped { job, .. } => {
                self.running.remove(job);
                self.stand(*job, Standing::Ended);
            }
            Event::CutOff { jobs, count, .. } => {
                jobs.iter().for_each(|job| self.stand(*job, Standing::CutOff));
                self.counts.cut_off += count;
            }
            Event::Discovered { .. }
            | Event::Ready { .. }
            | Event::Stage { .. }
            | Event::Note(_)
            | Event::End => {}
        }
    }

    fn plan(&mut self, task: &Task) {
        let &Task { job, needed_by, certain, expected_ms, .. } = task;
        let name = Arc::clone(&task.name);
        if let Some(expected_ms) = expected_ms {
            self.known.0 += expected_ms;
            self.known.1 += 1;
        }
        let standing = Standing::Waiting;
        self.plan.insert(job, Planned { name, needed_by, certain, expected_ms, standing });
        self.count_waiting(job, true);
    }

    fn count_waiting(&mut self, job: u32, comes: bool) {
        let Some(task) = self.plan.get(&job) else { return };
        let count = |count: &mut usize| match comes {
            true => *count += 1,
            false => *count -= 1,
        };
        count(&mut self.waiting);
        if task.certain {
            count(&mut self.certain);
        }
        match task.expected_ms {
            Some(ms) if comes => self.expected_ms = self.expected_ms.saturating_add(ms),
            Some(ms) => self.expected_ms = self.expected_ms.saturating_sub(ms),
            None => count(&mut self.strangers),
        }
    }

    fn stand(&mut self, job: u32, standing: Standing) {
        let Some(task) = self.plan.get_mut(&job) else { return };
        let was = std::mem::replace(&mut task.standing, standing);
        match (was, standing) {
            (Standing::Waiting, _) => self.count_waiting(job, false),
            // Its objects were gone, and somebody wants them.
            (Standing::CutOff, Standing::Running) => self.counts.cut_off -= 1,
            _ => {}
        }
    }

    /// How many derivations are not done, and whether all of them will certainly be built.
    pub fn to_go(&self) -> (usize, bool) {
        (self.waiting + self.running.len(), self.waiting == self.certain)
    }

    /// The name of a derivation that was planned.
    pub fn name(&self, job: u32) -> &str {
        match (self.plan.get(&job), self.running.get(&job)) {
            (Some(task), _) => &task.name,
            (_, Some(running)) => &running.name,
            _ => "?",
        }
    }

    /// Whether it has a name.
    pub fn knows(&self, job: u32) -> bool {
        self.plan.contains_key(&job) || self.running.contains_key(&job)
    }

    /// What waits for a task, nearest first, up to what was asked for.
    pub fn way_up(&self, job: u32) -> impl Iterator<Item = u32> {
        let needed_by = |job: &u32| self.plan.get(job)?.needed_by;
        let way = std::iter::successors(needed_by(&job), needed_by).take(LONGEST_WAY);
        way.filter(|job| self.plan.get(job).is_some_and(|task| task.standing == Standing::Waiting))
    }

    /// How long it will take from now, if enough is known of the past: at least as long as the
    /// longest way from what runs to what was asked for, and as long as so many builders at the
    /// same time need for all of it.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        let (sum, count) = self.known;
        let (to_go, _) = self.to_go();
        let strangers = self.strangers
            + self.running.values().filter(|running| running.expected.is_none()).count();
        if count == 0 || 2 * strangers > to_go {
            return None;
        }
        let guess_ms = sum / count as u64;
        let own_ms = |running: &Running| {
            let expected = running.expected.unwrap_or(Duration::from_millis(guess_ms));
            let left = expected.saturating_sub(now.saturating_duration_since(running.since));
            u64::try_from(left.as_millis()).unwrap_or(u64::MAX)
        };
        let mut all_ms = self.expected_ms.saturating_add(guess_ms * self.strangers as u64);
        let mut way_ms = 0;
        for (job, running) in &self.running {
            let own_ms = own_ms(running);
            all_ms = all_ms.saturating_add(own_ms);
            let above = self.way_up(*job).map(|job| self.plan[&job].expected_ms);
            let above_ms = above.map(|ms| ms.unwrap_or(guess_ms)).fold(0, u64::saturating_add);
            way_ms = way_ms.max(own_ms.saturating_add(above_ms));
        }
        Some(Duration::from_millis(way_ms.max(all_ms / self.at_once as u64)))
    }

    /// The job that runs the longest of those that said something.
    pub fn slowest(&self) -> Option<&Running> {
        let talking = self.running.values().filter(|running| !running.tail.is_empty());
        talking.min_by_key(|running| running.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(job: u32, needed_by: Option<u32>, certain: bool, expected_ms: Option<u64>) -> Task {
        let name = Arc::from(format!("t{job}"));
        Task { job, name, needed_by, certain, expected_ms, needs: Vec::new() }
    }

    fn started(job: u32) -> Event {
        Event::Started { job, name: Arc::from(format!("t{job}")), worker: 0 }
    }

    fn finished(job: u32) -> Event {
        let name = Arc::from(format!("t{job}"));
        Event::Finished { job, name, outputs: Vec::new(), wall_ms: 1000 }
    }

    #[test]
    fn counts_and_ways_follow_the_events() {
        let now = Instant::now();
        let mut scene = Scene::new(now);
        scene.take(
            &Event::Planned { total: 9, done: 5, certain: 2, possible: 2, unknown: 0, at_once: 2 },
            now,
        );
        scene.take(
            &Event::Tasks(vec![
                task(1, Some(3), true, Some(4000)),
                task(2, Some(4), true, Some(1000)),
                task(3, Some(4), false, Some(2000)),
                task(4, None, false, None),
            ]),
            now,
        );
        assert_eq!(scene.to_go(), (4, false));
        scene.take(&started(1), now);
        scene.take(&started(2), now);
        assert_eq!(scene.to_go(), (4, false));
        assert_eq!(scene.way_up(1).collect::<Vec<_>>(), [3, 4]);
        // The longest way: what is left of t1, then t3, then t4, guessed as the mean of the others.
        let later = now + Duration::from_secs(1);
        assert_eq!(scene.left(later), Some(Duration::from_millis(3000 + 2000 + 2333)));
        scene.take(&finished(1), later);
        scene.take(&Event::CutOff { jobs: vec![3], count: 1, by: 1 }, later);
        assert_eq!(scene.counts, Counts { built: 1, failed: 0, cut_off: 1, reused: 5 });
        assert_eq!(scene.to_go(), (2, false));
        // Somebody wants its objects, and they are gone.
        scene.take(&started(3), later);
        assert_eq!(scene.counts.cut_off, 0);
        scene.take(&finished(3), later);
        scene.take(&finished(2), later);
        scene.take(&started(4), later);
        scene.take(&Event::Failed { job: 4, name: "t4".into() }, later);
        assert_eq!(scene.to_go(), (0, true));
        assert_eq!(scene.counts, Counts { built: 3, failed: 1, cut_off: 0, reused: 5 });
    }

    #[test]
    fn nothing_is_said_of_the_future_without_a_past() {
        let now = Instant::now();
        let mut scene = Scene::new(now);
        scene.take(
            &Event::Planned { total: 3, done: 0, certain: 3, possible: 0, unknown: 0, at_once: 1 },
            now,
        );
        let tasks = [1, 2, 3].map(|job| task(job, None, true, None));
        scene.take(&Event::Tasks(tasks.to_vec()), now);
        assert_eq!(scene.left(now), None);
        scene.take(&started(1), now);
        scene.take(&finished(1), now);
        assert_eq!(scene.left(now), None, "most have no past");
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let now = Instant::now();
        let mut scene = Scene::new(now);
        scene.take(&started(7), now);
        for nth in 0..100u8 {
            scene.take(&Event::Log { job: 7, name: "t7".into(), line: vec![nth] }, now);
        }
        let tail = &scene.slowest().expect("it said something").tail;
        assert_eq!(tail.len(), TAIL);
        assert_eq!(tail.back(), Some(&vec![99]));
    }
}
