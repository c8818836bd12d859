//! The faces `nix-build` and `nix-instantiate`: the flags that Nix users' scripts pass, mapped to
//! floe's own commands. Reached by calling floe under those names.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser};
use floe_engine::rebuilder::Strategy;
use floe_lang::syntax::Features;
use floe_lang::syntax::lint::{Level, Lints};
use floe_lang::syntax::print::string;
use floe_server::answer;

use crate::args::{Building, Global, NixFace, ProfileFormat, Source};
use crate::command;
use crate::command::build::{
    answered, begin, carry_out, check, evaluate, fail_if_failed, link, options,
};
use crate::evaluate::Evaluation;
use crate::nixconf::Conf;
use crate::progress::{Form, Progress, Style};

/// What both take.
#[derive(Debug, Args)]
struct Common {
    /// Files to evaluate, `-` for standard input [default: ./default.nix]
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    /// Take the arguments as expressions
    #[arg(long, short = 'E')]
    expr: bool,
    /// Attribute paths
    #[arg(long = "attr", short = 'A', value_name = "ATTR")]
    attrs: Vec<String>,
    /// Pass the value of an expression to the top-level function
    #[arg(long, num_args = 2, value_names = ["NAME", "EXPR"], action = clap::ArgAction::Append)]
    arg: Vec<String>,
    /// Pass a string to the top-level function
    #[arg(long, num_args = 2, value_names = ["NAME", "STRING"], action = clap::ArgAction::Append)]
    argstr: Vec<String>,
    /// Add an entry to the search path
    #[arg(long, short = 'I', value_name = "PATH")]
    include: Vec<String>,
    /// Settings of Nix; those without a counterpart are accepted and have no effect
    #[arg(long, num_args = 2, value_names = ["NAME", "VALUE"], action = clap::ArgAction::Append)]
    option: Vec<String>,
    /// Experimental features of Nix; all that floe knows are always on
    #[arg(long, value_name = "FEATURES", visible_alias = "experimental-features")]
    extra_experimental_features: Vec<String>,
    /// Show every frame of an evaluation error
    #[arg(long, overrides_with = "no_show_trace")]
    show_trace: bool,
    /// Show the frames that matter
    #[arg(long)]
    no_show_trace: bool,
    /// Let builtins.traceVerbose print
    #[arg(long)]
    trace_verbose: bool,
    /// Let builtins.warn fail
    #[arg(long, env = "NIX_ABORT_ON_WARN", value_parser = clap::builder::FalseyValueParser::new())]
    abort_on_warn: bool,
    /// Calls nested deeper are an error
    #[arg(long)]
    max_call_depth: Option<u32>,
    /// What to do about unquoted URLs: ignore, warn or fatal
    #[arg(long, value_name = "LEVEL")]
    lint_url_literals: Option<String>,
    /// What to do about paths that begin with a name: ignore, warn or fatal
    #[arg(long, value_name = "LEVEL")]
    lint_short_path_literals: Option<String>,
    /// What to do about absolute paths: ignore, warn or fatal
    #[arg(long, value_name = "LEVEL")]
    lint_absolute_path_literals: Option<String>,
    /// Evaluate purely: no clock, no environment, no search path
    #[arg(long, overrides_with = "impure")]
    pure_eval: bool,
    /// Evaluate impurely, which is the default
    #[arg(long)]
    impure: bool,
    /// Say less
    #[arg(long, short)]
    quiet: bool,
    /// Builders at the same time
    #[arg(long, short = 'j')]
    max_jobs: Option<usize>,
    /// NIX_BUILD_CORES of each builder
    #[arg(long)]
    cores: Option<usize>,
    /// Go on after a failure
    #[arg(long, short)]
    keep_going: bool,
    /// Leave the build directories of failed builders behind
    #[arg(long, short = 'K')]
    keep_failed: bool,
    /// Print no builder's output
    #[arg(long, short = 'Q')]
    no_build_output: bool,
    /// End a builder after so many seconds
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// End a builder that is silent for so many seconds
    #[arg(long, value_name = "SECONDS")]
    max_silent_time: Option<u64>,
    /// Accepted; floe says all there is to say
    #[arg(long, short, visible_alias = "debug", action = clap::ArgAction::Count)]
    verbose: u8,
    /// Accepted; `--progress` of floe's own commands chooses a form
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Accepted; what cannot be substituted is built
    #[arg(long)]
    fallback: bool,
}

