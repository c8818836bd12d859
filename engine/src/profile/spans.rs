//! From events and their times to spans: stages of the request, jobs on their workers, what each
//! job was at and how long it waited for a worker. Times are nanoseconds since the recorder started.

use std::collections::HashMap;
use std::sync::Arc;

use super::chain;
use crate::event::{Event, Phase, Stage, Task};

/// A stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span<T> {
    /// What happened.
    pub what: T,
    /// When it began.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
}

impl<T> Span<T> {
    /// How long it took.
    pub fn wall_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }
}

/// One job, from the moment a worker had it until its outputs were registered.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its number in the request.
    pub id: u32,
    /// The derivation's name.
    pub name: Arc<str>,
    /// Which worker it was on.
    pub worker: u32,
    /// When nothing but a worker was missing.
    pub ready_ns: Option<u64>,
    /// Whether it failed.
    pub failed: bool,
    /// Whether it is on the longest chain.
    pub critical: bool,
    /// What it was at, one after another.
    pub phases: Vec<Span<Phase>>,
}

/// The jobs of one request: the one that was asked for, or one for what evaluation imports.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// In the order of their starts.
    pub jobs: Vec<Span<Job>>,
    /// How long workers ran.
    pub building_ns: u64,
    /// The longest chain of jobs that waited for one another, as indices of `jobs`.
    pub chain: Vec<usize>,
    tasks: Vec<Task>,
    ready: HashMap<u32, u64>,
    /// Jobs that are not over, as indices of `jobs`.
    open: HashMap<u32, usize>,
}

impl Request {
    /// How long the jobs on the longest chain took together.
    pub fn chain_ns(&self) -> u64 {
        self.chain.iter().map(|&at| self.jobs[at].wall_ns()).sum()
    }

    fn close(&mut self, id: u32, end_ns: u64, failed: bool) {
        if let Some(at) = self.open.remove(&id) {
            let job = &mut self.jobs[at];
            job.end_ns = end_ns;
            job.what.failed = failed;
            if let Some(phase) = job.what.phases.last_mut() {
                phase.end_ns = end_ns;
            }
        }
    }

    /// Finds the longest chain, through tasks that did not run as well.
    fn find_chain(&mut self) {
        self.tasks.sort_by_key(|task| task.job);
        let places: HashMap<u32, usize> =
            self.tasks.iter().enumerate().map(|(place, task)| (task.job, place)).collect();
        let ran: HashMap<u32, usize> =
            self.jobs.iter().enumerate().map(|(at, job)| (job.what.id, at)).collect();
        let weight = |task: &Task| ran.get(&task.job).map_or(0, |&at| self.jobs[at].wall_ns());
        let weights: Vec<u64> = self.tasks.iter().map(weight).collect();
        let place = |need: &u32| places.get(need).copied();
        let needs: Vec<Vec<usize>> =
            self.tasks.iter().map(|task| task.needs.iter().filter_map(place).collect()).collect();
        let chain = chain::longest(&weights, &needs);
        self.chain =
            chain.iter().filter_map(|&place| ran.get(&self.tasks[place].job).copied()).collect();
        for &at in &self.chain {
            self.jobs[at].what.critical = true;
        }
    }
}

/// What was recorded.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    /// From the recorder's start to its end.
    pub wall_ns: u64,
    /// Stages; those of requests that evaluation makes lie within its own.
    pub stages: Vec<Span<Stage>>,
    /// The requests, in their order.
    pub requests: Vec<Request>,
    /// At each change: how many jobs ran, and how many waited for a worker.
    pub counts: Vec<(u64, usize, usize)>,
}

/// What a profile comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// All the time.
    pub wall_ns: u64,
    /// The time of the jobs on longest chains.
    pub critical_ns: u64,
    /// The names of the jobs on the longest of them.
    pub chain: Vec<Arc<str>>,
    /// Evaluation, without the builds that it waited for.
    pub evaluation_ns: u64,
    /// What all of it would have taken if a worker had been free whenever a job was ready.
    pub unhindered_ns: u64,
    /// How many jobs ran.
    pub jobs: usize,
}

