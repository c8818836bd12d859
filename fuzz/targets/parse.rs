//! Any bytes as a file of Nix text.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| floe_probes::parse::check(data));
