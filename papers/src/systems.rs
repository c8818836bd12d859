//! The published systems, each a scheduler and a rebuilder, with its source and with what the model leaves out. Nothing
//! here decides what a system is good for: the laws do, and the tables say.

use crate::rebuilder::{
    Approximate, Constructive, Deep, Dependencies, Depth, DirtyBit, Grain, ModTime, Observed,
    Perpetual, Rebuilder, Retargeting, StepTraces, Verifying,
};
use crate::scheduler::{Chain, Forward, Independent, Queue, Scheduler, Suspending, Topological};
use crate::store::Naming;
use crate::system::{System, View};
use crate::trace::Memory;

/// A system that can be made anew as often as one likes.
#[derive(Clone, Copy)]
pub struct Model {
    /// What it is called.
    pub name: &'static str,
    /// Its column in the paper's table.
    pub scheduler: &'static str,
    /// Its row.
    pub rebuilder: &'static str,
    /// What it keeps between builds.
    pub keeps: &'static str,
    /// Where it is described.
    pub source: &'static str,
    /// What the model leaves out.
    pub simplified: &'static str,
    /// A fresh one.
    pub make: fn() -> System,
}

const PLAIN: View = View { self_tracking: false, outputs_apart: false };
const TRACKED: View = View { self_tracking: true, outputs_apart: false };
const APART: View = View { self_tracking: false, outputs_apart: true };
const TRACKED_APART: View = View { self_tracking: true, outputs_apart: true };

fn of(
    scheduler: impl Scheduler + 'static,
    rebuilder: impl Rebuilder + 'static,
    view: View,
) -> System {
    System::new(scheduler, rebuilder, view)
}

fn mentioned(restat: bool) -> ModTime {
    ModTime::new(Dependencies::Mentioned, restat)
}

fn recorded(restat: bool) -> ModTime {
    ModTime::new(Dependencies::Recorded, restat)
}

