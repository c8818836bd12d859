//! `floe eval` and `floe parse`.

use std::io::Write;

use anyhow::Result;

use crate::args::{Building, Eval, Global, Source};
use crate::evaluate::Evaluation;
use crate::progress::{Progress, Style};

/// Prints the value of an expression.
pub fn eval(global: &Global, args: &Eval) -> Result<()> {
    let progress = Progress::start(Style::of(global, false));
    let engine = super::engine(global, progress.events())?;
    let options = super::build::options(&Building::plain(Default::default()), false, false)?;
    let mut evaluation = super::build::begin(&engine, &args.source, &options)?;
    let mut value = evaluation.select(args.attr.as_deref())?;
    if let Some(function) = &args.apply {
        value = evaluation.apply(function, value)?;
    }
    let value = evaluation.force(value, args.strict)?;
    let mut text = if args.json {
        evaluation.json(value)?
    } else if args.xml {
        evaluation.xml(value, args.strict, true)?
    } else if args.raw {
        evaluation.raw(value)?
    } else {
        evaluation.print(value)?
    };
    progress.finish();
    if !args.raw && !args.xml {
        text.push(b'\n');
    }
    std::io::stdout().lock().write_all(&text)?;
    Ok(())
}

/// Prints an expression as it was read.
pub fn parse(global: &Global, source: &Source) -> Result<()> {
    let progress = Progress::start(Style::of(global, false));
    let engine = super::engine(global, progress.events())?;
    let mut text = Evaluation::parse(source, engine.host())?;
    progress.finish();
    text.push(b'\n');
    std::io::stdout().lock().write_all(&text)?;
    Ok(())
}
