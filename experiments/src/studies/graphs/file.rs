//! A graph as a file: lines of text, compressed, small enough to be kept with the study. Knows no package set.
//!
//! The lines: `floe-graph 1`; the origin; the number of packages, then their names; the number of nodes, then a line each:
//! `b`, `f` or `u` for build, fixed or bundle, large if it is wanted; the package's number; the numbers of the nodes that it
//! needs in ascending order, each less the one before.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::Path;
use std::{fs, str};

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::graph::{Graph, Kind, Node};

const FIRST: &str = "floe-graph 1";

/// Writes a graph.
///
/// # Errors
/// The file cannot be written.
pub fn write(graph: &Graph, path: &Path) -> Result<()> {
    let place = || format!("cannot write the graph {}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(place)?;
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(text(graph).as_bytes())?;
    fs::write(path, packed.finish()?).with_context(place)
}

/// Reads a graph.
///
/// # Errors
/// The file cannot be read, or holds no graph.
pub fn read(path: &Path) -> Result<Graph> {
    let place = || format!("cannot read the graph {}", path.display());
    let mut text = String::new();
    GzDecoder::new(fs::File::open(path).with_context(place)?)
        .read_to_string(&mut text)
        .with_context(place)?;
    parse(&text).with_context(place)
}

fn text(graph: &Graph) -> String {
    let mut out = format!("{FIRST}\n{}\n{}\n", graph.origin, graph.packages.len());
    for package in &graph.packages {
        let _ = writeln!(out, "{package}");
    }
    let _ = writeln!(out, "{}", graph.len());
    for node in graph.nodes() {
        let letter = letter(graph.kind(node));
        out.push(if graph.wanted(node) { letter.to_ascii_uppercase() } else { letter });
        let _ = write!(out, "{}", graph.package(node));
        let mut last = 0;
        for need in graph.needs(node) {
            let _ = write!(out, " {}", need - last);
            last = *need;
        }
        out.push('\n');
    }
    out
}

fn parse(text: &str) -> Result<Graph> {
    let mut lines = text.lines();
    let mut line = || lines.next().context("it ends too early");
    if line()? != FIRST {
        bail!("it does not begin with '{FIRST}'");
    }
    let origin = line()?.to_owned();
    let count: usize = line()?.parse()?;
    let packages = (0..count).map(|_| Ok(line()?.to_owned())).collect::<Result<_>>()?;
    let count: usize = line()?.parse()?;
    let nodes = (0..count).map(|_| node(line()?)).collect::<Result<Vec<_>>>()?;
    Graph::new(origin, packages, &nodes)
}

fn letter(kind: Kind) -> char {
    match kind {
        Kind::Build => 'b',
        Kind::Fixed => 'f',
        Kind::Bundle => 'u',
    }
}

fn node(line: &str) -> Result<Node> {
    let kinds = [Kind::Build, Kind::Fixed, Kind::Bundle];
    let first = line.chars().next().unwrap_or_default();
    let kind = kinds.into_iter().find(|kind| letter(*kind) == first.to_ascii_lowercase());
    let kind = kind.with_context(|| format!("'{line}' is no node"))?;
    let numbers = line[1..].split(' ').map(str::parse).collect::<Result<Vec<u32>, _>>()?;
    let [package, steps @ ..] = numbers.as_slice() else { bail!("'{line}' is no node") };
    let mut last = 0u32;
    let mut needs = Vec::with_capacity(steps.len());
    for step in steps {
        last = last.checked_add(*step).context("a number is too large")?;
        needs.push(last);
    }
    Ok(Node { kind, package: *package, wanted: first.is_ascii_uppercase(), needs })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::studies::graphs::testing::graphs;

    proptest! {
        #[test]
        fn what_is_written_is_read(graph in graphs()) {
            let folder = tempfile::tempdir().expect("a directory");
            let file = folder.path().join("graph.gz");
            write(&graph, &file).expect("written");
            prop_assert_eq!(read(&file).expect("read"), graph);
        }
    }

    #[test]
    fn what_is_no_graph_is_told() {
        assert!(parse("floe-graph 2\n").is_err());
        let fault = parse("floe-graph 1\nhere\n1\na\n1\nx0 1\n").expect_err("refused");
        assert_eq!(fault.to_string(), "'x0 1' is no node");
        assert!(parse("floe-graph 1\nhere\n1\na\n1\nB0 1\n").is_err());
    }
}