/// The systems in the order of the tables.
pub const MODELS: [Model; 22] = [
    Model {
        name: "Make",
        scheduler: "topological",
        rebuilder: "modification time",
        keeps: "the file system's times",
        source: "Feldman, Make: A Program for Maintaining Computer Programs (1979); JFP section 6.2",
        simplified: "a clock ticks with every write, so equal times never occur; no pattern rules, no phony targets",
        make: || of(Topological, mentioned(false), APART),
    },
    Model {
        name: "Excel",
        scheduler: "restarting (calc chain)",
        rebuilder: "dirty bit",
        keeps: "dirty bits, calc chain",
        source: "JFP sections 2.2, 5.1 and 6.3",
        simplified: "the bits are set from all that formulas mention, both branches of an IF included",
        make: || of(Chain::default(), DirtyBit::default(), TRACKED),
    },
    Model {
        name: "Ninja",
        scheduler: "topological",
        rebuilder: "modification time",
        keeps: "times, hashes of command lines",
        source: "Martin, The Performance of Open Source Software: Ninja (2013); Ninja's manual",
        simplified: "no depfiles. The paper puts Ninja under verifying traces, but its log holds times, not hashes of inputs",
        make: || of(Topological, mentioned(false), TRACKED_APART),
    },
    Model {
        name: "Ninja with restat",
        scheduler: "topological",
        rebuilder: "modification time",
        keeps: "times, hashes of command lines",
        source: "Ninja's manual, `restat`",
        simplified: "every command leaves an output alone that would not change; no depfiles",
        make: || of(Topological, mentioned(true), TRACKED_APART),
    },
    Model {
        name: "Tup",
        scheduler: "topological",
        rebuilder: "modification time, as recorded",
        keeps: "database of files and links",
        source: "Shal, Build System Rules and Algorithms (2009)",
        simplified: "Tup goes from changed files upwards and touches nothing else; which commands run is the same. Command lines are tracked",
        make: || of(Topological, recorded(false), TRACKED_APART),
    },
    Model {
        name: "Tup with ^o^",
        scheduler: "topological",
        rebuilder: "modification time, as recorded",
        keeps: "database of files and links",
        source: "tup(1), the ^o^ flag",
        simplified: "as Tup; outputs are compared after each command",
        make: || of(Topological, recorded(true), TRACKED_APART),
    },
    Model {
        name: "Redo",
        scheduler: "suspending",
        rebuilder: "modification time, as recorded",
        keeps: "stamps of what each target asked for",
        source: "Bernstein's design notes (2003); Pennarun's redo; Grosskurth, Purely top-down software rebuilding (2007)",
        simplified: "one output a target; no redo-ifcreate and no redo-stamp; a .do file is what its text says",
        make: || of(Suspending, recorded(false), TRACKED_APART),
    },
    Model {
        name: "Shake",
        scheduler: "suspending",
        rebuilder: "verifying step traces",
        keeps: "dependency graph with build numbers",
        source: "Mitchell, Shake Before Building (ICFP 2012); JFP sections 5.2.2 and 6.4",
        simplified: "rules are not tracked (Shake has shakeVersion for that)",
        make: || of(Suspending, StepTraces::default(), APART),
    },
    Model {
        name: "Bazel",
        scheduler: "restarting (queue)",
        rebuilder: "verifying traces",
        keeps: "action cache, one entry an action",
        source: "JFP sections 2.4 and 6.5; Bazel's documentation of remote caching",
        simplified: "without a disk or remote cache; the loading of rules, and Skyframe itself, are left out",
        make: || of(Queue, Verifying::default(), TRACKED_APART),
    },
    Model {
        name: "Bazel with a cache",
        scheduler: "restarting (queue)",
        rebuilder: "constructive traces",
        keeps: "cloud cache, command history",
        source: "JFP sections 2.4 and 6.5",
        simplified: "the cache never forgets by itself; results are fetched at once",
        make: || of(Queue, Constructive::new(Memory::All, Naming::Place), TRACKED_APART),
    },
    Model {
        name: "CloudBuild",
        scheduler: "topological",
        rebuilder: "constructive traces",
        keeps: "cloud cache, command history",
        source: "Esfahani et al., CloudBuild (ICSE SEIP 2016); JFP section 6.5",
        simplified: "no distribution, no prediction of reads; the key is of whole declared inputs",
        make: || of(Topological, Constructive::new(Memory::All, Naming::Place), TRACKED),
    },
    Model {
        name: "Buck",
        scheduler: "topological",
        rebuilder: "deep constructive traces",
        keeps: "cloud cache by rule key",
        source: "JFP section 6.5; Buck's documentation of rule keys",
        simplified: "no input-based rule keys, which gave later versions some cutoff",
        make: || of(Topological, Deep::new(Naming::Place), TRACKED),
    },
    Model {
        name: "Buck2 (DICE)",
        scheduler: "suspending",
        rebuilder: "constructive traces, shallow",
        keeps: "graph in memory, cloud cache",
        source: "Buck2's documentation: DICE, and deferred materialisation",
        simplified: "the graph in memory and the action cache are one; dynamic outputs are looks found while running",
        make: || {
            of(Suspending, Constructive::new(Memory::All, Naming::Place).shallow(), TRACKED_APART)
        },
    },
    Model {
        name: "Nix, input-addressed",
        scheduler: "suspending",
        rebuilder: "deep constructive traces",
        keeps: "store by input hash",
        source: "Dolstra, The Purely Functional Software Deployment Model (2006); JFP section 6.5",
        simplified: "evaluation is left out: a derivation is known at once; fixed outputs are sources; a dynamic dependency is an import from a derivation",
        make: || of(Suspending, Deep::new(Naming::Inputs), TRACKED),
    },
    Model {
        name: "Nix, content-addressed",
        scheduler: "suspending",
        rebuilder: "constructive traces",
        keeps: "store by content, realisations",
        source: "Dolstra's thesis, chapter 6 (intensional store); Nix RFC 62",
        simplified: "self-references are left out; realisations are trusted",
        make: || of(Suspending, Constructive::new(Memory::All, Naming::Content), TRACKED),
    },
    Model {
        name: "Cloud Shake",
        scheduler: "suspending",
        rebuilder: "constructive traces",
        keeps: "cloud cache, command history",
        source: "JFP sections 6.5 and 7",
        simplified: "rules are not tracked",
        make: || of(Suspending, Constructive::new(Memory::All, Naming::Place), APART),
    },
    Model {
        name: "Fabricate",
        scheduler: "forward",
        rebuilder: "observed traces",
        keeps: "hashes of files read, by command",
        source: "McCloskey's memoize; Hoyt, Fabricate (2009)",
        simplified: "a listing of a directory and an absent file count as looks, which Fabricate misses",
        make: || of(Forward, Observed::new(Memory::Latest), TRACKED),
    },
    Model {
        name: "Rattle",
        scheduler: "forward",
        rebuilder: "observed traces, shared",
        keeps: "traces and a cloud cache",
        source: "Spall, Mitchell, Tobin-Hochstadt, Build Scripts with Perfect Dependencies (OOPSLA 2020)",
        simplified: "with several workers it speculates, and finds a hazard at the look; otherwise hazards cannot arise",
        make: || of(Forward, Observed::new(Memory::All), TRACKED),
    },
    Model {
        name: "Riker",
        scheduler: "forward",
        rebuilder: "observed traces",
        keeps: "one trace of the whole build",
        source: "Curtsinger, Barowy, Riker (USENIX ATC 2022); LaForge (2021)",
        simplified: "predicates on metadata and on ends of processes are left out; child processes are commands of their own",
        make: || of(Forward, Observed::new(Memory::Latest), TRACKED),
    },
    Model {
        name: "floe, content-addressed",
        scheduler: "topological",
        rebuilder: "constructive traces, shallow",
        keeps: "build trace over resolved derivations",
        source: "floe's ARCHITECTURE.md",
        simplified: "self-references and failures that are no values are left out; held against the engine by its tests",
        make: || {
            of(Topological, Constructive::new(Memory::All, Naming::Content).shallow(), TRACKED)
        },
    },
    Model {
        name: "floe, normalised",
        scheduler: "topological",
        rebuilder: "retargeting, whole inputs",
        keeps: "build trace, normal forms",
        source: "floe's design",
        simplified: "as above; names are whole tokens, which a certificate must vouch for in real files",
        make: || of(Topological, Retargeting::new(Grain::Whole), TRACKED),
    },
    Model {
        name: "floe, observed",
        scheduler: "topological",
        rebuilder: "retargeting, what was read",
        keeps: "build trace, observations",
        source: "floe's design",
        simplified: "as above; every look is recorded",
        make: || of(Topological, Retargeting::new(Grain::Looks), TRACKED),
    },
];

/// Combinations that no published system uses, for laws and for the paper's questions.
pub const OTHERS: [Model; 8] = [
    other("dirty bits without forgetting", || of(Suspending, DirtyBit::default(), PLAIN)),
    other("approximate dirty bits", || of(Suspending, Approximate::default(), PLAIN)),
    other("verifying traces, suspending", || of(Suspending, Verifying::default(), TRACKED)),
    other("step traces, restarting", || of(Queue, StepTraces::default(), TRACKED)),
    other("traces of depth 1", || of(Suspending, Depth::new(1), TRACKED)),
    other("traces of depth 2", || of(Suspending, Depth::new(2), TRACKED)),
    other("perpetual", || of(Suspending, Perpetual, TRACKED)),
    other("independent", || of(Independent, Verifying::default(), TRACKED)),
];

const fn other(name: &'static str, make: fn() -> System) -> Model {
    Model {
        name,
        scheduler: "",
        rebuilder: "",
        keeps: "",
        source: "JFP sections 4 and 5",
        simplified: "",
        make,
    }
}

/// The model of this name.
pub fn model(name: &str) -> Option<&'static Model> {
    MODELS.iter().chain(&OTHERS).find(|model| model.name == name)
}
