//! Programs made of the bytes, evaluated here and by C++ Nix. Those are asked in batches, so the input that
//! the fuzzer blames for a difference is only the last of its batch: the program itself is written down.
//!
//! `FLOE_PROBES_ALONE` leaves C++ Nix out, `FLOE_PROBES_KEEP_GOING` notes differences and goes on.

#![no_main]

use std::sync::{LazyLock, Mutex};

use floe_probes::compare::{Comparison, record};
use libfuzzer_sys::fuzz_target;

/// Programs between two reports of the counts.
const REPORT: usize = 20_000;

static COMPARISON: LazyLock<Mutex<Option<Comparison>>> = LazyLock::new(|| {
    let alone = std::env::var_os("FLOE_PROBES_ALONE").is_some();
    let comparison = (!alone).then(|| Comparison::open().expect("C++ Nix, or FLOE_PROBES_ALONE"));
    Mutex::new(comparison)
});

fuzz_target!(|data: &[u8]| {
    floe_probes::evaluate::check(data);
    let mut comparison = COMPARISON.lock().expect("a panic ends the process");
    let Some(comparison) = comparison.as_mut() else { return };
    let compared =
        |comparison: &Comparison| comparison.counts.get("compared").copied().unwrap_or(0);
    let before = compared(comparison);
    let found = comparison.add(data);
    if compared(comparison) / REPORT > before / REPORT {
        eprintln!("programs: {:?}", comparison.counts);
    }
    found.iter().for_each(record);
    let keep_going = std::env::var_os("FLOE_PROBES_KEEP_GOING").is_some();
    assert!(found.is_empty() || keep_going, "floe and Nix differ: see what was written above");
});
