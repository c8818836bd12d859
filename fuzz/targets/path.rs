//! Any bytes as a store path, a hash, a content address, a version.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| floe_probes::path::check(data));
