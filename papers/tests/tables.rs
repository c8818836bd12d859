//! The tables, kept: what the models do is what a reader of the README sees, until someone changes it on purpose. And the
//! marks in them are the claims that the laws are checked against.

use floe_papers::claims::claimed;
use floe_papers::laws::LAWS;
use floe_papers::oracle::Oracle;
use floe_papers::systems::MODELS;
use floe_papers::tables::{Format, Found, render};
use floe_papers::workload::{CHANGES, Change, Graph};

#[test]
fn the_tables_are_what_they_were() {
    let found = Found::search(1000);
    let tables = found.tables();
    insta::assert_snapshot!("tables", render::all(&tables, Format::Markdown));
    insta::assert_snapshot!("steps", tables[4].render(Format::Text));
    let json = render::all(&tables, Format::Json);
    let read: serde_json::Value = serde_json::from_str(&json).expect("the tables are JSON");
    assert_eq!(read.as_array().map(Vec::len), Some(tables.len()));
    for law in &LAWS {
        for model in &MODELS {
            assert_eq!(
                found.keeps(model, law.name),
                claimed(law, model),
                "{}: {}",
                law.name,
                model.name
            );
        }
    }
}

#[test]
fn every_model_names_its_source_and_what_it_leaves_out() {
    for model in &MODELS {
        assert!(!model.source.is_empty() && !model.simplified.is_empty(), "{}", model.name);
    }
}

/// On layered graphs: what content can decide is the fewest runs possible, and the models agree with a plain walk.
#[test]
fn models_run_what_a_plain_walk_says() {
    for seed in 0..20 {
        let graph = Graph::layered(60, 10, 3, seed);
        for change in CHANGES {
            let (files, whole, all) = walk(&graph, change);
            let of = |name: &str| {
                let mut oracle = Oracle::new(name).expect("a model");
                oracle.build(&graph, Change::None).expect("a static graph");
                oracle.build(&graph, change).expect("a static graph").ran
            };
            if change != Change::Revert {
                assert_eq!(of("Shake"), files, "{seed} {change:?}");
                assert_eq!(of("floe, observed"), files, "{seed} {change:?}");
                assert_eq!(of("Nix, content-addressed"), whole, "{seed} {change:?}");
                assert_eq!(of("Nix, input-addressed"), all, "{seed} {change:?}");
            }
        }
    }
}

/// The steps that must run when single files decide, when whole outputs decide, and when nothing cuts off.
fn walk(graph: &Graph, change: Change) -> (Vec<u16>, Vec<u16>, Vec<u16>) {
    use floe_papers::workload::Output;
    let edited = change != Change::None;
    let of = |output| {
        matches!((change, output), (Change::Real, Output::A) | (Change::Unread, Output::B))
    };
    let mut changed = vec![[of(Output::A), of(Output::B)]];
    let (mut files, mut whole, mut all) = (vec![edited], vec![edited], vec![edited]);
    for reads in &graph.steps[1..] {
        let read = |(step, output): &(u16, Output)| changed[usize::from(*step)][*output as usize];
        let of = |output| reads.iter().filter(|(_, o)| *o == output).any(read);
        let now = [of(Output::A), of(Output::B)];
        files.push(now.contains(&true));
        whole.push(reads.iter().any(|(step, _)| changed[usize::from(*step)].contains(&true)));
        all.push(reads.iter().any(|(step, _)| all[usize::from(*step)]));
        changed.push(now);
    }
    let numbers = |marks: Vec<bool>| {
        let numbered = marks.into_iter().enumerate().filter(|(_, run)| *run);
        numbered.map(|(step, _)| step as u16).collect()
    };
    (numbers(files), numbers(whole), numbers(all))
}
