//! Parquet's hybrid of runs and packed bits.
//!
//! Source: Apache Parquet, "Encodings", RLE/bit-packing hybrid.

/// Numbers that are packed together.
const GROUP: usize = 8;

/// Appends `count` bits, of which `zeros` are 0, the first lowest in its byte.
pub(super) fn push_bits(bits: &[u8], count: usize, zeros: usize, out: &mut Vec<u8>) {
    if zeros == 0 || zeros == count {
        push_run(u32::from(zeros == 0), count, 1, out);
        return;
    }
    push_varint(count.div_ceil(GROUP) << 1 | 1, out);
    out.extend_from_slice(bits);
}

/// Appends numbers of at most `width` bits.
pub(super) fn push_indices(indices: &[u32], width: u32, out: &mut Vec<u8>) {
    let mut packed_from = 0;
    let mut at = 0;
    while at < indices.len() {
        let run = indices[at..].iter().take_while(|&&index| index == indices[at]).count();
        // What is packed before a run fills its last group out of the run.
        let fill = (at - packed_from).next_multiple_of(GROUP) - (at - packed_from);
        if run >= fill + GROUP {
            push_packed(&indices[packed_from..at + fill], width, out);
            push_run(indices[at], run - fill, width, out);
            packed_from = at + run;
        }
        at += run;
    }
    push_packed(&indices[packed_from..], width, out);
}

fn push_run(number: u32, count: usize, width: u32, out: &mut Vec<u8>) {
    push_varint(count << 1, out);
    out.extend_from_slice(&number.to_le_bytes()[..width.div_ceil(8) as usize]);
}

fn push_packed(numbers: &[u32], width: u32, out: &mut Vec<u8>) {
    if numbers.is_empty() {
        return;
    }
    let groups = numbers.len().div_ceil(GROUP);
    push_varint(groups << 1 | 1, out);
    let end = out.len() + groups * width as usize;
    let (mut bits, mut count) = (0_u64, 0);
    for &number in numbers {
        bits |= u64::from(number) << count;
        count += width;
        while count >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            count -= 8;
        }
    }
    if count > 0 {
        out.push(bits as u8);
    }
    // The last group is filled up.
    out.resize(end, 0);
}

fn push_varint(number: usize, out: &mut Vec<u8>) {
    let mut rest = number;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads `count` numbers, by the specification.
    fn read(mut bytes: &[u8], width: u32, count: usize) -> Vec<u32> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            let mut header = 0_usize;
            let mut shift = 0;
            loop {
                let byte = bytes[0];
                bytes = &bytes[1..];
                header |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            if header & 1 == 0 {
                let (value, rest) = bytes.split_at(width.div_ceil(8) as usize);
                let number =
                    value.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte));
                numbers.extend(std::iter::repeat_n(number, header >> 1));
                bytes = rest;
            } else {
                let (packed, rest) = bytes.split_at((header >> 1) * width as usize);
                let bit = |at: usize| u32::from(packed[at / 8] >> (at % 8) & 1);
                for number in 0..(header >> 1) * 8 {
                    let bits =
                        (0..width as usize).map(|at| bit(number * width as usize + at) << at);
                    numbers.push(bits.sum());
                }
                bytes = rest;
            }
        }
        assert!(bytes.is_empty());
        numbers.truncate(count);
        numbers
    }

    proptest! {
        #[test]
        fn indices_come_back(
            runs in proptest::collection::vec((any::<u32>(), 1_usize..40), 0..20), width in 0_u32..=20,
        ) {
            let mask = (1 << width) - 1;
            let indices: Vec<u32> =
                runs.iter().flat_map(|&(index, run)| std::iter::repeat_n(index & mask, run)).collect();
            let mut bytes = Vec::new();
            push_indices(&indices, width, &mut bytes);
            prop_assert_eq!(read(&bytes, width, indices.len()), indices);
        }

        #[test]
        fn bits_come_back(present in proptest::collection::vec(any::<bool>(), 1..100), all in any::<Option<bool>>()) {
            let present: Vec<bool> = present.iter().map(|&is| all.unwrap_or(is)).collect();
            let mut bits = vec![0_u8; present.len().div_ceil(8)];
            for (at, &is) in present.iter().enumerate() {
                bits[at / 8] |= u8::from(is) << (at % 8);
            }
            let zeros = present.iter().filter(|&&is| !is).count();
            let mut bytes = Vec::new();
            push_bits(&bits, present.len(), zeros, &mut bytes);
            let expected: Vec<u32> = present.iter().map(|&is| u32::from(is)).collect();
            prop_assert_eq!(read(&bytes, 1, present.len()), expected);
        }
    }
}
