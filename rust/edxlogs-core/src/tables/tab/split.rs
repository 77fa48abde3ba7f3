//! Where rows and their fields end. A block is searched once for tabs, line ends and backslashes,
//! 64 bytes at a time.

use crate::tables::Dialect;

/// Rows that are gathered at a time, at most, …
pub const CHUNK_ROWS: usize = 1024;

/// … or bytes of them, about: what stays in a processor's own cache while its columns are read.
const CHUNK_BYTES: usize = 256 * 1024;

const MARKS_BYTES: usize = 64;

/// Set in the end of a field that holds a backslash.
const BACKSLASH: u32 = 1 << 31;

/// Some rows of a block, each with as many fields as the header.
#[derive(Debug, Default)]
pub struct Rows {
    width: usize,
    /// Where each row starts.
    starts: Vec<u32>,
    /// Where each field ends, row after row.
    ends: Vec<u32>,
    /// The line of each row, counted from 0 at the block's first.
    pub lines: Vec<u64>,
}

/// A field: its place in the block, and whether it may hold escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    pub start: usize,
    pub end: usize,
    pub has_backslash: bool,
}

impl Rows {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// The fields of one column, from the first row to the last.
    pub fn column(&self, at: usize) -> impl Iterator<Item = Field> {
        let rows = self.starts.iter().zip(self.ends.chunks_exact(self.width));
        rows.map(move |(&row, ends)| {
            let start = if at == 0 { row } else { (ends[at - 1] & !BACKSLASH) + 1 };
            let end = ends[at] & !BACKSLASH;
            let has_backslash = ends[at] & BACKSLASH != 0;
            Field { start: start as usize, end: end as usize, has_backslash }
        })
    }

    fn clear(&mut self) {
        self.starts.clear();
        self.ends.clear();
        self.lines.clear();
    }
}

/// What is no row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Odd {
    /// A line with nothing in it.
    Blank,
    /// Another number of fields: the first and one past the last byte, and the line.
    Fields(usize, usize, u64),
}

/// Takes the rows of a block apart.
pub struct Splitter<'b> {
    bytes: &'b [u8],
    dialect: Dialect,
    width: usize,
    at: usize,
    line: u64,
}

impl<'b> Splitter<'b> {
    /// A splitter of rows of `width` fields. A block is smaller than 2 GiB.
    pub fn new(bytes: &'b [u8], dialect: Dialect, width: usize) -> Self {
        Self { bytes, dialect, width, at: 0, line: 0 }
    }

    /// Gathers the next rows, at most that many, in place of those in `rows`, and hands on what is
    /// none; false at the end of the block.
    pub fn next(&mut self, rows: &mut Rows, most: usize, mut odd: impl FnMut(Odd)) -> bool {
        rows.clear();
        rows.width = self.width;
        let first = self.at;
        let mut row = first;
        let mut has_backslash = false;
        let mut at = first;
        while at < self.bytes.len() {
            let (mut ends, mut backslashes) = self.marks(at);
            while ends != 0 {
                let end = at + ends.trailing_zeros() as usize;
                let before = (ends & ends.wrapping_neg()) - 1;
                ends &= ends - 1;
                let is_line_end = self.bytes[end] == b'\n';
                if !is_line_end && self.is_data(end) {
                    continue;
                }
                has_backslash |= backslashes & before != 0;
                backslashes &= !before;
                rows.ends.push(end as u32 | if has_backslash { BACKSLASH } else { 0 });
                has_backslash = false;
                if is_line_end {
                    self.end_row(row, end, rows, &mut odd);
                    row = end + 1;
                    self.at = row;
                    if rows.len() >= most || row - first >= CHUNK_BYTES {
                        return true;
                    }
                }
            }
            has_backslash |= backslashes != 0;
            at += MARKS_BYTES;
        }
        let end = self.bytes.len();
        if row < end {
            // The last row of a file may lack its LF.
            rows.ends.push(end as u32 | if has_backslash { BACKSLASH } else { 0 });
            self.end_row(row, end, rows, &mut odd);
        }
        self.at = end;
        first < end
    }

    fn end_row(&mut self, start: usize, end: usize, rows: &mut Rows, odd: &mut impl FnMut(Odd)) {
        let whole = rows.starts.len() * self.width;
        let is_blank = start == end;
        if !is_blank && rows.ends.len() == whole + self.width {
            rows.starts.push(start as u32);
            rows.lines.push(self.line);
        } else {
            rows.ends.truncate(whole);
            odd(if is_blank { Odd::Blank } else { Odd::Fields(start, end, self.line) });
        }
        self.line += 1;
    }

    /// Whether the tab there is of a value: in courseware_studentmodule, one that follows an odd
    /// number of backslashes.
    fn is_data(&self, tab: usize) -> bool {
        let before = &self.bytes[..tab];
        if self.dialect != Dialect::Module || before.last() != Some(&b'\\') {
            return false;
        }
        let backslashes = before.iter().rev().take_while(|&&byte| byte == b'\\').count();
        !backslashes.is_multiple_of(2)
    }

    /// Of the 64 bytes from `at` on, a bit for each that is a tab or a line end, and for each that
    /// is a backslash.
    fn marks(&self, at: usize) -> (u64, u64) {
        let rest = &self.bytes[at..];
        if let Some(whole) = rest.first_chunk() {
            return marks(whole);
        }
        let mut last = [0; MARKS_BYTES];
        last[..rest.len()].copy_from_slice(rest);
        marks(&last)
    }
}

