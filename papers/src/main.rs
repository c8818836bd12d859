//! The command: prints tables, checks laws for as long as one likes, and writes graphs with the models' counts for the
//! scripts that run real tools. Decides nothing.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use floe_papers::laws::{CERTIFIED, LAWS, Law};
use floe_papers::search::{Pair, Until, claims, search};
use floe_papers::systems::{MODELS, OTHERS, model};
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
    /// Hold every system to the laws that it is said to keep, with other cases
    Laws {
        /// Random cases for each law and system in a round
        #[arg(long, default_value_t = 10_000)]
        cases: u32,
        /// The seed of the cases
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many rounds, each with a seed that follows from the first
        #[arg(long, default_value_t = 1)]
        rounds: u64,
        /// Instead, rounds until so much time is over
        #[arg(long, conflicts_with = "rounds")]
        seconds: Option<u64>,
        /// Keep the record in this file as JSON, as it stands after each round
        #[arg(long)]
        record: Option<PathBuf>,
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
        /// The graph of this JSON file: for each step, in `steps` or `g`, the steps and outputs that it reads
        #[arg(long, conflicts_with = "twenty_two")]
        read: Option<PathBuf>,
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
        Command::Laws { cases, seed, rounds, seconds, record, law, system } => {
            let until = match seconds {
                Some(seconds) => Until::Over(Duration::from_secs(seconds)),
                None => Until::Rounds(rounds),
            };
            match pairs(law.as_deref(), system.as_deref()) {
                Ok(pairs) => laws(&pairs, cases, seed, until, record.as_deref()),
                Err(message) => {
                    eprintln!("floe-papers: {message}");
                    ExitCode::FAILURE
                }
            }
        }
        Command::Graph { twenty_two, read, embed, steps, width, fanin, seed } => {
            let mut graph = match (twenty_two, read) {
                (true, _) => Graph::twenty_two(embed),
                (false, None) => Graph::layered(steps, width.max(1), fanin, seed),
                (false, Some(file)) => match read_graph(&file) {
                    Ok(graph) => graph,
                    Err(message) => {
                        eprintln!("floe-papers: {message}");
                        return ExitCode::FAILURE;
                    }
                },
            };
            graph.embed = embed;
            println!("{}", described(&graph));
            ExitCode::SUCCESS
        }
    }
}

/// The laws for any system, and the one for those that retarget.
fn every_law() -> impl Iterator<Item = &'static Law> {
    LAWS.iter().chain([&CERTIFIED])
}

/// The pairs to be searched: those that are claimed, or the one that is named whether it is claimed or not.
fn pairs(only_law: Option<&str>, only_system: Option<&str>) -> Result<Vec<Pair>, String> {
    let unknown = |kind: &str, name: &str, names: Vec<&str>| {
        format!("there is no {kind} '{name}'; there are: {}", names.join("; "))
    };
    let named = only_law.map(|name| {
        let names = || every_law().map(|law| law.name).collect();
        every_law().find(|law| law.name == name).ok_or_else(|| unknown("law", name, names()))
    });
    let law = named.transpose()?;
    let named = only_system.map(|name| {
        let names = || MODELS.iter().chain(&OTHERS).map(|model| model.name).collect();
        model(name).ok_or_else(|| unknown("system", name, names()))
    });
    let system = named.transpose()?;
    if let (Some(law), Some(system)) = (law, system) {
        return Ok(vec![(law, system)]);
    }
    let wanted = |pair: &Pair| {
        law.is_none_or(|law| law.name == pair.0.name)
            && system.is_none_or(|system| system.name == pair.1.name)
    };
    Ok(claims().into_iter().filter(wanted).collect())
}

/// Search, tell of each round, and say what was found.
fn laws(pairs: &[Pair], cases: u32, seed: u64, until: Until, file: Option<&Path>) -> ExitCode {
    let mut kept = Ok(());
    let record = search(pairs, cases, seed, until, |record| {
        eprintln!(
            "round {}: {} cases, {} s, {} refuted",
            record.rounds,
            record.cases,
            record.wall_seconds,
            record.refuted.len()
        );
        if let Some(file) = file {
            let json = serde_json::to_string_pretty(record).unwrap_or_default();
            kept = std::fs::write(file, json + "\n");
        }
    });
    print!("{}", record.table().render(Format::Text));
    for refuted in &record.refuted {
        println!("\n{} refutes '{}', seed {}:", refuted.system, refuted.law, refuted.seed);
        println!("{}", refuted.counter_example);
    }
    if let (Err(error), Some(file)) = (&kept, file) {
        eprintln!("floe-papers: the record could not be written to {}: {error}", file.display());
    }
    if kept.is_ok() && record.refuted.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The graph in a file, if each of its steps reads earlier ones alone.
fn read_graph(file: &Path) -> Result<Graph, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
    let graph = text.and_then(|text| {
        let graph: Graph = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let mut steps = graph.steps.iter().enumerate();
        let wrong = steps.find(|(at, reads)| reads.iter().any(|(s, _)| usize::from(*s) >= *at));
        match wrong {
            Some((at, _)) => Err(format!("step {at} reads one that does not come before it")),
            None => Ok(graph),
        }
    });
    graph.map_err(|error| format!("{} is no graph: {error}", file.display()))
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
