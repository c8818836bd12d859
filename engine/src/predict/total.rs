//! How long a request takes with so many builders at a time: the runs of some futures laid out in
//! time as the scheduler would start them, the longest way to a target first (Graham's list
//! scheduling). Says nothing of what runs.

use super::book::Book;
use super::cause::{Affected, Request};
use super::forecast::{Forecast, wall};
use super::pace::LogNormal;
use super::sample::Chooser;

/// Futures laid out at most, and at least however many nodes there are.
const MOST: usize = 200;
const LEAST: usize = 20;

/// About so many starts of builders are laid out in all.
const STARTS: usize = 100_000;

/// Times in milliseconds: one in twenty is below the first, one in twenty above the last.
pub type Interval = [u64; 3];

/// What a request is expected to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// From the first builder's start to the last one's end.
    pub wall_ms: Interval,
    /// Builders that run.
    pub builders: Interval,
}

/// A request's nodes as they can be laid out.
pub struct Layout<'f> {
    forecast: &'f Forecast,
    /// Slots, those first that the scheduler starts first; inputs before their users.
    order: Vec<usize>,
    /// The inputs of each slot.
    deps: Vec<Vec<usize>>,
    walls: Vec<LogNormal>,
    jobs: usize,
}

impl<'f> Layout<'f> {
    /// For so many builders at a time; none if nothing is known of how long anything takes.
    pub fn of(
        forecast: &'f Forecast,
        request: &Request<'_>,
        book: &Book<'_>,
        jobs: usize,
    ) -> Option<Layout<'f>> {
        let time = |node: &Affected| wall(node, book).map(|(wall, _)| wall);
        let walls: Option<Vec<LogNormal>> = forecast.affected.iter().map(time).collect();
        let deps = |node: &Affected| forecast.deps(request, node.ix).collect();
        let mut order: Vec<usize> = (0..forecast.affected.len()).collect();
        let height = |slot: &usize| request.shape.heights[forecast.affected[*slot].ix.index()];
        order.sort_by_key(|slot| std::cmp::Reverse(height(slot)));
        let deps = forecast.affected.iter().map(deps).collect();
        Some(Layout { forecast, order, deps, walls: walls?, jobs: jobs.max(1) })
    }

    /// Milliseconds until all have ended that `runs` says run, each taking what `wall` says.
    pub fn lay_out(
        &self,
        runs: impl Fn(usize) -> bool,
        mut wall: impl FnMut(LogNormal) -> f64,
    ) -> f64 {
        let mut ends = vec![0.0f64; self.order.len()];
        let mut free = vec![0.0f64; self.jobs.min(self.order.len())];
        let mut last = 0.0f64;
        for &slot in &self.order {
            let ready = self.deps[slot].iter().map(|dep| ends[*dep]).fold(0.0, f64::max);
            if !runs(slot) {
                ends[slot] = ready;
                continue;
            }
            let place = (0..free.len()).min_by(|a, b| free[*a].total_cmp(&free[*b]));
            let place = &mut free[place.expect("a builder at least")];
            ends[slot] = ready.max(*place) + wall(self.walls[slot]);
            *place = ends[slot];
            last = last.max(ends[slot]);
        }
        last
    }

    /// What is to be expected.
    pub fn total(&self, excess: LogNormal) -> Total {
        let count = (STARTS / self.order.len().max(1)).clamp(LEAST, MOST);
        let mut chooser = Chooser::new(7);
        let (mut walls, mut builders) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let futures = self.forecast.all.count() as usize;
        for nth in 0..count {
            let future = (nth * futures / count) as u32;
            let runs = |slot: usize| self.forecast.ran[slot].has(future);
            let wall = self.lay_out(runs, |wall| wall.at(deviate(&mut chooser)));
            walls.push((wall * excess.at(deviate(&mut chooser))).round() as u64);
            builders.push((0..self.order.len()).filter(|slot| runs(*slot)).count() as u64);
        }
        Total { wall_ms: interval(walls), builders: interval(builders) }
    }
}

/// About a standard normal deviate: the sum of eight uniform ones has that shape within three
/// deviations.
fn deviate(chooser: &mut Chooser) -> f64 {
    let bytes = chooser.word().to_le_bytes();
    let sum: f64 = bytes.iter().map(|byte| f64::from(*byte) + 0.5).sum();
    (sum / 256.0 - 4.0) / (8.0f64 / 12.0).sqrt()
}

fn interval(mut values: Vec<u64>) -> Interval {
    values.sort_unstable();
    let at = |part: f64| values[((values.len() - 1) as f64 * part).round() as usize];
    [at(0.05), at(0.5), at(0.95)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviates_are_about_normal() {
        let mut chooser = Chooser::new(3);
        let values: Vec<f64> = (0..100_000).map(|_| deviate(&mut chooser)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64;
        let within = values.iter().filter(|value| value.abs() < 1.645).count();
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
        assert!((0.89..0.91).contains(&(within as f64 / values.len() as f64)), "{within}");
    }

    #[test]
    fn an_interval_holds_nine_in_ten() {
        assert_eq!(interval((0..=100).collect()), [5, 50, 95]);
        assert_eq!(interval(vec![3]), [3, 3, 3]);
    }
}