/// The bytes that are a tab or a line end, and those that are a backslash, the first lowest.
#[inline(always)]
fn marks(bytes: &[u8; MARKS_BYTES]) -> (u64, u64) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has SSE2.
    unsafe {
        marks_sse2(bytes)
    }
    #[cfg(not(target_arch = "x86_64"))]
    portable_marks(bytes)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
fn marks_sse2(bytes: &[u8; MARKS_BYTES]) -> (u64, u64) {
    use std::arch::x86_64::*;
    const QUARTER: usize = 16;
    let (mut ends, mut backslashes) = (0, 0);
    for (quarter, bytes) in bytes.as_chunks::<QUARTER>().0.iter().enumerate() {
        let whole = u128::from_le_bytes(*bytes);
        let bytes = _mm_set_epi64x((whole >> 64) as i64, whole as i64);
        let same = |byte: u8| _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte.cast_signed()));
        let mask = |lanes| u64::from(_mm_movemask_epi8(lanes).cast_unsigned());
        let shift = quarter * QUARTER;
        ends |= mask(_mm_or_si128(same(b'\t'), same(b'\n'))) << shift;
        backslashes |= mask(same(b'\\')) << shift;
    }
    (ends, backslashes)
}

/// The same, eight bytes at a time.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn portable_marks(bytes: &[u8; MARKS_BYTES]) -> (u64, u64) {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let (mut ends, mut backslashes) = (0, 0);
    for (place, bytes) in bytes.as_chunks::<8>().0.iter().enumerate() {
        let word = u64::from_le_bytes(*bytes);
        // The high bit of each byte that is the same.
        let same = |byte: u8| {
            let differs = word ^ (ONES * u64::from(byte));
            !(((differs & LOW) + LOW) | differs | LOW)
        };
        // One bit for each byte.
        let mask = |high: u64| (high >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        ends |= mask(same(b'\t') | same(b'\n')) << (8 * place);
        backslashes |= mask(same(b'\\')) << (8 * place);
    }
    (ends, backslashes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Rows as lists of fields, blank lines, and odd rows, each with its line.
    type Found = Vec<(u64, Option<Vec<String>>)>;

    fn found(text: &str, dialect: Dialect, width: usize, most: usize) -> Found {
        let mut splitter = Splitter::new(text.as_bytes(), dialect, width);
        let mut found = Found::new();
        let (mut rows, mut blank) = (Rows::default(), 0);
        loop {
            let mut odd_rows = Found::new();
            let more = splitter.next(&mut rows, most, |odd| match odd {
                Odd::Blank => blank += 1,
                Odd::Fields(start, end, line) => {
                    odd_rows.push((line, Some(vec![text[start..end].to_owned()])));
                }
            });
            found.append(&mut odd_rows);
            let columns: Vec<Vec<Field>> = (0..width).map(|at| rows.column(at).collect()).collect();
            for (row, &line) in rows.lines.iter().enumerate() {
                let fields = columns.iter().map(|column| {
                    let Field { start, end, has_backslash } = column[row];
                    let field = &text[start..end];
                    assert_eq!(has_backslash, field.contains('\\'));
                    field.to_owned()
                });
                found.push((line, Some(fields.collect())));
            }
            if !more {
                break;
            }
        }
        found.extend((0..blank).map(|_| (u64::MAX, None)));
        found.sort();
        found
    }

    /// The same, character by character.
    fn expected(text: &str, dialect: Dialect, width: usize) -> Found {
        let mut expected = Found::new();
        for (line, row) in text.split_terminator('\n').enumerate() {
            if row.is_empty() {
                expected.push((u64::MAX, None));
                continue;
            }
            let (mut fields, mut escaped) = (vec![String::new()], false);
            for character in row.chars() {
                if character == '\t' && !(escaped && dialect == Dialect::Module) {
                    fields.push(String::new());
                } else if let Some(field) = fields.last_mut() {
                    field.push(character);
                }
                escaped = character == '\\' && !escaped;
            }
            let fields = if fields.len() == width { fields } else { vec![row.to_owned()] };
            expected.push((line as u64, Some(fields)));
        }
        expected.sort();
        expected
    }

    proptest! {
        #[test]
        fn rows_are_taken_apart_as_by_hand(
            text in "([a\\\\\t]{0,90}\n?|\n|a\ta\t\\\\a\n|é\t\t\n){0,12}", module in any::<bool>(),
            width in 1usize..5, most in 1usize..4,
        ) {
            let dialect = if module { Dialect::Module } else { Dialect::Tab };
            prop_assert_eq!(found(&text, dialect, width, most), expected(&text, dialect, width));
        }

        #[test]
        fn marks_are_those_of_each_byte(text in proptest::collection::vec(
            prop_oneof![Just(b'\t'), Just(b'\n'), Just(b'\\'), Just(b'\x08'), any::<u8>()], MARKS_BYTES,
        )) {
            let bit = |(at, is): (usize, bool)| u64::from(is) << at;
            let bits = |is: fn(&u8) -> bool| text.iter().map(is).enumerate().map(bit).sum::<u64>();
            let expected = (bits(|byte| b"\t\n".contains(byte)), bits(|&byte| byte == b'\\'));
            let bytes: &[u8; MARKS_BYTES] = text.as_slice().try_into().expect("as many");
            prop_assert_eq!(marks(bytes), expected);
            prop_assert_eq!(portable_marks(bytes), expected);
        }
    }
}
