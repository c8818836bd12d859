//! What a build system is to the study: a folder that it describes in its own language, one build, and what came out. The
//! systems themselves are the modules beside this one; a new one joins by a line in [`SYSTEMS`].

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::workload::{Output, Workload};
use super::{bazel, buildstream, floe, make, ninja, nix, tup};

/// Where one system works on one graph, and with what.
#[derive(Debug)]
pub struct Site<'a> {
    /// The graph.
    pub workload: &'a Workload,
    /// The system's own folder for it.
    pub folder: PathBuf,
    /// What sites share: files of a tool's own that it unpacks once.
    pub shared: &'a Path,
    /// The action, compiled.
    pub action: &'a Path,
    /// The floe that is measured.
    pub floe: &'a Path,
}

impl Site<'_> {
    /// Where sources, the description and, for most, outputs lie.
    pub fn tree(&self) -> PathBuf {
        self.folder.join("tree")
    }

    /// The file to which each action adds a byte, where its sandbox lets it.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Writes all sources as they are before any edit, and an empty folder for outputs.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_sources(&self) -> Result<()> {
        for name in ["src", "out"] {
            fs::create_dir_all(self.tree().join(name))?;
        }
        for action in 0..self.workload.actions() {
            fs::write(self.source(action), Workload::source(action))?;
        }
        Ok(())
    }

    /// The source of an action.
    pub fn source(&self, action: usize) -> PathBuf {
        self.tree().join(format!("src/s{action}"))
    }

    /// Writes a file of the system's description.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let file = self.tree().join(name);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    /// The output of an action where outputs lie in the tree, relative to it.
    pub fn built(action: usize, output: Output) -> String {
        format!("out/s{action}.{}", output.letter())
    }

    /// The inputs of an action where outputs lie in the tree: as the description lists them.
    pub fn input_files(&self, action: usize) -> String {
        let reads = self.workload.reads[action].iter();
        let files: Vec<String> = reads.map(|(used, output)| Self::built(*used, *output)).collect();
        files.join(" ")
    }

    /// The command of an action where outputs lie in the tree, with flags of the action's.
    pub fn command(&self, action: usize, flags: &str) -> String {
        let list = |of| {
            let files = self.workload.inputs(action, of).map(|used| Self::built(used, of));
            files.collect::<Vec<_>>().join(" ")
        };
        let words = [
            self.action.display().to_string(),
            flags.to_owned(),
            Self::built(action, Output::A),
            Self::built(action, Output::B),
            format!("src/s{action}"),
            list(Output::A),
            "-b".to_owned(),
            list(Output::B),
        ];
        words.iter().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>().join(" ")
    }

    /// The outputs that are asked for, where outputs lie in the tree.
    pub fn wanted(&self) -> String {
        let sinks = self.workload.sinks();
        let files: Vec<String> =
            sinks.iter().map(|action| Self::built(*action, Output::A)).collect();
        files.join(" ")
    }
}

/// A build that succeeded: how many actions ran, and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// Actions that ran.
    pub actions: usize,
    /// Until the command returned.
    pub wall_ms: f64,
    /// Of the command, its children and, where there is one, the server and its children.
    pub cpu_ms: f64,
    /// The most memory that one process held; of a server, since it began.
    pub peak_kb: u64,
}

/// A build system at a site.
pub trait System {
    /// Writes what describes the graph; sources are there, and nothing else.
    ///
    /// # Errors
    /// A file cannot be written, or the system cannot be set up.
    fn describe(&mut self) -> Result<()>;

    /// Builds what is asked for.
    ///
    /// # Errors
    /// The build fails, or what it says cannot be read.
    fn build(&mut self) -> Result<Built>;

    /// What the last build left in an output of a sink.
    ///
    /// # Errors
    /// It cannot be read.
    fn output(&self, action: usize, output: Output) -> Result<String>;

    /// How long an edit must be apart from what was before, to be seen.
    fn pause(&self) -> Duration {
        Duration::from_millis(20)
    }

    /// Whether a server stays between builds.
    fn serves(&self) -> bool {
        false
    }

