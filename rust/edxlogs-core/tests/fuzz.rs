//! The fuzz targets over their seeds and small changes of them: so that they keep compiling, and say
//! something where cargo-fuzz is not at hand. `make fuzz` runs them for longer, and guided.
#![allow(clippy::expect_used, missing_docs)]

#[path = "../../../fuzz/src/decoders.rs"]
mod decoders;
#[path = "../../../fuzz/src/gzip.rs"]
mod gzip;
#[path = "../../../fuzz/src/scanner.rs"]
mod scanner;
#[path = "../../../fuzz/src/tables.rs"]
mod tables;

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

const VALUES: &str = include_str!("../../../tests/data/decoders.txt");
const SEEDS: &[u8] = include_bytes!("../../../tests/data/malformed.log");
const LONGEST_SEED: usize = 8192;

/// Always the same numbers (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// Each seed as it is, then with some bytes changed, cut out or said twice.
fn run(seeds: &[Vec<u8>], changes: usize, check: fn(&[u8])) {
    let mut numbers = Numbers(20_141_001);
    for seed in seeds {
        check(seed);
        for _ in 0..changes {
            let mut input = seed.clone();
            for _ in 0..=numbers.below(4) {
                let at = numbers.below(input.len() + 1);
                let end = at + numbers.below(input.len() - at + 1).min(16);
                match numbers.below(4) {
                    0 => input.truncate(at),
                    1 => drop(input.drain(at..end)),
                    2 => input.extend_from_within(at..end),
                    _ if at < input.len() => {
                        let other = numbers.below(input.len());
                        input[at] = [input[other], numbers.below(256) as u8][numbers.below(2)];
                    }
                    _ => {}
                }
            }
            check(&input);
        }
    }
}

fn lines() -> Vec<Vec<u8>> {
    let lines = SEEDS.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec);
    lines.filter(|line| line.len() <= LONGEST_SEED).collect()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn the_scanner_agrees_with_serde_json() {
    run(&lines(), 2000, scanner::check);
}

#[test]
fn the_gzip_reader_agrees_with_flate2() {
    let members: Vec<u8> = lines()[..20].iter().flat_map(|line| packed(line)).collect();
    let few = lines().into_iter().take(10).map(|line| packed(&line));
    run(&few.chain([members]).collect::<Vec<_>>(), 200, gzip::check);
}

#[test]
fn tables_are_what_they_are_byte_by_byte() {
    let rows = [
        "1\t{\"a\": [1, \"x\\\\n\"]}\t2014-10-05 12:00:01\ta\\\tb\\n\nNULL\tNULL\t\\N\t\\\\N\n",
        "2\t[{\"b\": null}, 1.5e3]\t0000-00-00 00:00:00\té\0\\0\\r\n\n3\t\\t{\t\t\\\\\\t",
        "4,\"{\"\"a\"\": 1}\",2014-10-05 12:00:01,\"x\ny\"\r\n",
        "{\"i4x://X/1/problem/a\": {\"category\": \"problem\", \"children\": [], \"metadata\": {}}}",
        "{\"_id\": {\"$oid\": \"53\"}, \"body\": \"x\", \"votes\": {\"up_count\": 1}}\n",
    ];
    // Each in each dialect.
    let rows = (0..5).flat_map(|dialect| rows.map(|row| [&[dialect], row.as_bytes()].concat()));
    run(&rows.collect::<Vec<_>>(), 1000, tables::check);
}

#[test]
fn decoders_keep_their_laws() {
    let values: Vec<Vec<u8>> = VALUES.lines().map(|line| line.as_bytes().to_vec()).collect();
    run(&values, 3000, decoders::check);
    run(&lines(), 200, decoders::check);
}
