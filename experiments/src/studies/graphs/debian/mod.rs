//! Debian's graph: what must be installed to build each source package, from the archive's own indices. Downloads nothing;
//! [`apt`] brings the indices, [`relation`] reads what packages say of each other.

pub mod apt;
pub mod relation;

use std::collections::HashMap;

use anyhow::Result;

use super::graph::{Graph, Kind, Node};
use relation::{Clause, clauses};

/// What every build finds installed although no package says so (Debian Policy 4.2), beside packages marked as essential.
const ASSUMED: &str = "build-essential";

/// A paragraph of an index: the fields that are wanted, by name.
pub type Paragraph = HashMap<String, String>;

/// The paragraphs of an index. Of other fields nothing is kept: an index has a hundred megabytes.
pub fn paragraphs(text: &str, wanted: &[&str]) -> Vec<Paragraph> {
    let mut all = Vec::new();
    let mut here = Paragraph::new();
    let mut field: Option<String> = None;
    for line in text.lines().chain([""]) {
        if line.is_empty() {
            if !here.is_empty() {
                all.push(std::mem::take(&mut here));
            }
            field = None;
        } else if line.starts_with([' ', '\t']) {
            if let Some(text) = field.as_ref().and_then(|field| here.get_mut(field)) {
                text.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            field = wanted.contains(&name).then(|| name.to_owned());
            if let Some(field) = &field {
                here.insert(field.clone(), value.trim().to_owned());
            }
        }
    }
    all
}

/// What is read of a source index.
pub const SOURCE: [&str; 7] = [
    "Package",
    "Version",
    "Architecture",
    "Extra-Source-Only",
    "Build-Depends",
    "Build-Depends-Arch",
    "Build-Depends-Indep",
];

/// What is read of a binary index.
pub const BINARY: [&str; 6] =
    ["Package", "Source", "Provides", "Depends", "Pre-Depends", "Essential"];

/// How far a build sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// All that is installed for it: what it names, what that depends on, what is essential.
    Installed,
    /// What it names itself, and nothing else.
    Declared,
}

/// The graph of all sources that are built for an architecture.
///
/// # Errors
/// It would have more nodes than can be numbered.
pub fn graph(
    origin: String,
    architecture: &str,
    sources: &[Paragraph],
    binaries: &[Paragraph],
    reach: Reach,
) -> Result<Graph> {
    let archive = Archive::new(architecture, sources, binaries);
    let mut nodes = Vec::new();
    let count = archive.sources.len() as u32;
    let assumed: Vec<u32> = archive.assumed();
    for (package, (_, source)) in archive.sources.iter().enumerate() {
        let fields = ["Build-Depends", "Build-Depends-Arch", "Build-Depends-Indep"];
        let named = fields.iter().filter_map(|field| source.get(*field));
        let mut installed: Vec<u32> = named.flat_map(|text| archive.chosen(text)).collect();
        let needs = match reach {
            Reach::Installed => {
                installed.extend(&assumed);
                installed.into_iter().map(|binary| count + binary).collect()
            }
            Reach::Declared => {
                installed.into_iter().filter_map(|binary| archive.maker(binary)).collect()
            }
        };
        nodes.push(Node { kind: Kind::Build, package: package as u32, wanted: true, needs });
    }
    if reach == Reach::Installed {
        for at in 0..binaries.len() as u32 {
            let maker = archive.maker(at);
            let text = |field: &str| binaries[at as usize].get(field);
            let depends = [text("Depends"), text("Pre-Depends")].into_iter().flatten();
            let below = depends.flat_map(|text| archive.chosen(text)).map(|of| count + of);
            // A bundle is nobody's, so anybody's. One whose source the archive lacks changes with nothing.
            nodes.push(Node {
                kind: Kind::Bundle,
                package: 0,
                wanted: false,
                needs: below.chain(maker).collect(),
            });
        }
    }
    let names = archive.sources.iter().map(|(name, _)| (*name).to_owned()).collect();
    Graph::new(origin, names, &nodes)
}

struct Archive<'a> {
    architecture: &'a str,
    /// The newest of each name, by name.
    sources: Vec<(&'a str, &'a Paragraph)>,
    source_numbers: HashMap<&'a str, u32>,
    binaries: &'a [Paragraph],
    /// Who is, or provides, a name; itself first.
    providers: HashMap<&'a str, Vec<u32>>,
}

