//! floe and C++ Nix on the same programs, in batches: what differs and no rule excuses, made small and
//! written down.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::evaluate::{Outcome, evaluate};
use crate::nix::{Answer, Nix};
use crate::program::generate;
use crate::rules::excuse;

/// Programs of a batch, unless `FLOE_PROBES_BATCH` says otherwise.
const BATCH: usize = 200;
/// Programs that are tried to make a finding small.
const MAX_TRIALS: usize = 150;
/// Findings of one kind that are written down.
const MAX_OF_A_KIND: usize = 3;

/// A program of which the two make different things.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The program.
    pub program: String,
    /// What floe makes of it.
    pub ours: Outcome,
    /// What C++ Nix makes of it.
    pub theirs: Answer,
}

/// A comparison under way.
pub struct Comparison {
    nix: Nix,
    batch: usize,
    /// Inputs whose programs have a value here, and those that fail here.
    values: Vec<Waiting>,
    failures: Vec<Waiting>,
    /// How many were compared, were excused by each rule, went beyond a bound.
    pub counts: BTreeMap<&'static str, usize>,
    kinds: BTreeMap<String, usize>,
}

struct Waiting {
    program: String,
    ours: Outcome,
}

impl Comparison {
    /// A comparison with the C++ Nix of [`Nix::find`].
    ///
    /// # Errors
    /// When there is none.
    pub fn open() -> Result<Comparison, String> {
        let batch = std::env::var("FLOE_PROBES_BATCH").ok().and_then(|text| text.parse().ok());
        Ok(Comparison {
            nix: Nix::find()?,
            batch: batch.unwrap_or(BATCH),
            values: Vec::new(),
            failures: Vec::new(),
            counts: BTreeMap::new(),
            kinds: BTreeMap::new(),
        })
    }

    /// Takes an input in, and tells what is known to differ once a batch is full.
    pub fn add(&mut self, data: &[u8]) -> Vec<Difference> {
        let program = generate(data);
        let ours = evaluate(program.as_bytes());
        let waiting = Waiting { program, ours };
        match waiting.ours {
            Outcome::Value(_) => self.values.push(waiting),
            Outcome::Failure(_) => self.failures.push(waiting),
            Outcome::Beyond(_) | Outcome::Full => {
                *self.counts.entry("beyond a bound").or_default() += 1
            }
        }
        let full = self.values.len().max(self.failures.len()) >= self.batch;
        if full { self.finish() } else { Vec::new() }
    }

    /// Compares what waits.
    pub fn finish(&mut self) -> Vec<Difference> {
        let mut found = Vec::new();
        let values = std::mem::take(&mut self.values);
        let programs: Vec<&str> = values.iter().map(|waiting| &*waiting.program).collect();
        let answers = self.nix.answers(&programs);
        for (waiting, theirs) in values.iter().zip(answers) {
            found.extend(self.judge(waiting, theirs));
        }
        let failures = std::mem::take(&mut self.failures);
        // A session waits for more where a text ends too early.
        let (ends, whole): (Vec<_>, Vec<_>) = failures.into_iter().partition(|waiting| {
            matches!(&waiting.ours, Outcome::Failure(why) if why.contains("unexpected end of file"))
        });
        let programs: Vec<&str> = whole.iter().map(|waiting| &*waiting.program).collect();
        let succeed = self.nix.succeed(&programs);
        for (waiting, succeeds) in whole.iter().zip(succeed) {
            let theirs = match succeeds {
                false => Answer::Failure(String::new()),
                true => self.nix.answers(&[&waiting.program]).remove(0),
            };
            found.extend(self.judge(waiting, theirs));
        }
        for waiting in &ends {
            let theirs = self.nix.answers(&[&waiting.program]).remove(0);
            found.extend(self.judge(waiting, theirs));
        }
        found
    }

    fn judge(&mut self, waiting: &Waiting, theirs: Answer) -> Option<Difference> {
        *self.counts.entry("compared").or_default() += 1;
        if is_same(&waiting.ours, &theirs) {
            let what = match theirs {
                Answer::Value(_) => "same value",
                Answer::Failure(_) | Answer::Endless => "both fail",
            };
            *self.counts.entry(what).or_default() += 1;
            return None;
        }
        if let Some(rule) = excuse(self.nix.version, &waiting.program, &waiting.ours, &theirs) {
            *self.counts.entry(rule.name).or_default() += 1;
            return None;
        }
        *self.counts.entry("different").or_default() += 1;
        let known = self.kinds.entry(kind(&waiting.ours, &theirs)).or_default();
        *known += 1;
        if *known > MAX_OF_A_KIND {
            return None;
        }
        let mut found = Difference {
            program: waiting.program.clone(),
            ours: waiting.ours.clone(),
            theirs: theirs.clone(),
        };
        self.shrink(&mut found);
        Some(found)
    }

