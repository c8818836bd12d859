//! Evaluation within this process: any program ends in a value or an error, the same one each time, and
//! tracking what values rest on changes neither. Comparing with C++ Nix is the part of `compare`.

use std::path::Path;
use std::sync::Arc;

use floe_lang::os_host::OsHost;
use floe_lang::{ErrorKind, EvalError, Evaluator, Settings};

use crate::program::generate;

/// Calls nested deeper are not compared: each implementation has a bound of its own.
const MAX_CALL_DEPTH: u32 = 1_000;
/// Enough for that depth, also where a sanitizer makes frames larger.
const STACK_BYTES: usize = 512 << 20;

/// A short program can make lists that multiply each other.
const HEAP_BYTES: u64 = 512 << 20;

/// What became of a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The value as `nix-instantiate --eval --strict` prints it.
    Value(Vec<u8>),
    /// It failed, with this message.
    Failure(String),
    /// It went beyond a bound that is not the language's, or asked for what is not here.
    Beyond(String),
    /// Its values take more memory than there is for it. How much that is depends on tracking.
    Full,
}

/// The program that these bytes make: evaluates it with and without tracking.
pub fn check(data: &[u8]) {
    let program = generate(data);
    let plain = evaluate(program.as_bytes());
    let tracked = run(program.as_bytes(), true);
    if plain == Outcome::Full || tracked == Outcome::Full {
        return;
    }
    assert_eq!(plain, tracked, "tracked and not:\n{program}");
}

/// Evaluates a text and all of its value.
pub fn evaluate(program: &[u8]) -> Outcome {
    run(program, false)
}

fn run(program: &[u8], track: bool) -> Outcome {
    let settings = Settings {
        max_call_depth: MAX_CALL_DEPTH,
        stack_bytes: STACK_BYTES,
        heap_bytes: HEAP_BYTES,
        ..Settings::default()
    };
    let mut eval = Evaluator::new(Arc::new(OsHost::quiet()), settings);
    if track {
        eval.track();
    }
    let value = eval
        .eval_stdin(program, Path::new("/"))
        .and_then(|value| eval.force_deep(value))
        .and_then(|value| eval.print(value));
    match value {
        Ok(text) => Outcome::Value(text),
        Err(error) => failure(&error),
    }
}

fn failure(error: &EvalError) -> Outcome {
    let message = error.message.clone();
    match error.kind {
        ErrorKind::OutOfMemory => Outcome::Full,
        ErrorKind::StackOverflow | ErrorKind::Host | ErrorKind::Interrupted => {
            Outcome::Beyond(message)
        }
        _ => Outcome::Failure(message),
    }
}
