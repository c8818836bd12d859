//! Any bytes as a JSON text.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| floe_probes::json::check(data));
