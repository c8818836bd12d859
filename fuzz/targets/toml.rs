//! Any bytes as a TOML text.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| floe_probes::toml::check(data));
