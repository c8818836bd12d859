//! The table of rebuilders: where one joins, and is from then on known by its name to the command
//! line, to records and to `floe matrix`.

use std::fmt;
use std::str::FromStr;

use super::classic::{CONSTRUCTIVE, DEEP_CONSTRUCTIVE, DEPTH, DIRTY_BIT, STEP, VERIFYING};
use super::{AsWritten, ContentAddressed, InputAddressed, Rebuilder};

/// All rebuilders, the default first.
const REBUILDERS: [&dyn Rebuilder; 17] = [
    &ContentAddressed,
    &InputAddressed,
    &AsWritten,
    &DIRTY_BIT,
    &VERIFYING,
    &STEP,
    &CONSTRUCTIVE,
    &DEEP_CONSTRUCTIVE,
    &DEPTH[0],
    &DEPTH[1],
    &DEPTH[2],
    &DEPTH[3],
    &DEPTH[4],
    &DEPTH[5],
    &DEPTH[6],
    &DEPTH[7],
    &DEPTH[8],
];

/// A rebuilder, by its place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Strategy(u8);

#[expect(non_upper_case_globals, reason = "they are named as their rebuilders are")]
impl Strategy {
    /// Output paths are functions of the content; resolution gives early cutoff.
    pub const ContentAddressed: Strategy = Strategy(0);
    /// Output paths are functions of the instructions, as in plain Nix.
    pub const InputAddressed: Strategy = Strategy(1);
    /// Each derivation as its author wrote it, which is what Nix does.
    pub const AsWritten: Strategy = Strategy(2);
    /// Those that judge by the build trace and nothing else.
    pub const TRACED: [Strategy; 3] =
        [Strategy::ContentAddressed, Strategy::InputAddressed, Strategy::AsWritten];
}

impl Strategy {
    /// All of them, the default first.
    pub fn all() -> impl Iterator<Item = Strategy> {
        (0..REBUILDERS.len()).map(|at| Strategy(at as u8))
    }

    /// The implementation.
    pub fn rebuilder(self) -> &'static dyn Rebuilder {
        REBUILDERS[usize::from(self.0)]
    }

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        self.rebuilder().name()
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no rebuilder of that name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("there is no rebuilder '{0}'; choose {names}", names = names())]
pub struct UnknownStrategy(pub String);

fn names() -> String {
    let names: Vec<&str> = Strategy::all().map(Strategy::name).collect();
    let (last, first) = names.split_last().expect("there are some");
    format!("{} or {last}", first.join(", "))
}

impl FromStr for Strategy {
    type Err = UnknownStrategy;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let mut all = Strategy::all();
        all.find(|strategy| strategy.name() == name).ok_or_else(|| UnknownStrategy(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_lead_to_rebuilders() {
        let names: BTreeSet<&str> = Strategy::all().map(Strategy::name).collect();
        assert_eq!(names.len(), REBUILDERS.len(), "no two have one name");
        for strategy in Strategy::all() {
            assert_eq!(strategy.name().parse(), Ok(strategy));
        }
        assert_eq!(Strategy::ContentAddressed.name(), "content-addressed");
        assert_eq!(Strategy::InputAddressed.name(), "input-addressed");
        assert_eq!(Strategy::AsWritten.name(), "as-written");
        let unknown = "hopeful".parse::<Strategy>().expect_err("no such rebuilder").to_string();
        assert!(unknown.contains("'hopeful'; choose content-addressed, "), "{unknown}");
    }
}
