//! The command line: what can be said, and the help that explains it. No work is done here.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand};
use floe_engine::dynamic::Limits;
use floe_lang::profile::Format;

use crate::profiling::CallsTo;

/// A content-addressed, incremental build engine that speaks the Nix language.
#[derive(Debug, Parser)]
#[command(
    name = "floe",
    version,
    max_term_width = 100,
    after_help = "Exit status: 0 done; 1 an expression, an argument or the store is at fault; 2 the command line \
                  is; 100 a build failed; 104 a checked build differs; 130 interrupted.\n\
                  Start with:  floe build -f pkgs zlib        (then patch it and build again)"
)]
pub struct Cli {
    /// What everything else is about.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The store root: a directory that you own [default: $XDG_DATA_HOME/floe]
    #[arg(long, global = true, env = "FLOE_ROOT", hide_env_values = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Fail at once when another floe holds the store root, rather than waiting
    #[arg(long, global = true)]
    pub no_wait: bool,
    /// Say less: results and errors only
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Show what happens as a tree, as plain lines, as json, or none of it [default: a tree on a
    /// terminal, lines elsewhere] [env: FLOE_PROGRESS]
    #[arg(
        long,
        global = true,
        env = "FLOE_PROGRESS",
        hide_env = true,
        value_name = "FORM",
        default_value = "auto",
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub progress: crate::progress::Form,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build derivations and print their output paths
    Build(Build),
    /// Build a derivation and run its main program, with the store at /nix/store
    Run(Run),
    /// Open a shell (or run a command) with packages on PATH and the store at /nix/store
    Shell(Shell),
    /// Evaluate an expression and print its value
    Eval(Eval),
    /// Print an expression as it was read: operators in parentheses, sugar resolved
    Parse(Source),
    /// Evaluate expressions as you type them, or as a pipe brings them
    Repl(Repl),
    /// Look at derivations
    #[command(subcommand)]
    Derivation(Derivation),
    /// Say what is known of store paths
    PathInfo(PathInfo),
    /// Print the log of a build
    Log(Log),
    /// Say why derivations were built, cut off or reused, down to the file that was edited
    Explain(Explain),
    /// Say what a patch would have rebuilt, how likely and how long, and build nothing
    Predict(Predict),
    /// Say how good predictions were
    Stats(Stats),
    /// Set what requests decided side by side, from the files that `floe build --report` wrote
    Report(Report),
    /// Run a script of edits under several rebuilders and schedulers, side by side
    Matrix(Matrix),
    /// List, run and render the studies of what edits cost (in floe's sources)
    #[command(disable_help_flag = true)]
    Experiment(Experiment),
    /// Look after the store
    #[command(subcommand)]
    Store(StoreCommand),
    /// Import this host's toolchain as the seed of all builds, or say where it is
    Seed(Seed),
    /// Run, look at or end the resident server of the store
    #[command(subcommand)]
    Server(ServerCommand),
    /// Say which sandbox layers this host gives, and how to get the others
    Doctor(Doctor),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Where expressions come from.
#[derive(Debug, Clone, Default, Args)]
pub struct Source {
    /// Evaluate this file, or this directory's default.nix [default: .]
    #[arg(long, short, value_name = "FILE", conflicts_with = "expr")]
    pub file: Option<PathBuf>,
    /// Evaluate this text
    #[arg(long, short = 'E', value_name = "EXPR")]
    pub expr: Option<String>,
    /// Add an entry to the search path: NAME=DIR, or DIR
    #[arg(short = 'I', long = "include", value_name = "PATH")]
    pub include: Vec<String>,
    /// Pass the value of an expression to the top-level function
    #[arg(long, num_args = 2, value_names = ["NAME", "EXPR"], action = clap::ArgAction::Append)]
    pub arg: Vec<String>,
    /// Pass a string to the top-level function
    #[arg(long, num_args = 2, value_names = ["NAME", "STRING"], action = clap::ArgAction::Append)]
    pub argstr: Vec<String>,
    /// Set one of Nix's settings for evaluation: allow-import-from-derivation, pure-eval,
    /// tarball-ttl
    #[arg(long, num_args = 2, value_names = ["NAME", "VALUE"], action = clap::ArgAction::Append)]
    pub option: Vec<String>,
    /// Show every frame of an evaluation error
    #[arg(long)]
    pub show_trace: bool,
    /// Write where evaluation's time goes to a file, and say on standard error what took the most;
    /// with `floe build` and in Chrome's form, of the whole request and its critical path
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// The profile's form: folded stacks for flame graphs (speedscope, inferno), or Chrome's trace
    /// (Perfetto) [default: chrome for a .json file, else folded]
    #[arg(long, value_name = "FORM", requires = "profile")]
    pub profile_format: Option<ProfileFormat>,
    /// Print what evaluation made and did, as JSON on standard error (NIX_SHOW_STATS=1; calls one
    /// by one with NIX_COUNT_CALLS=1)
    #[arg(long)]
    pub stats: bool,
    /// What only the faces of Nix's commands set
    #[arg(skip)]
    pub nix: Option<NixFace>,
    /// Where calls go that are part of a whole request's profile
    #[arg(skip)]
    pub calls_to: Option<CallsTo>,
}

impl Source {
    /// The form of the profile.
    pub fn format(&self) -> Format {
        match (self.profile_format, &self.profile) {
            (Some(ProfileFormat::Chrome), _) => Format::Chrome,
            (None, Some(file)) => Format::of(file),
            (Some(ProfileFormat::Folded), _) | (None, None) => Format::Folded,
        }
    }
}

/// A form of profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ProfileFormat {
    /// A line for each stack
    Folded,
    /// Trace events as JSON
    Chrome,
}

/// How evaluation differs under the names of Nix's commands: errors have C++ Nix's layout.
#[derive(Debug, Clone, Default)]
pub struct NixFace {
    /// The expression is this text from standard input.
    pub stdin: Option<Vec<u8>>,
    /// `builtins.traceVerbose` prints.
    pub trace_verbose: bool,
    /// `builtins.warn` fails.
    pub abort_on_warn: bool,
    /// `builtins.fromTOML` takes dates and times.
    pub toml_timestamps: bool,
    /// Calls nested deeper are an error.
    pub max_call_depth: Option<u32>,
    /// Syntax to allow, to warn of and to refuse.
    pub features: floe_lang::syntax::Features,
}

/// How to build.
#[derive(Debug, Clone, Args)]
pub struct Building {
    /// The rebuilder: content-addressed (early cutoff), input-addressed (plain Nix, floating
    /// derivations included), or as-written (Nix with ca-derivations; what `nix-build` means). For
    /// comparison, those of the literature: dirty-bit, verifying, step, constructive,
    /// deep-constructive, depth-1 to depth-9
    #[arg(long, default_value = "content-addressed", value_name = "NAME")]
    pub rebuilder: floe_engine::rebuilder::Strategy,
    /// What becomes of an evaluation that wants to read what is not built, and of a user of what a
    /// derivation gives that a builder makes: it waits (suspending), everything is looked at again
    /// (restarting), or it is refused (topological)
    #[arg(long, default_value = "suspending", value_name = "NAME")]
    pub scheduler: floe_engine::scheduling::Scheduling,
    /// Builders at the same time [default: the number of processors]
    #[arg(long = "max-jobs", short = 'j', value_name = "N")]
    pub jobs: Option<usize>,
    /// NIX_BUILD_CORES of each builder [default: the number of processors]
    #[arg(long, value_name = "N")]
    pub cores: Option<usize>,
    /// Go on with what does not depend on a failed build
    #[arg(long, short)]
    pub keep_going: bool,
    /// Leave the build directories of failed builders behind
    #[arg(long, short = 'K')]
    pub keep_failed: bool,
    /// Print the builders' output
    #[arg(long, short = 'L')]
    pub print_build_logs: bool,
    /// End a builder after so many seconds
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// End a builder that is silent for so many seconds
    #[arg(long, value_name = "SECONDS")]
    pub max_silent_time: Option<u64>,
    /// End a builder that prints more than so many bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    pub max_log_size: u64,
    /// Give each process of a builder at most so many bytes of memory of its own
    #[arg(long, value_name = "BYTES")]
    pub max_memory: Option<u64>,
    /// Give a builder at most so many processes and threads at the same time (where root builds,
    /// up to 300 more, and Linux 6.14 is needed)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_processes: Option<u32>,
    /// Let a builder write no file of more bytes
    #[arg(long, value_name = "BYTES")]
    pub max_file_size: Option<u64>,
    /// Fetch no file of more bytes
    #[arg(long, value_name = "BYTES", default_value_t = floe_engine::local::MAX_DOWNLOAD_BYTES)]
    pub max_download_size: u64,
    /// Let no more than so many derivations be made by each other's builders, one after another
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_depth)]
    pub max_dynamic_depth: u32,
    /// Let builders add no more than so many derivations to what is built
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_derivations as u64)]
    pub max_dynamic_derivations: u64,
    /// Build although this sandbox layer is missing (see `floe doctor`)
    #[arg(long, value_name = "LAYER")]
    pub allow_missing_layer: Vec<String>,
    /// Give fixed-output builders the host's own network
    #[arg(long)]
    pub host_network: bool,
}

