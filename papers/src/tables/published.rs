//! Figures that others measured and we quote, each with its source and with what of it we can and cannot set beside ours.
//! Nothing here is computed.

use super::{Table, strings};

/// The quoted figures.
pub(super) fn figures() -> Table {
    let rows = [
        [
            "Riker, full builds",
            "8.8% median overhead, 14 packages",
            "Curtsinger, Barowy, USENIX ATC 2022, abstract",
            "not comparable: the model counts commands, not time",
        ],
        [
            "Riker, incremental builds",
            "94% of make's speed-up on average",
            "the same",
            "on the graph of 22 steps the model runs 0, 1, 1, 22 and 22 commands, Make's 0, 22, 22, 22 and 22",
        ],
        [
            "LaForge, full builds",
            "16.1% median overhead, 14 packages",
            "Curtsinger, Barowy, 2021, abstract",
            "not comparable",
        ],
        [
            "cHash, compiler runs cancelled",
            "80%",
            "Dietrich et al., USENIX ATC 2017, abstract",
            "a cutoff before the run; ours come after it, by content: see the column `comment`",
        ],
        ["cHash, incremental build time", "up to 51% less", "the same", "not comparable"],
        [
            "cHash, redundant compiler runs",
            "up to 97% (earlier work that it quotes)",
            "the same",
            "the share that early cutoff could save",
        ],
        [
            "nixpkgs, bitwise reproducible",
            "69% to 91%, 709,816 packages of 2017 to 2023",
            "Malka, Zacchiroli, Zimmermann, MSR 2025, abstract",
            "the share of tasks for which byte cutoff can work at all",
        ],
        ["nixpkgs, can be rebuilt", "over 99%", "the same", "not comparable"],
        [
            "nixpkgs, causes",
            "about 15% of failures are embedded build dates",
            "the same",
            "the model's `random` scripts",
        ],
        [
            "CloudBuild, builds and tests",
            "1.3 to 10 times as fast",
            "Esfahani et al., ICSE SEIP 2016, abstract",
            "the law `sharing costs nothing`; no times",
        ],
    ];
    Table {
        title: "Published figures, quoted".into(),
        note: "None of these is reproduced here: they are times and shares of real software. The last column says what of \
               this crate stands nearest."
            .into(),
        columns: strings(["what", "figure", "source", "beside ours"]),
        rows: rows.map(strings).to_vec(),
    }
}
