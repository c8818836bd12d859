//! Any bytes as an archive.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| floe_probes::nar::check(data));