impl Building {
    /// What is meant where the command line says nothing.
    pub fn plain(rebuilder: floe_engine::rebuilder::Strategy) -> Building {
        Building {
            rebuilder,
            scheduler: floe_engine::scheduling::Scheduling::default(),
            jobs: None,
            cores: None,
            keep_going: false,
            keep_failed: false,
            print_build_logs: false,
            timeout: None,
            max_silent_time: None,
            max_log_size: 1 << 30,
            max_memory: None,
            max_processes: None,
            max_file_size: None,
            max_download_size: floe_engine::local::MAX_DOWNLOAD_BYTES,
            max_dynamic_depth: Limits::default().max_depth,
            max_dynamic_derivations: Limits::default().max_derivations as u64,
            allow_missing_layer: Vec::new(),
            host_network: false,
        }
    }
}

/// `floe build`.
#[derive(Debug, Args)]
pub struct Build {
    /// Where the expression comes from
    #[command(flatten)]
    pub source: Source,
    /// How to build
    #[command(flatten)]
    pub building: Building,
    /// Attribute paths to build; everything if none is given
    #[arg(value_name = "ATTR")]
    pub attrs: Vec<String>,
    /// Where to link the results
    #[arg(long, short, default_value = "result", value_name = "LINK")]
    pub out_link: PathBuf,
    /// Make no links
    #[arg(long)]
    pub no_link: bool,
    /// Print where the bytes lie, not the logical paths
    #[arg(long)]
    pub physical: bool,
    /// Say what would be built, how likely and how long, and build nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Make the derivations asked for again, though they are built, and fail where they differ
    #[arg(long, visible_alias = "rebuild", conflicts_with = "dry_run")]
    pub check: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// Write a report of every decision as JSON lines
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Leave derivations that were reused out of the report
    #[arg(long, requires = "report")]
    pub report_changed: bool,
    /// Have the store's resident server build, which is started if there is none
    #[arg(long, env = "FLOE_SERVER", value_parser = FalseyValueParser::new(), hide_env_values = true)]
    pub server: bool,
    /// Build in this process, whatever else is asked for
    #[arg(long)]
    pub no_server: bool,
    /// Build again whenever a file changes that the build rests on, until interrupted
    #[arg(long, conflicts_with_all = ["no_server", "profile"])]
    pub watch: bool,
}

