//! The classic rebuilders on real derivations, for comparison: what is remembered of a task decides
//! whether its result may stand, and results are addressed by their content. Each is a row of a
//! table; how they judge is in `judge`.

use super::Rebuilder;
use super::judge::{Judge, RestsOn};

/// A rebuilder that judges by memory.
#[derive(Debug)]
pub struct Classic {
    name: &'static str,
    judge: Judge,
}

const fn classic(name: &'static str, rests_on: RestsOn, all_runs: bool) -> Classic {
    Classic { name, judge: Judge { rests_on, all_runs, times: false } }
}

/// Dirty bits (JFP 2020, section 5.1; make, Excel): whatever is above an edit, or above a source
/// with another time, runs again.
pub const DIRTY_BIT: Classic = Classic {
    name: "dirty-bit",
    judge: Judge { rests_on: RestsOn::Unrun, all_runs: false, times: true },
};

/// Verifying traces (section 5.2; Bazel without a cache): the last run's result stands if its inputs
/// are what they were.
pub const VERIFYING: Classic = classic("verifying", RestsOn::Level(1), false);

/// Verifying step traces (section 5.2.2; Shake): the same by numbers of builds instead of hashes.
pub const STEP: Classic = classic("step", RestsOn::Unchanged, false);

/// Constructive traces (section 5.3; CloudBuild): any remembered run whose inputs are what they were
/// tells the result.
pub const CONSTRUCTIVE: Classic = classic("constructive", RestsOn::Level(1), true);

/// Deep constructive traces (section 5.4; Buck): the instructions at the very bottom tell the
/// result, and nothing in between is looked at. As `input-addressed`, with other names.
pub const DEEP_CONSTRUCTIVE: Classic = classic("deep-constructive", RestsOn::Bottom, true);

/// Traces of depth n (end of section 5.4): inputs n levels down tell the result. Those deeper than
/// one level, like the deep ones, take builders to be deterministic.
pub const DEPTH: [Classic; 9] = [
    classic("depth-1", RestsOn::Level(1), true),
    classic("depth-2", RestsOn::Level(2), true),
    classic("depth-3", RestsOn::Level(3), true),
    classic("depth-4", RestsOn::Level(4), true),
    classic("depth-5", RestsOn::Level(5), true),
    classic("depth-6", RestsOn::Level(6), true),
    classic("depth-7", RestsOn::Level(7), true),
    classic("depth-8", RestsOn::Level(8), true),
    classic("depth-9", RestsOn::Level(9), true),
];

impl Rebuilder for Classic {
    fn name(&self) -> &'static str {
        self.name
    }

    fn judge(&self) -> Option<Judge> {
        Some(self.judge)
    }
}
