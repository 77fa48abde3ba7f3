//! Huffman codes as tables of two levels, looked up by the next bits of the stream.

/// Bits that index the first level of each table; longer codes go through a second level.
pub(super) const LITLEN_BITS: u32 = 10;
pub(super) const DIST_BITS: u32 = 8;
pub(super) const PRECODE_BITS: u32 = 7;

/// Both levels, rounded up to a power of two so that a masked index needs no check. Codes of
/// at most 15 bits need no more than 1,336 (288 symbols, 10 bits) and 406 (32 symbols, 8 bits).
pub(super) const LITLEN_SIZE: usize = 2048;
pub(super) const DIST_SIZE: usize = 512;

// An entry of a table, from the low end:
//   bits 0..6    bits to consume in all: code and extra bits
//   bits 8..12   bits of the code alone; index bits of a second level
//   bits 12..16  what it is
//   bits 16..32  a literal, the base of a length or distance, or where a second level starts
pub(super) const LITERAL: u32 = 1 << 14;
pub(super) const SPECIAL: u32 = 1 << 15;
pub(super) const END: u32 = SPECIAL | 1 << 12;
pub(super) const INVALID: u32 = SPECIAL | 1 << 13;

pub(super) const LITLEN: [u32; 288] = litlen_symbols();
pub(super) const DIST: [u32; 32] = dist_symbols();
pub(super) const PRECODE: [u32; 19] = precode_symbols();
/// The order in which a block's header gives the lengths of the code for code lengths.
pub(super) const PRECODE_ORDER: [u8; 19] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

const fn litlen_symbols() -> [u32; 288] {
    let mut entries = [INVALID; 288];
    let mut symbol = 0;
    while symbol < 256 {
        entries[symbol] = LITERAL | (symbol as u32) << 16;
        symbol += 1;
    }
    entries[256] = END;
    symbol = 257;
    let mut base = 3;
    while symbol < 285 {
        let extra = if symbol < 265 { 0 } else { (symbol as u32 - 261) / 4 };
        entries[symbol] = base << 16 | extra;
        base += 1 << extra;
        symbol += 1;
    }
    entries[285] = 258 << 16;
    entries
}

const fn dist_symbols() -> [u32; 32] {
    let mut entries = [INVALID; 32];
    let mut symbol = 0;
    let mut base = 1;
    while symbol < 30 {
        let extra = if symbol < 4 { 0 } else { symbol as u32 / 2 - 1 };
        entries[symbol] = base << 16 | extra;
        base += 1 << extra;
        symbol += 1;
    }
    entries
}

const fn precode_symbols() -> [u32; 19] {
    let mut entries = [0; 19];
    let mut symbol = 0;
    while symbol < 19 {
        entries[symbol] = (symbol as u32) << 16;
        symbol += 1;
    }
    entries
}

/// Fills `table` from the code lengths of its symbols. False for lengths that make no code.
///
/// A code must use its space exactly. As in zlib, a code of one symbol of one bit, or of none, may
/// stand where `partial` allows it; its unused half is invalid.
pub(super) fn build(
    table: &mut [u32],
    bits: u32,
    lengths: &[u8],
    symbols: &[u32],
    partial: bool,
) -> bool {
    let mut counts = [0usize; 16];
    for &length in lengths {
        counts[usize::from(length)] += 1;
    }
    let used = lengths.len() - counts[0];
    counts[0] = 0;
    let mut starts = [0usize; 17];
    let mut space = 1isize;
    for length in 1..16 {
        starts[length + 1] = starts[length] + counts[length];
        space = space * 2 - counts[length].cast_signed();
        if space < 0 {
            return false;
        }
    }
    let mut sorted = [0u16; 288];
    for (symbol, &length) in lengths.iter().enumerate().filter(|&(_, &length)| length > 0) {
        let place = &mut starts[usize::from(length)];
        sorted[*place] = symbol as u16;
        *place += 1;
    }
    let entry = |symbol: u16, length: u32| symbols[usize::from(symbol)] + (length << 8 | length);
    if space > 0 {
        if !partial || used > counts[1] {
            return false;
        }
        for pair in table[..1 << bits].chunks_exact_mut(2) {
            let first = if used == 1 { entry(sorted[0], 1) } else { INVALID | 1 << 8 | 1 };
            pair.copy_from_slice(&[first, INVALID | 1 << 8 | 1]);
        }
        return true;
    }

    // Codes in order; `code` is kept reversed, as the stream has its first bit lowest. Each length
    // doubles the part of the table that is done.
    let mut sorted = sorted[..used].iter();
    let mut code = 0usize;
    for length in 1..=bits {
        for &symbol in sorted.by_ref().take(counts[length as usize]) {
            table[code] = entry(symbol, length);
            code = next_code(code, length);
        }
        if length < bits {
            table.copy_within(..1 << length, 1 << length);
        }
    }
    let (mut prefix, mut start, mut sub_bits) = (usize::MAX, 0, 0);
    let mut end = 1 << bits;
    for length in bits + 1..16 {
        for rest in (1..=counts[length as usize]).rev() {
            let Some(&symbol) = sorted.next() else {
                return false;
            };
            if code & ((1 << bits) - 1) != prefix {
                prefix = code & ((1 << bits) - 1);
                // As many bits as the codes that share this prefix need.
                sub_bits = length - bits;
                let mut filled = rest;
                while filled < 1 << sub_bits {
                    sub_bits += 1;
                    filled = filled * 2 + counts[(bits + sub_bits) as usize];
                }
                start = end;
                end += 1 << sub_bits;
                table[prefix] = SPECIAL | (start as u32) << 16 | sub_bits << 8 | bits;
            }
            for slot in (code >> bits..1 << sub_bits).step_by(1 << (length - bits)) {
                table[start + slot] = entry(symbol, length - bits);
            }
            code = next_code(code, length);
        }
    }
    true
}

/// The code after `code`, both reversed; the last one stays.
fn next_code(code: usize, length: u32) -> usize {
    match (!code & ((1 << length) - 1)).checked_ilog2() {
        Some(bit) => code & ((1 << bit) - 1) | 1 << bit,
        None => code,
    }
}