    /// Puts something plain, or a part of it, in the place of what stands in parentheses, as long as the
    /// program still differs in the same way.
    fn shrink(&mut self, found: &mut Difference) {
        let same_kind = kind(&found.ours, &found.theirs);
        let mut trials = 0;
        let mut at = 0;
        while let Some((open, close)) = group(&found.program, at) {
            let (before, after) = (&found.program[..open], &found.program[close + 1..]);
            let inner = &found.program[open + 1..close];
            let whole = format!(" {inner}");
            let part = group(inner, 0).map(|(from, to)| inner[from..=to].to_owned());
            let tries = PLAIN.iter().map(|plain| format!("{before}{plain}{after}"));
            let tries = tries.chain(part.map(|part| format!("{before}{part}{after}")));
            let smaller = std::iter::once(whole).chain(tries).find_map(|program| {
                if program.len() >= found.program.len() || trials > MAX_TRIALS {
                    return None;
                }
                let ours = evaluate(program.as_bytes());
                // A failure here is quick to tell from the one that is looked for.
                if std::mem::discriminant(&ours) != std::mem::discriminant(&found.ours) {
                    return None;
                }
                trials += 1;
                let theirs = self.nix.answers(&[&program]).remove(0);
                let differs = !is_same(&ours, &theirs)
                    && kind(&ours, &theirs) == same_kind
                    && excuse(self.nix.version, &program, &ours, &theirs).is_none();
                differs.then_some(Difference { program, ours, theirs })
            });
            match smaller {
                // What stands there now may become smaller still.
                Some(smaller) => *found = smaller,
                None => at = open + 1,
            }
        }
    }
}

/// What may stand for any expression.
const PLAIN: [&str; 6] = ["0", "\"\"", "[ ]", "{ }", "true", "null"];

/// The first pair of parentheses from an offset on. Those in strings are taken for others: what is made of
/// them is tried, like everything else.
fn group(text: &str, from: usize) -> Option<(usize, usize)> {
    let open = from + text.get(from..)?.find('(')?;
    let mut depth = 0;
    for (at, byte) in text.bytes().enumerate().skip(open) {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((open, at));
        }
    }
    None
}

/// The same value, or no value.
pub fn is_same(ours: &Outcome, theirs: &Answer) -> bool {
    match (ours, theirs) {
        (Outcome::Value(ours), Answer::Value(theirs)) => ours == theirs,
        (Outcome::Failure(_), Answer::Failure(_)) => true,
        _ => false,
    }
}

/// What findings of one cause mostly share.
fn kind(ours: &Outcome, theirs: &Answer) -> String {
    let words = |text: &str| {
        let plain = text.chars().filter(|c| !c.is_ascii_digit()).take(60);
        plain.collect::<String>()
    };
    match (ours, theirs) {
        (Outcome::Failure(why), _) => format!("here: {}", words(why)),
        (_, Answer::Failure(why)) => format!("there: {}", words(why)),
        _ => "values".to_owned(),
    }
}

/// Writes a finding down where `FLOE_PROBES_FINDINGS` says.
pub fn record(found: &Difference) {
    let folder = std::env::var_os("FLOE_PROBES_FINDINGS").unwrap_or("findings".into());
    let folder = PathBuf::from(folder);
    let name = floe_core::hash::Digest::of(found.program.as_bytes()).base16();
    let text = format!(
        "{}\n\n/* floe: {}\n\n   Nix: {}\n*/\n",
        found.program,
        shown(match &found.ours {
            Outcome::Value(text) => text,
            Outcome::Failure(why) | Outcome::Beyond(why) => why.as_bytes(),
            Outcome::Full => b"more memory than there is",
        }),
        shown(match &found.theirs {
            Answer::Value(text) => text,
            Answer::Failure(why) => why.as_bytes(),
            Answer::Endless => b"no end",
        }),
    );
    let written = fs::create_dir_all(&folder)
        .and_then(|()| fs::write(folder.join(format!("{}.nix", &name[..12])), &text));
    eprintln!("{text}");
    if let Err(error) = written {
        eprintln!("{}: {error}", folder.display());
    }
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).replace("*/", "* /")
}
