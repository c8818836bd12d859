//! Where the boxes of a picture stand: in layers, every edge downwards, wide layers wrapped into
//! rows (Sugiyama's method, 1981, with barycentres and without bends). The same graph always gives
//! the same places. Nothing here knows what a box means.

/// How many boxes stand in a row.
const ROW: usize = 6;

/// A box's place in the grid.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Place {
    /// From the left, in boxes; fractions centre short rows.
    pub column: f64,
    /// From the top, in rows.
    pub row: usize,
}

/// The places of so many boxes; an edge leads from what stands above to what stands below.
pub fn layout(count: usize, edges: &[(usize, usize)]) -> Vec<Place> {
    let above = neighbours(count, edges.iter().copied());
    let below = neighbours(count, edges.iter().map(|&(from, to)| (to, from)));
    let mut layers = layers(&above, &below);
    // Where a box stands in its layer, between 0 and 1.
    let mut at = vec![0.5; count];
    for layer in &layers {
        spread(layer, &mut at);
    }
    for _ in 0..3 {
        for layer in layers.iter_mut() {
            order(layer, &above, &mut at);
        }
        for layer in layers.iter_mut().rev() {
            order(layer, &below, &mut at);
        }
    }
    let mut places = vec![Place::default(); count];
    let mut row = 0;
    for layer in &layers {
        for part in layer.chunks(ROW) {
            let shift = (ROW - part.len()) as f64 / 2.0;
            for (column, &node) in part.iter().enumerate() {
                places[node] = Place { column: column as f64 + shift, row };
            }
            row += 1;
        }
    }
    places
}

/// For each box those at the other ends of its edges.
fn neighbours(count: usize, edges: impl Iterator<Item = (usize, usize)>) -> Vec<Vec<usize>> {
    let mut found = vec![Vec::new(); count];
    edges.for_each(|(from, to)| found[to].push(from));
    found
}

/// The boxes by layer: each below all that it has an edge from. What is in a circle, which records
/// of different times could make, stands in the last layer.
fn layers(above: &[Vec<usize>], below: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut open: Vec<usize> = above.iter().map(Vec::len).collect();
    let mut layer: Vec<usize> = (0..above.len()).filter(|&node| open[node] == 0).collect();
    let mut placed = vec![false; above.len()];
    let mut layers = Vec::new();
    while !layer.is_empty() {
        let mut next = Vec::new();
        for &node in &layer {
            placed[node] = true;
            for &user in &below[node] {
                open[user] -= 1;
                if open[user] == 0 {
                    next.push(user);
                }
            }
        }
        layers.push(std::mem::replace(&mut layer, next));
    }
    let circle: Vec<usize> = (0..above.len()).filter(|&node| !placed[node]).collect();
    layers.extend(Some(circle).filter(|circle| !circle.is_empty()));
    layers
}

/// Orders a layer by where its neighbours stand on average.
fn order(layer: &mut [usize], neighbours: &[Vec<usize>], at: &mut [f64]) {
    let centre = |node: usize| {
        let near = &neighbours[node];
        match near.len() {
            0 => at[node],
            count => near.iter().map(|&other| at[other]).sum::<f64>() / count as f64,
        }
    };
    let mut keyed: Vec<(f64, usize)> = layer.iter().map(|&node| (centre(node), node)).collect();
    keyed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    layer.iter_mut().zip(keyed).for_each(|(place, (_, node))| *place = node);
    spread(layer, at);
}

fn spread(layer: &[usize], at: &mut [f64]) {
    let width = layer.len() as f64;
    layer.iter().enumerate().for_each(|(nth, &node)| at[node] = (nth as f64 + 0.5) / width);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A graph that nobody chose.
    fn graph(seed: u64, count: usize) -> Vec<(usize, usize)> {
        let mut state = seed;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % below
        };
        (1..count).flat_map(|to| (0..next(4)).map(|_| (next(to), to)).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn every_box_has_a_place_of_its_own_below_what_leads_to_it() {
        for seed in 0..200 {
            let count = 1 + seed as usize % 60;
            let edges = graph(seed, count);
            let places = layout(count, &edges);
            for &(from, to) in &edges {
                assert!(places[from].row < places[to].row, "{seed}: {from} -> {to}");
            }
            for (one, place) in places.iter().enumerate() {
                assert!(place.column >= 0.0 && place.column <= ROW as f64 - 1.0);
                for other in &places[..one] {
                    let apart = (place.column - other.column).abs() >= 1.0;
                    assert!(place.row != other.row || apart, "{seed}: two boxes in one place");
                }
            }
            assert_eq!(places, layout(count, &edges), "the same graph, the same picture");
        }
    }

    #[test]
    fn a_circle_is_drawn_too() {
        let places = layout(3, &[(0, 1), (1, 2), (2, 1)]);
        assert_eq!(places[0].row, 0);
        assert_eq!((places[1].row, places[2].row), (1, 1));
    }
}
