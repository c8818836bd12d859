//! Independent: bring the targets up to date and nothing else. Deliberately wrong: it shows that a rebuilder alone makes no
//! build system, and the laws must refute it.
//!
//! Source: `independent` in the code that accompanies Build Systems à la Carte (JFP 2020).

use super::{Refused, Scheduler};
use crate::site::Site;
use crate::task::Blocked;
use crate::value::Key;

/// Keeps nothing between builds.
#[derive(Default)]
pub struct Independent;

impl Scheduler for Independent {
    fn build(&mut self, site: &mut Site<'_>, targets: &[Key]) -> Result<(), Refused> {
        for target in targets {
            let mut ready = |_: &mut Site<'_>, _: Key| Ok(());
            site.bring(*target, &mut ready).map_err(|Blocked(key)| Refused::Undeclared(key))?;
        }
        Ok(())
    }
}
