//! What a stretch of work took: time on the wall and on processors. It is measured here and told in
//! reports; nothing goes by it.

use std::ops::{Add, AddAssign};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// Time on the wall and on processors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// From beginning to end.
    pub wall: Duration,
    /// Of one thread, or of all of this process.
    pub cpu: Duration,
}

impl Spent {
    /// What is left of it when a part is told apart.
    pub fn without(self, part: Spent) -> Spent {
        Spent { wall: self.wall.saturating_sub(part.wall), cpu: self.cpu.saturating_sub(part.cpu) }
    }
}

impl Add for Spent {
    type Output = Spent;

    fn add(self, other: Spent) -> Spent {
        Spent { wall: self.wall + other.wall, cpu: self.cpu + other.cpu }
    }
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Spent) {
        *self = *self + other;
    }
}

/// Measures a stretch of work.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    clock: ClockId,
    began: Instant,
    cpu: Duration,
}

impl Meter {
    /// From now on, with the processor time of this thread.
    pub fn of_thread() -> Meter {
        Meter::start(ClockId::ThreadCPUTime)
    }

    /// From now on, with the processor time of all threads of this process.
    pub fn of_process() -> Meter {
        Meter::start(ClockId::ProcessCPUTime)
    }

    fn start(clock: ClockId) -> Meter {
        Meter { clock, began: Instant::now(), cpu: read(clock) }
    }

    /// What was spent so far. A thread's own meter must be read by that thread.
    pub fn read(&self) -> Spent {
        Spent { wall: self.began.elapsed(), cpu: read(self.clock).saturating_sub(self.cpu) }
    }
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    // Neither is ever negative.
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// What the stages of a request took that follow its evaluation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stages {
    /// Making the engine's graph of the evaluated derivations.
    pub import: Spent,
    /// Resolving, scheduling, deciding and registering, in the request's own thread.
    pub engine: Spent,
    /// Waiting for builders: nothing else was left to do.
    pub waiting: Duration,
    /// Making what was written outlive a power cut.
    pub syncing: Spent,
    /// Deciding about what nobody but a report asks for.
    pub reporting: Spent,
    /// Processor time of other threads before builders ended: inputs, directories, sandboxes.
    pub setting_up: Duration,
    /// Processor time of other threads after that: hashing, scanning and registering outputs.
    pub registering: Duration,
}

/// The same in a report, with the evaluation; in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Told {
    /// Wall time of evaluation.
    pub evaluation_ms: f64,
    /// Its processor time.
    pub evaluation_cpu_ms: f64,
    /// Wall time of the import.
    pub import_ms: f64,
    /// Its processor time.
    pub import_cpu_ms: f64,
    /// Wall time of resolving, scheduling, deciding and registering: neither evaluation, import,
    /// waiting for builders, sync nor reporting.
    pub engine_ms: f64,
    /// Its processor time.
    pub engine_cpu_ms: f64,
    /// Wall time in which builders ran and nothing else was left to do.
    pub waiting_ms: f64,
    /// Wall time in which what was written was made to outlive a power cut.
    pub sync_ms: f64,
    /// Wall time of deciding for the sake of the report.
    pub reporting_ms: f64,
    /// Processor time for inputs, directories and sandboxes of builders, those apart.
    pub setup_cpu_ms: f64,
    /// Processor time for hashing, scanning and registering outputs.
    pub registering_cpu_ms: f64,
}

impl Told {
    /// Of a request.
    pub fn of(evaluation: Spent, stages: &Stages) -> Told {
        Told {
            evaluation_ms: ms(evaluation.wall),
            evaluation_cpu_ms: ms(evaluation.cpu),
            import_ms: ms(stages.import.wall),
            import_cpu_ms: ms(stages.import.cpu),
            engine_ms: ms(stages.engine.wall),
            engine_cpu_ms: ms(stages.engine.cpu),
            waiting_ms: ms(stages.waiting),
            sync_ms: ms(stages.syncing.wall),
            reporting_ms: ms(stages.reporting.wall),
            setup_cpu_ms: ms(stages.setting_up),
            registering_cpu_ms: ms(stages.registering),
        }
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_sleeps_spends_no_processor_time() {
        let (thread, process) = (Meter::of_thread(), Meter::of_process());
        std::thread::sleep(Duration::from_millis(30));
        let slept = thread.read();
        assert!(slept.wall >= Duration::from_millis(30));
        assert!(slept.cpu < Duration::from_millis(25), "{slept:?}");
        let mut sum = 0u64;
        while thread.read().without(slept).cpu < Duration::from_millis(5) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(process.read().cpu >= Duration::from_millis(5));
    }
}
