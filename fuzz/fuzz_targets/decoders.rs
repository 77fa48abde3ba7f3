#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../src/decoders.rs"]
mod decoders;

fuzz_target!(|data: &[u8]| decoders::check(data));
