//! The longest chain of things that had to wait for one another. Numbers only.

/// The longest chain, by the sum of the weights of what is on it, from the first to the last; of
/// several the one that ends first. `needs` names what each thing waits for, all of them smaller
/// than itself. What weighs nothing is on it only where it leads from one thing to the next.
///
/// This is the critical path method (Kelley and Walker, 1959) on a graph that is given in an order
/// in which inputs come first: one pass, linear in things and edges.
pub fn longest(weights: &[u64], needs: &[Vec<usize>]) -> Vec<usize> {
    let mut sums: Vec<u64> = Vec::with_capacity(weights.len());
    let mut befores: Vec<Option<usize>> = Vec::with_capacity(weights.len());
    for (at, weight) in weights.iter().enumerate() {
        let mut before = None;
        for &need in &needs[at] {
            debug_assert!(need < at, "inputs come first");
            if before.is_none_or(|before: usize| sums[need] > sums[before]) {
                before = Some(need);
            }
        }
        sums.push(weight.saturating_add(before.map_or(0, |before| sums[before])));
        befores.push(before);
    }
    let best = sums.iter().copied().max().filter(|&sum| sum > 0);
    let last = sums.iter().position(|&sum| Some(sum) == best);
    let mut chain: Vec<usize> = std::iter::successors(last, |&at| befores[at]).collect();
    chain.reverse();
    let first = chain.iter().position(|&at| weights[at] > 0).unwrap_or(chain.len());
    chain.split_off(first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_count_and_not_their_number() {
        assert_eq!(longest(&[], &[]), [0usize; 0]);
        assert_eq!(longest(&[0, 0], &[vec![], vec![0]]), [0usize; 0]);
        assert_eq!(longest(&[5], &[vec![]]), [0]);
        // One that takes long against two that do not.
        let diamond = [vec![], vec![0], vec![0], vec![2], vec![1, 3]];
        assert_eq!(longest(&[1, 9, 1, 1, 1], &diamond), [0, 1, 4]);
        assert_eq!(longest(&[1, 1, 1, 1, 1], &diamond), [0, 2, 3, 4]);
        // What did not run leads from one to the other.
        assert_eq!(longest(&[4, 0, 4], &[vec![], vec![0], vec![1]]), [0, 1, 2]);
        assert_eq!(longest(&[0, 4, 0], &[vec![], vec![0], vec![1]]), [1]);
    }

    /// The heaviest of all chains that end at `at`, by trying each.
    fn heaviest(at: usize, weights: &[u64], needs: &[Vec<usize>]) -> u64 {
        let below = needs[at].iter().map(|&need| heaviest(need, weights, needs));
        weights[at] + below.max().unwrap_or(0)
    }

    fn graphs() -> impl Strategy<Value = (Vec<u64>, Vec<Vec<usize>>)> {
        (1usize..9).prop_flat_map(|count| {
            let edges = proptest::collection::vec(proptest::bool::ANY, count * count);
            (proptest::collection::vec(0u64..6, count), edges).prop_map(move |(weights, edges)| {
                let needs = (0..count)
                    .map(|at| (0..at).filter(|need| edges[at * count + need]).collect())
                    .collect();
                (weights, needs)
            })
        })
    }

    proptest! {
        #[test]
        fn it_is_the_heaviest_of_all((weights, needs) in graphs()) {
            let chain = longest(&weights, &needs);
            prop_assert!(chain.windows(2).all(|pair| needs[pair[1]].contains(&pair[0])));
            let sum: u64 = chain.iter().map(|&at| weights[at]).sum();
            let best = (0..weights.len()).map(|at| heaviest(at, &weights, &needs)).max();
            prop_assert_eq!(Some(sum), best);
            prop_assert!(chain.first().is_none_or(|&at| weights[at] > 0));
            prop_assert!(chain.last().is_none_or(|&at| weights[at] > 0));
        }
    }
}
