//! The tables of the literature, computed: each mark is the outcome of a law over random cases, each count that of a run.
//! Rendering is in `render.rs`; nothing here prints.

mod published;
pub mod render;

use serde::Serialize;

use crate::laws::{LAWS, Law};
use crate::scheduler::Pace;
use crate::systems::{MODELS, Model};
use crate::workload::{CHANGES, Change, Graph};

/// A table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// How to read it.
    pub note: String,
    /// The heads of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

/// How tables are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Aligned columns.
    Text,
    /// Markdown.
    Markdown,
    /// JSON.
    Json,
}

/// What random checking found: for each law and each system, whether no counter-example was found.
pub struct Found {
    /// In the order of the laws, then of the systems.
    pub kept: Vec<Vec<bool>>,
    cases: u32,
}

/// The seed of all tables.
const SEED: u64 = 2020;

pub(crate) fn strings<const N: usize>(row: [&str; N]) -> Vec<String> {
    row.map(String::from).to_vec()
}

impl Found {
    /// Hold every system to every law, so many cases each.
    pub fn search(cases: u32) -> Found {
        let holds = |law: &Law| {
            let of = MODELS.iter().map(|model| law.refute(cases, SEED, &model.make).is_none());
            of.collect()
        };
        Found { kept: LAWS.iter().map(holds).collect(), cases }
    }

    /// Whether a system keeps a law.
    pub fn keeps(&self, model: &Model, name: &str) -> bool {
        let law = LAWS.iter().position(|law| law.name == name);
        let system = MODELS.iter().position(|other| other.name == model.name);
        law.zip(system).is_some_and(|(law, system)| self.kept[law][system])
    }

    fn mark(&self, model: &Model, name: &str) -> &'static str {
        if self.keeps(model, name) { "yes" } else { "no" }
    }

    /// All tables.
    pub fn tables(&self) -> Vec<Table> {
        vec![
            differences(self),
            composition(),
            features(self),
            laws(self),
            steps(false),
            steps(true),
            published::figures(),
        ]
    }
}

/// JFP table 1, for all systems.
fn differences(found: &Found) -> Table {
    let row = |model: &Model| {
        let dynamic = found.keeps(model, "dynamic dependencies");
        vec![
            model.name.to_owned(),
            model.keeps.to_owned(),
            model.scheduler.to_owned(),
            if dynamic { "dynamic" } else { "static" }.to_owned(),
            found.mark(model, "minimal").to_owned(),
            found.mark(model, "early cutoff").to_owned(),
            found.mark(model, "sharing costs nothing").to_owned(),
        ]
    };
    Table {
        title: "Build system differences (JFP table 1)".into(),
        note: format!(
            "Marks are laws: no counter-example in {} random cases with seed {SEED}. The paper has Make, Excel, Shake and \
             Bazel; its Bazel is `Bazel with a cache`.",
            found.cases
        ),
        columns: strings([
            "system",
            "persistent build information",
            "scheduler",
            "dependencies",
            "minimal",
            "cutoff",
            "cloud",
        ]),
        rows: MODELS.iter().map(row).collect(),
    }
}

/// JFP table 2, for all systems.
fn composition() -> Table {
    let mut columns: Vec<&str> = Vec::new();
    let mut kinds: Vec<&str> = Vec::new();
    for model in &MODELS {
        if !columns.contains(&model.scheduler) {
            columns.push(model.scheduler);
        }
        if !kinds.contains(&model.rebuilder) {
            kinds.push(model.rebuilder);
        }
    }
    let cell = |kind: &str, scheduler: &str| {
        let here = MODELS.iter().filter(|m| m.rebuilder == kind && m.scheduler == scheduler);
        let names: Vec<&str> = here.map(|model| model.name).collect();
        if names.is_empty() { "-".to_owned() } else { names.join("; ") }
    };
    let row = |kind: &&str| {
        let cells = columns.iter().map(|scheduler| cell(kind, scheduler));
        [(*kind).to_owned()].into_iter().chain(cells).collect()
    };
    Table {
        title: "Build systems by rebuilder and scheduler (JFP table 2)".into(),
        note: "Each entry is a composition in `src/systems.rs`. The paper puts Ninja under verifying traces and Bazel's \
               two variants into one; its Shake is simplified to verifying traces."
            .into(),
        rows: kinds.iter().map(row).collect(),
        columns: ["rebuilder"].into_iter().chain(columns).map(String::from).collect(),
    }
}