/// nix-build, as floe understands it.
#[derive(Debug, Parser)]
#[command(name = "nix-build", version, args_override_self = true)]
struct NixBuild {
    #[command(flatten)]
    common: Common,
    /// Where to link the results
    #[arg(long, short, default_value = "result")]
    out_link: PathBuf,
    /// Make no links
    #[arg(long, visible_alias = "no-link")]
    no_out_link: bool,
    /// Say what would be built
    #[arg(long)]
    dry_run: bool,
    /// Build again what is built, and fail where it differs
    #[arg(long, conflicts_with = "dry_run")]
    check: bool,
}

/// nix-instantiate, as floe understands it.
#[derive(Debug, Parser)]
#[command(name = "nix-instantiate", version, args_override_self = true)]
struct NixInstantiate {
    #[command(flatten)]
    common: Common,
    /// Print the value
    #[arg(long, alias = "eval-only")]
    eval: bool,
    /// Look the arguments up in the search path
    #[arg(long)]
    find_file: bool,
    /// Parse only
    #[arg(long, alias = "parse-only")]
    parse: bool,
    /// Evaluate everything below as well
    #[arg(long)]
    strict: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print XML
    #[arg(long, conflicts_with = "json")]
    xml: bool,
    /// Leave places out of XML
    #[arg(long)]
    no_location: bool,
    /// Print a string without quotes
    #[arg(long)]
    raw: bool,
    /// Write to the store what evaluation shows paths of
    #[arg(long)]
    read_write_mode: bool,
    /// Evaluate without one
    #[arg(long, alias = "dry-run")]
    readonly_mode: bool,
}

impl Common {
    fn global(&self) -> Global {
        Global {
            root: std::env::var_os("FLOE_ROOT").map(PathBuf::from),
            no_wait: false,
            quiet: self.quiet,
            progress: Form::Auto,
        }
    }

    /// How builders run.
    fn building(&self) -> Building {
        Building {
            jobs: self.max_jobs,
            cores: self.cores,
            keep_going: self.keep_going,
            keep_failed: self.keep_failed,
            print_build_logs: !self.no_build_output && !self.quiet,
            timeout: self.timeout,
            max_silent_time: self.max_silent_time,
            ..Building::plain(Strategy::AsWritten)
        }
    }

    /// The settings of files, the environment and the command line, the last winning.
    fn conf(&self) -> Conf {
        let mut conf = Conf::read();
        for pair in self.option.chunks_exact(2) {
            conf.set(&pair[0], &pair[1]);
        }
        for features in &self.extra_experimental_features {
            conf.set("extra-experimental-features", features);
        }
        let depth = self.max_call_depth.map(|depth| depth.to_string());
        for (name, value) in [
            ("show-trace", self.show_trace.then_some("true")),
            ("show-trace", self.no_show_trace.then_some("false")),
            ("trace-verbose", self.trace_verbose.then_some("true")),
            ("abort-on-warn", self.abort_on_warn.then_some("true")),
            ("max-call-depth", depth.as_deref()),
            ("lint-url-literals", self.lint_url_literals.as_deref()),
            ("lint-short-path-literals", self.lint_short_path_literals.as_deref()),
            ("lint-absolute-path-literals", self.lint_absolute_path_literals.as_deref()),
        ] {
            if let Some(value) = value {
                conf.set(name, value);
            }
        }
        conf
    }

    fn face(conf: &Conf) -> Result<NixFace> {
        let feature = |name| conf.has("experimental-features", name);
        let depth = conf.get("max-call-depth").map(str::parse).transpose();
        Ok(NixFace {
            stdin: None,
            trace_verbose: conf.is_on("trace-verbose"),
            abort_on_warn: conf.is_on("abort-on-warn"),
            toml_timestamps: feature("parse-toml-timestamps"),
            max_call_depth: depth.context("the setting 'max-call-depth' is no number")?,
            features: Features {
                pipe_operators: feature("pipe-operators"),
                lints: Lints {
                    url: level(conf, "lint-url-literals")?,
                    short_path: level(conf, "lint-short-path-literals")?,
                    absolute_path: level(conf, "lint-absolute-path-literals")?,
                },
            },
        })
    }

    /// Nix's settings, as options or as flags.
    fn options(&self) -> Vec<String> {
        let mut options = self.option.clone();
        if self.pure_eval && !self.impure {
            options.extend(["pure-eval".to_owned(), "true".to_owned()]);
        }
        options
    }