    /// Ends what it left running.
    ///
    /// # Errors
    /// It does not end.
    fn stop(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Opens a system at a site.
type Open = for<'a> fn(&'a Site<'a>) -> Box<dyn System + 'a>;

/// Where a program is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Package {
    /// A package of Debian's.
    Debian(&'static str),
    /// One of the Python package index.
    Python(&'static str),
}

impl Package {
    /// The command that installs it.
    pub fn install(self) -> String {
        match self {
            Self::Debian(name) => format!("apt-get install {name}"),
            Self::Python(name) => format!("pip install {name}"),
        }
    }
}

/// A build system, before it works anywhere.
pub struct Kind {
    /// As descriptions and rows name it.
    pub name: &'static str,
    /// As the report names it.
    pub title: &'static str,
    /// How it is set up, where a reader might ask.
    pub terms: &'static str,
    /// The programs it needs, its own first, and where they are from; floe needs none.
    pub programs: &'static [(&'static str, Package)],
    /// Whether an action sees only what it may.
    pub sandboxed: bool,
    /// What an edit takes for each action of the graph, roughly, in any unit: for the estimate of what is left.
    pub price: f64,
    /// At a site.
    pub open: Open,
}

/// All that can be measured, in the report's order.
pub const SYSTEMS: [Kind; 11] = [
    Kind {
        name: "make",
        title: "make",
        terms: "grouped targets, times of files",
        programs: &[("make", Package::Debian("make"))],
        sandboxed: false,
        price: 3.0,
        open: |site| Box::new(make::Make { site }),
    },
    Kind {
        name: "ninja",
        title: "ninja",
        terms: "times of files",
        programs: &[("ninja", Package::Debian("ninja-build"))],
        sandboxed: false,
        price: 5.0,
        open: |site| Box::new(ninja::Ninja { site, restat: false }),
    },
    Kind {
        name: "ninja-restat",
        title: "ninja with restat",
        terms: "actions leave equal outputs alone, and `restat` looks at that",
        programs: &[("ninja", Package::Debian("ninja-build"))],
        sandboxed: false,
        price: 1.5,
        open: |site| Box::new(ninja::Ninja { site, restat: true }),
    },
    Kind {
        name: "tup",
        title: "tup",
        terms: "the flag `^o^`, so that equal outputs stop a change",
        programs: &[("tup", Package::Debian("tup")), ("fusermount3", Package::Debian("fuse3"))],
        sandboxed: false,
        price: 3.5,
        open: |site| Box::new(tup::Tup { site }),
    },
    Kind {
        name: "bazel",
        title: "Bazel",
        terms: "its server warm, each action in its sandbox (`linux-sandbox`)",
        programs: &[("bazel", Package::Debian("bazel-bootstrap"))],
        sandboxed: true,
        price: 14.0,
        open: |site| Box::new(bazel::Bazel::new(site, bazel::SANDBOXED)),
    },
    Kind {
        name: "bazel-local",
        title: "local Bazel",
        terms: "its server warm, no sandbox (`local`), and `--watchfs`",
        programs: &[("bazel", Package::Debian("bazel-bootstrap"))],
        sandboxed: false,
        price: 9.0,
        open: |site| Box::new(bazel::Bazel::new(site, bazel::LOCAL)),
    },
    Kind {
        name: "nix-input",
        title: "input-addressed Nix",
        terms: "sandboxed (and never without), with a store of its own and no daemon",
        programs: &[("nix-build", Package::Debian("nix-bin"))],
        sandboxed: true,
        price: 40.0,
        open: |site| Box::new(nix::Nix::new(site, nix::Addressing::Inputs)),
    },
    Kind {
        name: "nix-content",
        title: "content-addressed Nix",
        terms: "like input-addressed Nix, with floating outputs",
        programs: &[("nix-build", Package::Debian("nix-bin"))],
        sandboxed: true,
        price: 25.0,
        open: |site| Box::new(nix::Nix::new(site, nix::Addressing::Content)),
    },
    Kind {
        name: "buildstream",
        title: "BuildStream",
        terms: "sandboxed, strict as it comes, with a kind of element whose only command is the action",
        programs: &[
            ("bst", Package::Python("BuildStream")),
            ("bwrap", Package::Debian("bubblewrap")),
            ("fusermount3", Package::Debian("fuse3")),
        ],
        sandboxed: true,
        price: 150.0,
        open: |site| Box::new(buildstream::BuildStream { site }),
    },
    Kind {
        name: "floe",
        title: "floe",
        terms: "alone (`--no-server`), sandboxed, on the expressions of input-addressed Nix",
        programs: &[],
        sandboxed: true,
        price: 5.0,
        open: |site| Box::new(floe::Alone::new(site)),
    },
    Kind {
        name: "floe-server",
        title: "floe with its server",
        terms: "like floe alone, through its resident server (`--server`)",
        programs: &[],
        sandboxed: true,
        price: 5.0,
        open: |site| Box::new(floe::Served::new(site)),
    },
];

/// The system of a name.
pub fn named(name: &str) -> Option<&'static Kind> {
    SYSTEMS.iter().find(|kind| kind.name == name)
}
