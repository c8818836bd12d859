//! The best peer beside the better of floe alone and floe with its server, request by request: the study's first finding.

use super::cells::{Cell, Cells};
use super::section::{EDITS, is_floe};
use super::system::Kind;
use crate::report::block::Table;
use crate::stats::{Estimate, duration, whole};

/// The best of both sides for one request.
struct Pair {
    size: usize,
    edit: &'static str,
    peer: (&'static str, Estimate),
    own: (&'static str, Estimate),
}

impl Pair {
    /// How many times as long floe takes; below one where floe is ahead.
    fn ratio(&self) -> f64 {
        self.own.1.median / self.peer.1.median
    }

    /// Whether chance could have decided.
    fn doubtful(&self) -> bool {
        let (peer, own) = (&self.peer.1, &self.own.1);
        peer.low <= own.high && own.low <= peer.high
    }
}

/// The comparisons of a measure with the peers that count.
fn pairs(
    cells: &Cells,
    measure: fn(&Cell) -> &Estimate,
    counts: impl Fn(&Kind) -> bool,
) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (edit, label) in EDITS {
        for size in cells.sizes() {
            let peer = cells.best(size, edit, measure, |kind| !is_floe(kind) && counts(kind));
            let own = cells.best(size, edit, measure, is_floe);
            if let (Some((peer, its)), Some((floe, ours))) = (peer, own) {
                let (peer, own) = ((peer.title, its), (floe.title, ours));
                pairs.push(Pair { size, edit: label, peer, own });
            }
        }
    }
    pairs
}

/// Where a peer is ahead, and how far floe is elsewhere.
pub fn all(cells: &Cells) -> String {
    let pairs = pairs(cells, |cell| &cell.wall, |_| true);
    let cpu = self::pairs(cells, |cell| &cell.cpu, |_| true);
    format!(
        "**A peer is faster than floe**, alone or with its server, in {} By processor time a peer is ahead in {} of {}.",
        told(&pairs),
        cpu.iter().filter(|pair| pair.ratio() > 1.0).count(),
        cpu.len()
    )
}

/// The same with the peers whose actions see only what they may, as floe's do; nothing where there is none.
pub fn sandboxed(cells: &Cells) -> Option<String> {
    let pairs = pairs(cells, |cell| &cell.wall, |kind| kind.sandboxed);
    (!pairs.is_empty()).then(|| {
        format!(
            "**Of the peers that sandbox actions**, as floe does, one is faster in {}",
            told(&pairs)
        )
    })
}

fn told(pairs: &[Pair]) -> String {
    let lost: Vec<&Pair> = pairs.iter().filter(|pair| pair.ratio() > 1.0).collect();
    let mut behind = Vec::new();
    for (_, edit) in EDITS {
        let of: Vec<String> = lost
            .iter()
            .filter(|pair| pair.edit == edit)
            .map(|pair| {
                let size = whole(pair.size as f64);
                format!("{} {:.1} times as fast with {size}", pair.peer.0, pair.ratio())
            })
            .collect();
        if !of.is_empty() {
            behind.push(format!("**{edit}**: {}", of.join(", ")));
        }
    }
    let doubtful = lost.iter().filter(|pair| pair.doubtful()).count();
    let mut said = format!("{} of {} comparisons of wall time", lost.len(), pairs.len());
    if doubtful > 0 {
        said.push_str(&format!(" ({doubtful} of them within the intervals)"));
    }
    if !behind.is_empty() {
        said.push_str(&format!("; {}", behind.join("; ")));
    }
    let won = pairs.iter().map(Pair::ratio).filter(|ratio| *ratio <= 1.0).map(|ratio| 1.0 / ratio);
    let (least, most) =
        won.fold((f64::INFINITY, 0.0f64), |(low, high), r| (low.min(r), high.max(r)));
    said.push_str(&match pairs.len() - lost.len() {
        0 => ".".to_owned(),
        1 => format!(". In the one left floe is ahead of the best of them, {most:.1} times."),
        won => format!(
            ". In the other {won} floe is ahead of the best of them, {least:.1} to {most:.1} times."
        ),
    });
    said
}

/// All comparisons.
pub fn table(cells: &Cells) -> Table {
    let mut table = Table::new(
        "The best peer and the better of floe alone and with its server, by medians of wall time, and how much longer floe \
         takes; below 1 floe is ahead. A question mark: the intervals overlap. The last column is the ratio of the best \
         processor times.",
        ["Request", "Actions", "Best peer", "floe", "Ratio", "Of CPU"],
    );
    let cpu = pairs(cells, |cell| &cell.cpu, |_| true);
    for (pair, cpu) in pairs(cells, |cell| &cell.wall, |_| true).iter().zip(&cpu) {
        let side = |(title, of): &(&str, Estimate)| format!("{title}, {}", duration(of.median));
        table.row([
            pair.edit.to_owned(),
            whole(pair.size as f64),
            side(&pair.peer),
            side(&pair.own),
            format!("{:.2}{}", pair.ratio(), if pair.doubtful() { " ?" } else { "" }),
            format!("{:.2}", cpu.ratio()),
        ]);
    }
    table
}
