//! Where floe and a version of C++ Nix are known to differ: a list with reasons, each entry no wider than
//! its reason. What a rule excuses is counted.

use crate::evaluate::Outcome;
use crate::nix::Answer;

/// A known difference.
pub struct Rule {
    /// Its name, for counts.
    pub name: &'static str,
    /// Why it is none of floe's faults.
    pub why: &'static str,
    /// The first version (major, minor) of C++ Nix that it says nothing of.
    pub until: (u32, u32),
    applies: fn(&str, &Outcome, &Answer) -> bool,
}

/// No version has it yet.
const ALWAYS: (u32, u32) = (u32::MAX, 0);

fn says(answer: &Answer, text: &str) -> bool {
    matches!(answer, Answer::Failure(message) if message.contains(text))
}

/// Whether floe alone refuses, with this text.
fn only_ours_fails(ours: &Outcome, theirs: &Answer, text: &str) -> bool {
    matches!(ours, Outcome::Failure(message) if message.contains(text))
        && matches!(theirs, Answer::Value(_))
}

/// Every rule.
pub const RULES: &[Rule] = &[
    Rule {
        name: "deep",
        why: "how deep calls may nest is each implementation's own bound",
        until: ALWAYS,
        applies: |_, _, theirs| says(theirs, "stack overflow") || says(theirs, "max-call-depth"),
    },
    Rule {
        name: "endless",
        why: "the regular expressions of libstdc++ may take time that is exponential",
        until: ALWAYS,
        applies: |program, _, theirs| {
            let matches = ["match", "split"].iter().any(|name| program.contains(name));
            matches && *theirs == Answer::Endless
        },
    },
    Rule {
        name: "overflow",
        why: "older versions wrap integers around",
        until: (2, 25),
        applies: |_, ours, theirs| only_ours_fails(ours, theirs, "integer overflow"),
    },
    Rule {
        name: "closure",
        why: "without writing, no closure of a .drv file is known that a derivation refers to",
        until: ALWAYS,
        applies: |program, _, theirs| {
            program.contains("drvPath") && says(theirs, ".drv' is not valid")
        },
    },
    Rule {
        name: "missing",
        why: "builtins that older versions lack",
        until: (2, 34),
        applies: |program, _, theirs| {
            program.contains("builtins.convertHash") && says(theirs, "convertHash")
        },
    },
    Rule {
        name: "rounded",
        why: "older versions round integers to floats in floor and ceil",
        until: (2, 34),
        applies: |_, ours, theirs| only_ours_fails(ours, theirs, "NixOS/nix/issues/12899"),
    },
    Rule {
        name: "nul",
        why: "older versions end a string at a NUL",
        until: (2, 34),
        applies: |_, ours, theirs| only_ours_fails(ours, theirs, "contains null bytes"),
    },
    Rule {
        name: "unsigned",
        why: "older versions wrap JSON's integers around",
        until: (2, 34),
        applies: |_, ours, theirs| only_ours_fails(ours, theirs, "outside of Nix integer range"),
    },
    Rule {
        name: "whole floats",
        why: "older versions write 1.0 as 1 in JSON, which is then another value and another derivation",
        until: (2, 34),
        applies: |program, ours, theirs| {
            let writes = ["toJSON", "__structuredAttrs"].iter().any(|name| program.contains(name));
            let value = matches!((ours, theirs), (Outcome::Value(_), Answer::Value(_)));
            writes && value && program.contains('.')
        },
    },
    Rule {
        name: "lazy replacements",
        why: "older versions compute replacements that replaceStrings does not use",
        until: (2, 34),
        applies: |program, ours, theirs| {
            program.contains("replaceStrings")
                && matches!((ours, theirs), (Outcome::Value(_), Answer::Failure(_)))
        },
    },
    Rule {
        name: "dollars",
        why: "older versions escape every dollar sign in the name of an attribute",
        until: (2, 34),
        applies: |_, ours, theirs| match (ours, theirs) {
            (Outcome::Value(ours), Answer::Value(theirs)) => {
                let plain = |text: &[u8]| String::from_utf8_lossy(text).replace("\\$", "$");
                plain(ours) == plain(theirs)
            }
            _ => false,
        },
    },
];

/// The rule that excuses a difference from this version, if one does.
pub fn excuse(
    version: (u32, u32),
    program: &str,
    ours: &Outcome,
    theirs: &Answer,
) -> Option<&'static Rule> {
    RULES.iter().find(|rule| version < rule.until && (rule.applies)(program, ours, theirs))
}