impl Profile {
    /// Makes spans of events, which are in the order of their times. What has no end ends with the
    /// profile.
    pub(super) fn of(noted: Vec<(u64, Event)>, end_ns: u64) -> Profile {
        let mut profile = Profile { wall_ns: end_ns, ..Profile::default() };
        let mut open_stages: Vec<usize> = Vec::new();
        for (at_ns, event) in noted {
            profile.take(at_ns, event, &mut open_stages);
        }
        open_stages.into_iter().for_each(|at| profile.stages[at].end_ns = end_ns);
        for request in &mut profile.requests {
            let open: Vec<u32> = request.open.keys().copied().collect();
            open.into_iter().for_each(|id| request.close(id, end_ns, true));
            request.find_chain();
        }
        profile
    }

    fn take(&mut self, at_ns: u64, event: Event, open_stages: &mut Vec<usize>) {
        match event {
            Event::Stage { stage, begins: true } => {
                open_stages.push(self.stages.len());
                self.stages.push(Span { what: stage, start_ns: at_ns, end_ns: at_ns });
            }
            Event::Stage { stage, begins: false } => {
                let Some(at) = open_stages.pop() else { return };
                self.stages[at].end_ns = at_ns;
                if stage == Stage::Building
                    && let Some(request) = self.requests.last_mut()
                {
                    request.building_ns += self.stages[at].wall_ns();
                }
            }
            Event::Planned { .. } => {
                // What is ready in a plan is told before it.
                let ready = self.requests.last_mut().map(|last| std::mem::take(&mut last.ready));
                let ready = ready.unwrap_or_default();
                self.requests.push(Request { ready, ..Request::default() });
                return;
            }
            _ => {}
        }
        if self.requests.is_empty() {
            self.requests.push(Request::default());
        }
        let Some(request) = self.requests.last_mut() else { return };
        match event {
            Event::Tasks(tasks) => request.tasks.extend(tasks),
            Event::Ready { job } => {
                request.ready.insert(job, at_ns);
                self.count(at_ns);
            }
            Event::Started { job: id, name, worker } => {
                let ready_ns = request.ready.remove(&id);
                let (failed, critical, phases) = (false, false, Vec::new());
                request.open.insert(id, request.jobs.len());
                let what = Job { id, name, worker, ready_ns, failed, critical, phases };
                request.jobs.push(Span { what, start_ns: at_ns, end_ns: at_ns });
                self.count(at_ns);
            }
            Event::Phase { job, phase } => {
                let Some(&at) = request.open.get(&job) else { return };
                let phases = &mut request.jobs[at].what.phases;
                if let Some(last) = phases.last_mut() {
                    last.end_ns = at_ns;
                }
                phases.push(Span { what: phase, start_ns: at_ns, end_ns: at_ns });
            }
            Event::Finished { job, .. } => {
                request.close(job, at_ns, false);
                self.count(at_ns);
            }
            Event::Failed { job, .. } | Event::Stopped { job, .. } => {
                request.close(job, at_ns, true);
                self.count(at_ns);
            }
            _ => {}
        }
    }

    fn count(&mut self, at_ns: u64) {
        if let Some(request) = self.requests.last() {
            self.counts.push((at_ns, request.open.len(), request.ready.len()));
        }
    }

    /// What it comes to.
    pub fn summary(&self) -> Summary {
        let hindered_ns: u64 = self
            .requests
            .iter()
            .map(|request| request.building_ns.saturating_sub(request.chain_ns()))
            .sum();
        let longest = self.requests.iter().max_by_key(|request| request.chain_ns());
        let name = |request: &Request, at: usize| Arc::clone(&request.jobs[at].what.name);
        Summary {
            wall_ns: self.wall_ns,
            critical_ns: self.requests.iter().map(Request::chain_ns).sum(),
            chain: longest.map_or_else(Vec::new, |request| {
                request.chain.iter().map(|&at| name(request, at)).collect()
            }),
            evaluation_ns: self.evaluation_ns(),
            unhindered_ns: self.wall_ns.saturating_sub(hindered_ns),
            jobs: self.requests.iter().map(|request| request.jobs.len()).sum(),
        }
    }

