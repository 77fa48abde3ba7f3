//! Inflates gzip files to nothing: what `end_to_end.py` holds the wall time of one big file against.

#![allow(clippy::print_stdout)]

use std::fs::File;
use std::io::{self, Read};

use edxlogs_core::input::inflate::GzipReader;

fn main() -> io::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    let mut bytes = 0_u64;
    for path in std::env::args_os().skip(1) {
        let mut reader = GzipReader::new(File::open(path)?);
        loop {
            match reader.read(&mut buffer)? {
                0 => break,
                count => bytes += count as u64,
            }
        }
    }
    println!("{bytes}");
    Ok(())
}
