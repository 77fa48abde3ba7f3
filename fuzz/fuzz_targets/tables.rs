#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../src/tables.rs"]
mod tables;

fuzz_target!(|data: &[u8]| tables::check(data));