    fn evaluation_ns(&self) -> u64 {
        let (own, others): (Vec<_>, Vec<_>) =
            self.stages.iter().partition(|span| span.what == Stage::Evaluating);
        let within = |one: &Span<Stage>| {
            own.iter().any(|own| own.start_ns <= one.start_ns && one.end_ns <= own.end_ns)
        };
        let all: u64 = own.iter().map(|span| span.wall_ns()).sum();
        let waited: u64 = others.iter().filter(|one| within(one)).map(|one| one.wall_ns()).sum();
        all.saturating_sub(waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(job: u32, needs: &[u32]) -> Task {
        Task {
            job,
            name: format!("t{job}").into(),
            needed_by: None,
            certain: true,
            expected_ms: None,
            needs: needs.to_vec(),
        }
    }

    fn started(job: u32, worker: u32) -> Event {
        Event::Started { job, name: format!("t{job}").into(), worker }
    }

    fn finished(job: u32) -> Event {
        let name = format!("t{job}").into();
        Event::Finished { job, name, outputs: Vec::new(), wall_ms: 0 }
    }

    fn stage(stage: Stage, begins: bool) -> Event {
        Event::Stage { stage, begins }
    }

    fn planned() -> Event {
        Event::Planned { total: 3, done: 0, certain: 3, possible: 0, unknown: 0, at_once: 2 }
    }

    /// Two jobs of which the second waits for the first, and one beside them that has to wait for a
    /// worker.
    fn recorded() -> Profile {
        let noted = vec![
            (0, stage(Stage::Evaluating, true)),
            (10, stage(Stage::Importing, true)),
            (15, stage(Stage::Importing, false)),
            (30, stage(Stage::Evaluating, false)),
            (40, stage(Stage::Building, true)),
            (41, Event::Ready { job: 0 }),
            (42, Event::Ready { job: 2 }),
            (43, planned()),
            (44, Event::Tasks(vec![task(0, &[]), task(1, &[0]), task(2, &[])])),
            (50, started(0, 0)),
            (51, Event::Phase { job: 0, phase: Phase::SettingUp }),
            (55, Event::Phase { job: 0, phase: Phase::Running }),
            (70, finished(0)),
            (71, Event::Ready { job: 1 }),
            (72, started(1, 1)),
            (73, started(2, 0)),
            (100, finished(1)),
            (101, Event::Failed { job: 2, name: "t2".into() }),
            (110, stage(Stage::Building, false)),
        ];
        Profile::of(noted, 120)
    }

    #[test]
    fn the_longest_chain_is_found_and_summed() {
        let profile = recorded();
        let request = profile.requests.last().expect("a request");
        assert_eq!(request.chain, [0, 1]);
        assert_eq!(request.chain_ns(), 20 + 28);
        let summary = profile.summary();
        assert_eq!(summary.critical_ns, 48);
        assert_eq!(summary.chain, ["t0".into(), "t1".into()] as [Arc<str>; 2]);
        assert_eq!(summary.evaluation_ns, 25);
        assert_eq!(summary.unhindered_ns, 120 - (70 - 48));
        assert_eq!((summary.wall_ns, summary.jobs), (120, 3));
    }

    #[test]
    fn phases_fill_their_job_and_waits_are_known() {
        let profile = recorded();
        let jobs = &profile.requests.last().expect("a request").jobs;
        let times = |at: usize| {
            let phases = jobs[at].what.phases.iter();
            phases.map(|phase| (phase.start_ns, phase.end_ns)).collect::<Vec<_>>()
        };
        assert_eq!(times(0), [(51, 55), (55, 70)]);
        assert_eq!(jobs[2].what.ready_ns, Some(42));
        assert!(jobs[2].what.failed && !jobs[2].what.critical && jobs[1].what.critical);
        assert_eq!(profile.counts.last(), Some(&(101, 0, 0)));
    }
}
