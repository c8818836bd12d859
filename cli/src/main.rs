//! The floe command: arguments in, rendering out. What it does is the engine's affair; nothing
//! here would be missed by somebody who uses the libraries.

mod args;
mod command;
mod compat;
mod evaluate;
mod fault;
mod nixconf;
mod picture;
mod profiling;
mod progress;
mod terminal;
mod time;
mod watching;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use rustix::fs::Mode;

use args::{Cli, Command};
use fault::{Ended, Interrupted, status};
use progress::Form;

fn main() -> ExitCode {
    close_to_others();
    let argv: Vec<OsString> = std::env::args_os().collect();
    let name = argv.first().map(|name| Path::new(name).file_name().unwrap_or_default().to_owned());
    let mut form = Form::default();
    let result = match name.as_deref().and_then(|name| name.to_str()) {
        Some("nix-build") => compat::nix_build(argv),
        Some("nix-instantiate") => compat::nix_instantiate(argv),
        _ => {
            let cli = Cli::parse_from(argv);
            form = cli.global.progress;
            run(cli)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => end(&error, form),
    }
}

/// Nothing that floe writes is writable by group or world, however open the caller's umask.
fn close_to_others() {
    let asked = rustix::process::umask(Mode::WGRP | Mode::WOTH);
    rustix::process::umask(asked | Mode::WGRP | Mode::WOTH);
}

/// Runs a command of floe's own.
fn run(cli: Cli) -> anyhow::Result<()> {
    let global = &cli.global;
    match cli.command {
        Command::Build(args) => command::build::build(global, &args),
        Command::Run(args) => command::shell::run(global, &args),
        Command::Shell(args) => command::shell::shell(global, &args),
        Command::Eval(args) => command::eval::eval(global, &args),
        Command::Parse(source) => command::eval::parse(global, &source),
        Command::Repl(args) => command::repl::repl(global, &args),
        Command::Derivation(args) => command::derivation::derivation(global, &args),
        Command::PathInfo(args) => command::inspect::path_info(global, &args),
        Command::Log(args) => command::inspect::log(global, &args),
        Command::Explain(args) => command::explain::explain(global, &args),
        Command::Predict(args) => command::predict::predict(global, &args),
        Command::Experiment(args) => command::experiment::experiment(&args),
        Command::Stats(args) => command::stats::stats(global, &args),
        Command::Report(args) => command::report::report(&args),
        Command::Matrix(args) => command::matrix::matrix(&args),
        Command::Store(args) => command::store::store(global, &args),
        Command::Seed(args) => command::seed::seed(global, &args),
        Command::Server(command) => command::server::server(global, &command),
        Command::Doctor(args) => command::doctor::doctor(&args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "floe", &mut std::io::stdout());
            Ok(())
        }
    }
}

/// Says what went wrong and gives the exit status.
fn end(error: &anyhow::Error, form: Form) -> ExitCode {
    if let Some(Ended(status)) = error.downcast_ref() {
        return ExitCode::from(*status);
    }
    let broken_pipe = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe);
    if broken_pipe {
        return ExitCode::SUCCESS;
    }
    fault::tell(error, form);
    ExitCode::from(if error.is::<Interrupted>() { status::INTERRUPTED } else { status::ERROR })
}