    /// What all sources share.
    fn base(&self) -> Result<Source> {
        let conf = self.conf();
        Ok(Source {
            include: self.include.clone(),
            arg: self.arg.clone(),
            argstr: self.argstr.clone(),
            option: self.options(),
            show_trace: conf.is_on("show-trace"),
            profile_format: Some(ProfileFormat::Folded),
            nix: Some(Common::face(&conf)?),
            profile: profile(&conf)?,
            ..Source::default()
        })
    }

    /// A source for each file or expression.
    fn sources(&self) -> Result<Vec<Source>> {
        let base = self.base()?;
        if self.files.is_empty() {
            return Ok(if self.expr { Vec::new() } else { vec![base] });
        }
        self.files
            .iter()
            .map(|word| {
                if word == "-" {
                    let mut text = Vec::new();
                    std::io::stdin()
                        .read_to_end(&mut text)
                        .context("cannot read standard input")?;
                    let mut source = base.clone();
                    if let Some(nix) = &mut source.nix {
                        nix.stdin = Some(text);
                    }
                    return Ok(source);
                }
                if self.expr {
                    return Ok(Source { expr: Some(word.clone()), ..base.clone() });
                }
                let name = word.strip_prefix('<').and_then(|word| word.strip_suffix('>'));
                Ok(match name.filter(|name| !name.is_empty()) {
                    Some(name) => {
                        let expr = format!("import ({})", finding(name));
                        Source { expr: Some(expr), ..base.clone() }
                    }
                    None => Source { file: Some(PathBuf::from(word)), ..base.clone() },
                })
            })
            .collect()
    }

    /// A source for each name that is to be found in the search path.
    fn names(&self) -> Result<Vec<Source>> {
        let base = self.base()?;
        let named = |name: &String| Source { expr: Some(finding(name)), ..base.clone() };
        Ok(self.files.iter().map(named).collect())
    }
}

/// What finds a name in the search path, as an expression.
fn finding(name: &str) -> String {
    let mut literal = Vec::new();
    string(&mut literal, name.as_bytes());
    format!("builtins.findFile builtins.nixPath {}", String::from_utf8_lossy(&literal))
}

/// The command line, read; what is wrong with it is told as C++ Nix does.
fn parsed<T: Parser>(argv: Vec<OsString>) -> Result<T> {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let error = match T::try_parse_from(&argv) {
        Ok(args) => return Ok(args),
        Err(error) => error,
    };
    let of = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let flag = of(ContextKind::InvalidArg).and_then(|text| text.split(' ').next());
    let what = match (error.kind(), flag) {
        (ErrorKind::UnknownArgument, Some(flag)) => {
            // Only letters are flags that stand together.
            let letters = flag.trim_start_matches('-').starts_with(char::is_alphabetic);
            let mut words = argv.iter().filter_map(|word| word.to_str());
            let whole = words.find(|word| !letters && word.starts_with(flag));
            format!("unrecognised flag '{}'", whole.unwrap_or(flag))
        }
        (ErrorKind::WrongNumberOfValues, Some(flag)) => {
            let number = |kind| match error.get(kind) {
                Some(ContextValue::Number(number)) => *number,
                _ => 0,
            };
            let wanted = number(ContextKind::ExpectedNumValues);
            let given = number(ContextKind::ActualNumValues);
            format!("flag '{flag}' requires {wanted} argument(s), but only {given} were given")
        }
        (ErrorKind::InvalidValue, Some(flag)) if of(ContextKind::InvalidValue) == Some("") => {
            format!("flag '{flag}' requires 1 argument(s), but only 0 were given")
        }
        // Help and the version are asked for; whatever else is wrong is said in clap's words.
        _ => error.exit(),
    };
    let name = T::command().get_name().to_owned();
    bail!("{what}\nTry '{name} --help' for more information.")
}

/// Where a profile is to go: `eval-profiler` is `flamegraph`, whose form is folded stacks.
fn profile(conf: &Conf) -> Result<Option<PathBuf>> {
    match conf.get("eval-profiler") {
        None | Some("disabled") => Ok(None),
        Some("flamegraph") => {
            Ok(Some(PathBuf::from(conf.get("eval-profile-file").unwrap_or("nix.profile"))))
        }
        Some(other) => bail!("option 'eval-profiler' has invalid value '{other}'"),
    }
}

