#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../src/scanner.rs"]
mod scanner;

fuzz_target!(|data: &[u8]| scanner::check(data));
