//! Any bytes as a flake reference.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| floe_probes::flakeref::check(data));
