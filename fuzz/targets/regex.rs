//! Any bytes as a regular expression and a text.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| floe_probes::regex::check(data));