impl<'a> Archive<'a> {
    fn new(architecture: &'a str, sources: &'a [Paragraph], binaries: &'a [Paragraph]) -> Self {
        let mut newest: HashMap<&str, &Paragraph> = HashMap::new();
        for source in sources {
            let Some(name) = source.get("Package") else { continue };
            let built = source.get("Architecture").is_none_or(|all| {
                all.split_whitespace().any(|of| of == "all" || relation::matches(of, architecture))
            });
            // One that is kept only since something was built with it has a newer one beside it.
            if built && !source.contains_key("Extra-Source-Only") {
                newest.insert(name, source);
            }
        }
        let mut sources: Vec<(&str, &Paragraph)> = newest.into_iter().collect();
        sources.sort_unstable_by_key(|(name, _)| *name);
        let numbered = sources.iter().enumerate();
        let source_numbers = numbered.map(|(at, (name, _))| (*name, at as u32)).collect();

        let mut providers: HashMap<&str, Vec<u32>> = HashMap::new();
        for (at, binary) in binaries.iter().enumerate() {
            if let Some(name) = binary.get("Package") {
                providers.entry(name).or_default().insert(0, at as u32);
            }
            let provided = binary.get("Provides").map(String::as_str).unwrap_or_default();
            for name in provided.split(',').filter_map(|of| of.split_whitespace().next()) {
                providers.entry(name).or_default().push(at as u32);
            }
        }
        Self { architecture, sources, source_numbers, binaries, providers }
    }

    /// The source that makes a binary package.
    fn maker(&self, binary: u32) -> Option<u32> {
        let binary = &self.binaries[binary as usize];
        let name = binary.get("Source").or_else(|| binary.get("Package"))?;
        self.source_numbers.get(name.split_whitespace().next()?).copied()
    }

    /// What is installed for a list of dependencies: of each, the first alternative that there is. (The archive's own
    /// builders take the first alternatives of build dependencies, too.)
    fn chosen(&self, text: &str) -> Vec<u32> {
        let of = |clause: Clause<'_>| {
            let alternatives = clause.alternatives.iter();
            let mut there = alternatives.filter_map(|name| self.providers.get(name)?.first());
            there.next().copied()
        };
        clauses(text, self.architecture).into_iter().filter_map(of).collect()
    }

    fn assumed(&self) -> Vec<u32> {
        let named = self.chosen(ASSUMED);
        let all = 0..self.binaries.len() as u32;
        let essential = all.filter(|at| {
            self.binaries[*at as usize].get("Essential").is_some_and(|value| value == "yes")
        });
        named.into_iter().chain(essential).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCES: &str = "Package: zlib\nArchitecture: any\nBuild-Depends: debhelper (>= 13), gcc-12-multilib [i386]\n\n\
                           Package: gcc-12\nArchitecture: any\nBuild-Depends: zlib1g-dev, mawk | awk\nDescription: x\n more\n\n\
                           Package: debhelper\nArchitecture: all\nBuild-Depends: perl:any,\n po4a <!nodoc>\n\n\
                           Package: perl\nArchitecture: any\n\nPackage: hurd\nArchitecture: hurd-any\n\n\
                           Package: perl\nArchitecture: any\nExtra-Source-Only: yes\nBuild-Depends: zlib1g-dev\n";

    const BINARIES: &str = "Package: zlib1g\nSource: zlib (1:1.2)\n\n\
                            Package: zlib1g-dev\nSource: zlib\nDepends: zlib1g (= 1)\n\n\
                            Package: gcc-12\nDepends: libgcc\n\nPackage: perl-base\nSource: perl\nEssential: yes\n\n\
                            Package: perl\nPre-Depends: zlib1g\n\nPackage: libgcc1\nSource: gcc-12\nProvides: libgcc (= 1), other\n\n\
                            Package: build-essential\nDepends: gcc-12\n\nPackage: debhelper\nDepends: perl\n";

    fn built_with(reach: Reach) -> Vec<String> {
        let sources = paragraphs(SOURCES, &SOURCE);
        let binaries = paragraphs(BINARIES, &BINARY);
        let graph =
            graph("a test".to_owned(), "amd64", &sources, &binaries, reach).expect("a graph");
        let patches = graph.patches();
        let built = |node: u32| {
            let mut found = std::collections::BTreeSet::new();
            let mut open: Vec<u32> = graph.needs(node).to_vec();
            while let Some(node) = open.pop() {
                if graph.kind(node) == Kind::Build {
                    found.insert(graph.packages[graph.package(node) as usize].as_str());
                } else {
                    open.extend(graph.needs(node));
                }
            }
            found.into_iter().collect::<Vec<_>>().join(" ")
        };
        patches
            .iter()
            .map(|patch| {
                let name = &graph.packages[patch.package as usize];
                format!("{name}: {}", built(patch.builds[0]))
            })
            .collect()
    }

    #[test]
    fn what_is_installed_is_seen() {
        assert_eq!(
            built_with(Reach::Installed),
            [
                "debhelper: gcc-12 perl zlib",
                "gcc-12: gcc-12 perl zlib",
                "perl: gcc-12 perl",
                "zlib: debhelper gcc-12 perl zlib",
            ]
        );
    }

    #[test]
    fn what_is_declared_is_less() {
        assert_eq!(
            built_with(Reach::Declared),
            ["debhelper: perl", "gcc-12: zlib", "perl: ", "zlib: debhelper"]
        );
    }
}
