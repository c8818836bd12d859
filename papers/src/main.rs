//! The command: prints tables, checks laws for as long as one likes, and writes graphs with the models' counts for the
//! scripts that run real tools. Decides nothing.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use floe_papers::laws::{LAWS, Law};
use floe_papers::systems::{MODELS, Model, OTHERS};
use floe_papers::tables::{Format, Found, render};
use floe_papers::workload::{CHANGES, Graph};
use serde_json::{Value, json};

/// The literature of build systems, executable.
#[derive(Parser)]
#[command(name = "floe-papers")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the tables of the literature, computed
    Tables {
        /// As Markdown
        #[arg(long, conflicts_with = "json")]
        markdown: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Random cases for each law and system
        #[arg(long, default_value_t = 1000)]
        cases: u32,
    },
    /// Hold every system to the laws that it kept in the table, with other cases
    Laws {
        /// Random cases for each law and system
        #[arg(long, default_value_t = 10_000)]
        cases: u32,
        /// The seed of the cases
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// This law alone
        #[arg(long)]
        law: Option<String>,
        /// This system alone
        #[arg(long)]
        system: Option<String>,
    },
    /// Write a graph as JSON, with what each edit costs each model
    Graph {
        /// The graph of 22 steps instead of a random one
        #[arg(long)]
        twenty_two: bool,
        /// Outputs hold the names of inputs
        #[arg(long)]
        embed: bool,
        /// How many steps
        #[arg(long, default_value_t = 40)]
        steps: u16,
        /// How many in a layer
        #[arg(long, default_value_t = 8)]
        width: u16,
        /// How many steps each reads
        #[arg(long, default_value_t = 3)]
        fanin: usize,
        /// The seed of the graph
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Tables { markdown, json, cases } => {
            let format = match (markdown, json) {
                (true, _) => Format::Markdown,
                (_, true) => Format::Json,
                _ => Format::Text,
            };
            print!("{}", render::all(&Found::search(cases).tables(), format));
            ExitCode::SUCCESS
        }
        Command::Laws { cases, seed, law, system } => {
            laws(cases, seed, law.as_deref(), system.as_deref())
        }
        Command::Graph { twenty_two, embed, steps, width, fanin, seed } => {
            let mut graph = Graph::layered(steps, width.max(1), fanin, seed);
            if twenty_two {
                graph = Graph::twenty_two(embed);
            }
            graph.embed = embed;
            println!("{}", described(&graph));
            ExitCode::SUCCESS
        }
    }
}

/// Check, and say how many cases and what was found.
fn laws(cases: u32, seed: u64, only_law: Option<&str>, only_system: Option<&str>) -> ExitCode {
    let mut refuted = 0;
    for law in LAWS.iter().filter(|law| only_law.is_none_or(|name| law.name == name)) {
        let all = MODELS.iter().chain(&OTHERS);
        for model in all.filter(|model| only_system.is_none_or(|name| model.name == name)) {
            refuted += usize::from(!check(law, model, cases, seed, only_system.is_some()));
        }
    }
    match (refuted, only_system) {
        (0, _) => println!("no law was refuted that {cases} other cases had not refuted"),
        (_, Some(_)) => {}
        _ => println!("{refuted} laws were refuted that the first 1000 cases had not refuted"),
    }
    if refuted == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether a law is kept, or was not to be kept in the first place.
fn check(law: &Law, model: &Model, cases: u32, seed: u64, show: bool) -> bool {
    if !show && law.refute(1000, 2020, &model.make).is_some() {
        return true;
    }
    let found = law.refute(cases, seed, &model.make);
    let verdict = if found.is_some() { "REFUTED" } else { "kept" };
    println!("{}: {}: {verdict} in {cases} cases of seed {seed}", law.name, model.name);
    if let Some(counter_example) = &found {
        println!("{counter_example}");
    }
    found.is_none()
}

/// A graph with what each edit costs each model.
fn described(graph: &Graph) -> Value {
    let counts = MODELS.iter().map(|model| {
        let costs = CHANGES.map(|change| match graph.cost(model.make, change) {
            Ok(cost) => json!(cost),
            Err(refused) => json!(refused.to_string()),
        });
        (model.name.to_owned(), json!(costs))
    });
    json!({
        "graph": graph,
        "changes": CHANGES,
        "models": counts.collect::<serde_json::Map<_, _>>(),
    })
}
