//! Any bytes as the text of a derivation.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| floe_probes::aterm::check(data));
