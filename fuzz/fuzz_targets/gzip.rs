#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../src/gzip.rs"]
mod gzip;

fuzz_target!(|data: &[u8]| gzip::check(data));