/// What a setting says to do about a kind of literal.
fn level(conf: &Conf, name: &str) -> Result<Level> {
    match conf.get(name) {
        None | Some("ignore") => Ok(Level::Ignore),
        Some("warn") => Ok(Level::Warn),
        Some("fatal") => Ok(Level::Fatal),
        Some(other) => bail!("option '{name}' has invalid value '{other}': ignore, warn or fatal"),
    }
}

/// `nix-build`.
pub fn nix_build(argv: Vec<OsString>) -> Result<()> {
    let args: NixBuild = parsed(argv)?;
    let global = args.common.global();
    let building = args.common.building();
    let mut all = Vec::new();
    let mut engine = None;
    for source in args.common.sources()? {
        let style = Style::of(&global, building.print_build_logs);
        let progress = Progress::start(style.evaluating());
        let mut this = command::engine(&global, progress.events())?;
        let mut options = options(&building, args.dry_run, false)?;
        options.asked = answer::asked(&command::remote::source(&source)?);
        let (drvs, targets) = evaluate(&this, &source, &args.common.attrs, &options)?;
        let built = carry_out(&mut this, &drvs, &targets, &options, progress)?;
        let answer = answered(&this, &built, &targets, args.dry_run);
        fail_if_failed(&answer, Form::of(&global))?;
        if args.check {
            check(&mut this, &drvs, &targets, &options, style)?;
        }
        all.extend(answer.results);
        engine = Some(this);
    }
    if args.dry_run {
        return Ok(());
    }
    if let Some(engine) = engine.filter(|_| !args.no_out_link) {
        link(&engine, &args.out_link, &all)?;
    }
    let mut out = std::io::stdout().lock();
    for (_, path) in all.iter().flat_map(|result| &result.outputs) {
        writeln!(out, "{path}")?;
    }
    Ok(())
}

/// `nix-instantiate`.
pub fn nix_instantiate(argv: Vec<OsString>) -> Result<()> {
    let args: NixInstantiate = parsed(argv)?;
    let global = args.common.global();
    let progress = Progress::start(Style::of(&global, false));
    let engine = command::engine(&global, progress.events())?;
    let building = Building { print_build_logs: false, ..args.common.building() };
    let options = options(&building, false, false)?;
    let mut out = std::io::stdout().lock();
    let sources = if args.find_file { args.common.names()? } else { args.common.sources()? };
    for source in sources {
        if args.parse {
            let mut text = Evaluation::parse(&source, engine.host())?;
            text.push(b'\n');
            out.write_all(&text)?;
            continue;
        }
        let mut evaluation = begin(&engine, &source, &options)?;
        if args.find_file {
            let value = evaluation.select_as_nix(None)?;
            let mut text = evaluation.print(value)?;
            text.push(b'\n');
            out.write_all(&text)?;
            continue;
        }
        if args.eval || args.xml || args.json {
            let attrs: Vec<Option<&str>> = match args.common.attrs.as_slice() {
                [] => vec![None],
                attrs => attrs.iter().map(|attr| Some(attr.as_str())).collect(),
            };
            for attr in attrs {
                let value = evaluation.select_as_nix(attr)?;
                // JSON and XML look at what they say, and at nothing else.
                let deep = args.strict && !args.json && !args.xml;
                let value = evaluation.force(value, deep)?;
                let mut text = if args.xml {
                    evaluation.xml(value, args.strict, !args.no_location)?
                } else if args.json {
                    evaluation.json(value)?
                } else if args.raw {
                    evaluation.raw(value)?
                } else {
                    evaluation.print(value)?
                };
                if !args.raw && !args.xml {
                    text.push(b'\n');
                }
                out.write_all(&text)?;
            }
            if args.read_write_mode {
                command::write_shown(&engine, evaluation.graph())?;
            }
            evaluation.leave();
            continue;
        }
        for target in evaluation.targets(&args.common.attrs)? {
            let drv = target.wanted.drv;
            let made = evaluation.graph().derivation(drv)?;
            if !args.readonly_mode {
                command::instantiate(&engine, evaluation.graph(), drv)?;
            }
            for output in &target.wanted.outputs {
                let suffix =
                    if output.as_str() == "out" { String::new() } else { format!("!{output}") };
                writeln!(out, "{}{suffix}", made.path)?;
            }
        }
    }
    Ok(())
}