/// The boxes of JFP section 8 as columns.
fn features(found: &Found) -> Table {
    const LAWS_OF: [(&str, &str); 10] = [
        ("parallel", "parallel, same runs"),
        ("dynamic dependencies", "dynamic dependencies"),
        ("self-tracking", "self-tracking"),
        ("volatile tasks", "volatile tasks"),
        ("non-determinism", "non-determinism"),
        ("no frankenbuild", "no frankenbuild"),
        ("sharing", "sharing costs nothing"),
        ("shallow builds", "shallow"),
        ("eviction for free", "eviction"),
        ("revert for free", "revert costs nothing"),
    ];
    let row = |model: &Model| {
        let marks = LAWS_OF.map(|(_, law)| found.mark(model, law));
        let parallel = [parallel(model).to_owned(), time(model)].into_iter();
        [model.name.to_owned()].into_iter().chain(parallel).chain(marks.map(String::from)).collect()
    };
    Table {
        title: "Engineering aspects (JFP section 8)".into(),
        note: "Marks are laws, as above; `parallel` says that several workers, some slower than others, make what one \
               makes and run what it runs. `4 workers` is how long they take over the graph of 22 steps, first and again \
               after a real change, if a command takes one and what is given up takes one as well; one worker takes 22."
            .into(),
        columns: ["system", "how it goes parallel", "4 workers"]
            .into_iter()
            .chain(LAWS_OF.map(|(head, _)| head))
            .map(String::from)
            .collect(),
        rows: MODELS.iter().map(row).collect(),
    }
}

/// How a scheduler is made parallel: `scheduler/crew/`.
fn parallel(model: &Model) -> &'static str {
    match model.scheduler {
        "topological" => "start what is complete",
        "suspending" => "start several dependencies",
        "forward" => "speculate",
        _ => "workers on one queue",
    }
}

/// How long four workers take over a first build and over the one after a real change.
fn time(model: &Model) -> String {
    let mut system = (model.make)();
    let Some(crew) = system.scheduler.parallel(4, Pace::Even) else { return "-".into() };
    system.scheduler = crew;
    let graph = Graph::twenty_two(false);
    let times = [Change::None, Change::Real].map(|change| {
        let project = graph.project(change);
        system.build(&project, &project.sinks()).map_or(0, |log| log.time)
    });
    format!("{}, then {}", times[0], times[1])
}

/// Every law by every system.
fn laws(found: &Found) -> Table {
    let short = |model: &Model| model.name.to_owned();
    let row = |law: &Law| {
        let marks =
            MODELS.iter().map(|model| if found.keeps(model, law.name) { "yes" } else { "-" });
        [law.name].into_iter().chain(marks).map(String::from).collect()
    };
    Table {
        title: "Which system keeps which law".into(),
        note: LAWS
            .iter()
            .map(|law| format!("{}: {}.", law.name, law.says))
            .collect::<Vec<_>>()
            .join(" "),
        columns: ["law".to_owned()].into_iter().chain(MODELS.iter().map(short)).collect(),
        rows: LAWS.iter().map(row).collect(),
    }
}

/// What the 22-step graph costs.
fn steps(embed: bool) -> Table {
    let graph = Graph::twenty_two(embed);
    let row = |model: &Model| {
        let cells = CHANGES.map(|change| match graph.cost(model.make, change) {
            Ok(cost) if cost.retargeted > 0 => {
                format!("{} + {} renamed", cost.ran, cost.retargeted)
            }
            Ok(cost) => cost.ran.to_string(),
            Err(refused) => refused.to_string(),
        });
        [model.name.to_owned()].into_iter().chain(cells).collect()
    };
    let what = if embed { ", when outputs hold the names of inputs" } else { "" };
    Table {
        title: format!("Commands run on the graph of 22 steps{what}"),
        note: "A base writes two files; ten steps read one of them, ten more read those, and one reads all. `unread` is \
               a change of the file that nobody reads; `revert` goes back after a real change was built."
            .into(),
        columns: strings(["system", "nothing", "comment", "unread", "real", "revert"]),
        rows: MODELS.iter().map(row).collect(),
    }
}