/// `floe run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Where the expression comes from
    #[command(flatten)]
    pub source: Source,
    /// How to build
    #[command(flatten)]
    pub building: Building,
    /// The attribute path of the derivation
    #[arg(value_name = "ATTR")]
    pub attr: Option<String>,
    /// Arguments of the program
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

/// `floe shell`.
#[derive(Debug, Args)]
pub struct Shell {
    /// Where the expression comes from
    #[command(flatten)]
    pub source: Source,
    /// How to build
    #[command(flatten)]
    pub building: Building,
    /// Attribute paths of the packages
    #[arg(value_name = "ATTR")]
    pub attrs: Vec<String>,
    /// A command to run instead of the shell
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `floe eval`.
#[derive(Debug, Args)]
pub struct Eval {
    /// Where the expression comes from
    #[command(flatten)]
    pub source: Source,
    /// The attribute path to print
    #[arg(value_name = "ATTR")]
    pub attr: Option<String>,
    /// Print JSON
    #[arg(long, conflicts_with_all = ["raw", "xml"])]
    pub json: bool,
    /// Print XML, with the places of attributes and functions
    #[arg(long, conflicts_with = "raw")]
    pub xml: bool,
    /// Print a string without quotes
    #[arg(long)]
    pub raw: bool,
    /// Evaluate everything below as well
    #[arg(long)]
    pub strict: bool,
    /// Apply this function to the value first
    #[arg(long, value_name = "EXPR")]
    pub apply: Option<String>,
}

/// `floe repl`.
#[derive(Debug, Args)]
pub struct Repl {
    /// Where the expression comes from whose attributes get names [default: none]
    #[command(flatten)]
    pub source: Source,
    /// Files to load: the attributes of their values get names
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// `floe derivation`.
#[derive(Debug, Subcommand)]
pub enum Derivation {
    /// Print derivations as JSON, as evaluated (never lifted)
    Show {
        /// Where the expression comes from
        #[command(flatten)]
        source: Source,
        /// Attribute paths
        #[arg(value_name = "ATTR")]
        attrs: Vec<String>,
        /// Everything they depend on as well
        #[arg(long, short)]
        recursive: bool,
    },
}

/// `floe path-info`.
#[derive(Debug, Args)]
pub struct PathInfo {
    /// Store paths, their base names, or links to them
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Everything they refer to as well
    #[arg(long, short)]
    pub recursive: bool,
}

/// `floe log`.
#[derive(Debug, Args)]
pub struct Log {
    /// A store path, a link to one, a .drv path, or the name of a task (see `floe explain`)
    #[arg(value_name = "WHAT")]
    pub what: String,
}

/// `floe explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// A store path, a link to one, or an attribute path or name that was built [default: all that
    /// anything happened to]
    #[arg(value_name = "WHAT")]
    pub what: Option<String>,
    /// Compare with how things stood after this request: a number of --list, -3 for three requests
    /// ago, a time such as 2026-11-27T10:00, or a Git revision of the sources, such as HEAD~1, that a
    /// request saw [default: before the last time that anything happened]
    #[arg(long, value_name = "REQUEST", allow_hyphen_values = true, value_parser = crate::time::since)]
    pub since: Option<crate::time::Named>,
    /// The rebuilder whose records to read
    #[arg(long, default_value = "content-addressed", value_name = "NAME")]
    pub rebuilder: floe_engine::rebuilder::Strategy,
    /// List the requests that can be looked back to
    #[arg(long, conflicts_with_all = ["what", "since", "html", "svg"])]
    pub list: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Draw the graph, coloured by what was decided, on a page of its own
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// The same as a picture
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// `floe predict`.
#[derive(Debug, Args)]
#[command(
    after_help = "The patch is applied to what is evaluated, never to your files. Probabilities come from what \
                        former builds of the store did; each build scores them (see `floe stats`)."
)]
pub struct Predict {
    /// Where the expression comes from
    #[command(flatten)]
    pub source: Source,
    /// How to build
    #[command(flatten)]
    pub building: Building,
    /// Attribute paths; everything if none is given
    #[arg(value_name = "ATTR")]
    pub attrs: Vec<String>,
    /// A unified diff, as `git diff` and `diff -u` write it; - for standard input [default: the
    /// files as they are]
    #[arg(long, value_name = "FILE")]
    pub patch: Option<PathBuf>,
    /// The folder that the patch's names start from [default: the expression's own, or the first
    /// above it that has the files]
    #[arg(long, value_name = "DIR", requires = "patch")]
    pub directory: Option<PathBuf>,
    /// Leading folders to leave out of the patch's names
    #[arg(long, value_name = "N", default_value_t = 1, requires = "patch")]
    pub strip: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `floe stats`.
#[derive(Debug, Args)]
pub struct Stats {
    /// The rebuilder whose builds count
    #[arg(long, default_value = "content-addressed", value_name = "NAME")]
    pub rebuilder: floe_engine::rebuilder::Strategy,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `floe experiment`, a program of its own.
#[derive(Debug, Args)]
pub struct Experiment {
    /// What `floe-experiment` is told
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    pub arguments: Vec<std::ffi::OsString>,
}

/// `floe report`.
#[derive(Debug, Args)]
pub struct Report {
    /// Report files, a row each, in this order
    #[arg(required = true, value_name = "[LABEL=]FILE")]
    pub files: Vec<String>,
    /// Show also what evaluation took, and what floe itself did after it
    #[arg(long)]
    pub stages: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `floe matrix`.
#[derive(Debug, Args)]
#[command(
    after_help = "A script has a line 'build: ARGUMENTS' with what every step builds, then a line for each \
                        step: 'NAME: ARGUMENTS' builds with more arguments, 'NAME: $ COMMAND' runs a shell \
                        command first, in a copy of the script's directory."
)]
pub struct Matrix {
    /// The script of edits
    #[arg(value_name = "SCRIPT")]
    pub script: PathBuf,
    /// Only this rebuilder; may be given again [default: all, traces deeper than depth-2 apart]
    #[arg(long, value_name = "NAME")]
    pub rebuilder: Vec<floe_engine::rebuilder::Strategy>,
    /// Under this scheduler; may be given again [default: suspending]
    #[arg(long, value_name = "NAME")]
    pub scheduler: Vec<floe_engine::scheduling::Scheduling>,
    /// Print every step's figures as JSON
    #[arg(long)]
    pub json: bool,
}

/// `floe store`.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Add a file or directory and print its store path
    Add {
        /// What to add
        path: PathBuf,
        /// Its name in the store [default: the file's own]
        #[arg(long)]
        name: Option<String>,
        /// Hash the file's bytes instead of its archive
        #[arg(long)]
        flat: bool,
    },
    /// List the store's objects, or the files in one
    Ls {
        /// A store path, or a path below one
        path: Option<String>,
        /// Go into directories
        #[arg(long, short)]
        recursive: bool,
        /// Show types and sizes
        #[arg(long, short)]
        long: bool,
    },
    /// Print a file of the store
    Cat {
        /// A path below a store path, or a .drv
        path: String,
    },
    /// Hash every object again and compare
    Verify,
    /// Delete what no root reaches
    Gc {
        /// Say what would go, delete nothing
        #[arg(long)]
        dry_run: bool,
        /// Stop after so many bytes
        #[arg(long, value_name = "BYTES")]
        max_freed: Option<u64>,
        /// Forget what builds gave whose outputs are gone after so many days
        #[arg(long, value_name = "DAYS", default_value_t = 90)]
        trace_days: u32,
    },
}

/// `floe seed`.
#[derive(Debug, Args)]
pub struct Seed {
    /// Import again although there is a seed
    #[arg(long)]
    pub renew: bool,
    /// The list of packages to import [default: the one the package set is made for]
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,
}

/// `floe server`.
#[derive(Debug, Subcommand)]
pub enum ServerCommand {
    /// Be the server; `floe build --server` starts one itself
    Run {
        /// Leave the terminal and the current directory
        #[arg(long, hide = true)]
        detach: bool,
        /// End after so long without anybody who asks
        #[arg(long, value_name = "SECONDS", default_value_t = 1800, env = "FLOE_SERVER_IDLE")]
        idle: u64,
    },
    /// Say how the server is
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End the server once it has answered those who wait
    Stop,
}

/// `floe doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
