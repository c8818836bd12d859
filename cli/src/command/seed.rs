//! `floe seed`.

use anyhow::{Context, Result};
use floe_engine::seed::{self, DEFAULT_LIST, List};

use crate::args::{Global, Seed};
use crate::progress::{Progress, Style};

/// Makes or finds the seed and prints its path.
pub fn seed(global: &Global, args: &Seed) -> Result<()> {
    let progress = Progress::start(Style::of(global, false));
    let engine = super::engine(global, progress.events())?;
    let found = match engine.store() {
        Some(store) if !args.renew => seed::find(&store)?,
        _ => None,
    };
    let seed = match found {
        Some(seed) => seed,
        None => {
            let text = match &args.list {
                Some(file) => std::fs::read_to_string(file)
                    .with_context(|| format!("cannot read the package list {}", file.display()))?,
                None => DEFAULT_LIST.to_owned(),
            };
            seed::create(&*engine.writable_store()?, &List::parse(&text)?, &progress.events())?
        }
    };
    progress.finish();
    if !global.quiet {
        let made = match seed.packages {
            0 => String::new(),
            packages => format!("{packages} packages, {} files, ", seed.files),
        };
        eprintln!("{made}{:.0} MB", seed.size_bytes as f64 / 1e6);
    }
    println!("{}", seed.path);
    Ok(())
}
