//! A bare `nix-instantiate --eval` (or, with `--drv`, `nix-instantiate`) over this crate alone:
//! for measuring and for running other projects' tests. Not a user's tool.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use floe_lang::os_host::OsHost;
use floe_lang::{Argument, EvalError, Evaluator, SearchEntry, Settings};

#[derive(Default)]
struct Flags {
    exprs: Vec<String>,
    files: Vec<String>,
    attrs: Vec<String>,
    args: Vec<(String, Argument)>,
    paths: Vec<SearchEntry>,
    strict: bool,
    json: bool,
    drv: bool,
    aterm: bool,
    stats: bool,
}

fn entry(text: &str) -> SearchEntry {
    let (prefix, path) = text.split_once('=').unwrap_or(("", text));
    SearchEntry {
        prefix: prefix.to_owned(),
        path: std::path::absolute(path).unwrap_or_else(|_| path.into()),
    }
}

fn flags() -> Flags {
    let mut flags = Flags::default();
    let mut words = std::env::args().skip(1);
    let mut paths = Vec::new();
    while let Some(word) = words.next() {
        let mut next = || words.next().unwrap_or_default();
        match word.as_str() {
            "--strict" => flags.strict = true,
            "--json" => flags.json = true,
            "--drv" => flags.drv = true,
            "--aterm" => flags.aterm = true,
            "--stats" => flags.stats = true,
            "--eval" | "--show-trace" | "--readonly-mode" => {}
            "-E" => flags.exprs.push(next()),
            "-A" => flags.attrs.push(next()),
            "-I" => flags.paths.push(entry(&next())),
            "--arg" => flags.args.push((next(), Argument::Expr(words.next().unwrap_or_default()))),
            "--argstr" => {
                flags.args.push((next(), Argument::Text(words.next().unwrap_or_default())))
            }
            file => flags.files.push(file.to_owned()),
        }
    }
    if let Ok(from_env) = std::env::var("NIX_PATH") {
        paths.extend(from_env.split(':').filter(|part| !part.is_empty()).map(entry));
    }
    flags.paths.extend(paths);
    flags
}

fn run(flags: &Flags) -> Result<(), EvalError> {
    let settings = Settings { nix_path: flags.paths.clone(), ..Settings::default() };
    let mut eval = Evaluator::new(Arc::new(OsHost::new()), settings);
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let mut roots = Vec::new();
    for text in &flags.exprs {
        roots.push(eval.eval_expr(text, &here)?);
    }
    for file in &flags.files {
        let path = here.join(Path::new(file));
        roots.push(eval.eval_file(&path)?);
    }
    let whole = [String::new()];
    let attrs = if flags.attrs.is_empty() { &whole[..] } else { &flags.attrs[..] };
    for root in roots {
        for attr in attrs {
            let value = eval.select_attr_path(root, attr, &flags.args, &here)?;
            if flags.drv || flags.aterm {
                for wanted in eval.derivations(value, &flags.args, &here)? {
                    let graph = eval.graph();
                    if flags.aterm {
                        let drv = graph.file(wanted.drv).expect("the graph is complete");
                        println!("{}", String::from_utf8_lossy(&drv.to_aterm()));
                    } else {
                        println!("{}", graph.drv_path(wanted.drv).expect("the graph is complete"));
                    }
                }
                continue;
            }
            let value = if flags.strict { eval.force_deep(value)? } else { value };
            let text = if flags.json { eval.to_json(value)? } else { eval.print(value)? };
            println!("{}", String::from_utf8_lossy(&text));
        }
    }
    if flags.stats {
        eprintln!("heap: {} MB, derivations: {}", eval.heap_bytes() >> 20, eval.graph().len());
    }
    Ok(())
}

fn main() {
    if let Err(error) = run(&flags()) {
        for frame in error.frames.iter().rev() {
            let at = frame
                .pos
                .as_ref()
                .map(|p| format!(" at {}:{}:{}", p.file.display(), p.line, p.column));
            eprintln!("… {}{}", frame.text, at.unwrap_or_default());
        }
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}
