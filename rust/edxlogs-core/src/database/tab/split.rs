//! Where rows and their fields end. A block is searched once for tabs, line ends and backslashes,
//! 64 bytes at a time.

use crate::database::Dialect;
use crate::json::lanes;

/// Rows that are gathered at a time, at most, …
pub const CHUNK_ROWS: usize = 1024;

/// … or bytes of them, about: what stays in a processor's own cache while its columns are read.
const CHUNK_BYTES: usize = 96 * 1024;

const MARKS_BYTES: usize = 64;

/// Set in the end of a field that holds a backslash.
const BACKSLASH: u32 = 1 << 31;

/// Some rows of a block, each with as many fields as the header.
#[derive(Debug, Default)]
pub struct TabRows<'b> {
    /// What is between the first and the last of them.
    pub bytes: &'b [u8],
    width: usize,
    /// Where each row starts.
    starts: Vec<u32>,
    /// Where each field ends, row after row.
    ends: Vec<u32>,
    /// The line of each row, counted from 0 at the block's first.
    pub lines: Vec<u64>,
}

/// A field: its place in the bytes of the rows, and whether it may hold escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TabField {
    pub start: usize,
    pub end: usize,
    pub has_backslash: bool,
}

impl TabRows<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// The fields of one column, from the first row to the last.
    pub fn column(&self, at: usize) -> impl Iterator<Item = TabField> {
        let rows = self.starts.iter().zip(self.ends.chunks_exact(self.width));
        rows.map(move |(&row, ends)| {
            let start = if at == 0 { row } else { (ends[at - 1] & !BACKSLASH) + 1 };
            let end = ends[at] & !BACKSLASH;
            let has_backslash = ends[at] & BACKSLASH != 0;
            TabField { start: start as usize, end: end as usize, has_backslash }
        })
    }

    fn end_field(&mut self, end: usize, has_backslash: bool) {
        // One field too many tells as much as millions do.
        if self.ends.len() <= (self.starts.len() + 1) * self.width {
            self.ends.push(end as u32 | if has_backslash { BACKSLASH } else { 0 });
        }
    }

    fn clear(&mut self) {
        self.starts.clear();
        self.ends.clear();
        self.lines.clear();
    }
}

/// What is no row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OddRow {
    /// A line with nothing in it.
    Blank,
    /// Another number of fields: its start and end in the block, and its line.
    Fields(usize, usize, u64),
}

/// Takes the rows of a block apart.
pub struct Splitter<'b> {
    bytes: &'b [u8],
    dialect: Dialect,
    width: usize,
    crlf: bool,
    /// Rows whose CR before the LF was left out.
    pub crlf_rows: u64,
    at: usize,
    line: u64,
}

impl<'b> Splitter<'b> {
    /// A splitter of rows of `width` fields, which with `crlf` end at CR and LF. A block is smaller
    /// than 2 GiB.
    pub fn new(bytes: &'b [u8], dialect: Dialect, width: usize, crlf: bool) -> Self {
        Self { bytes, dialect, width, crlf, crlf_rows: 0, at: 0, line: 0 }
    }

    /// Gathers the next rows, at most that many, in place of those in `rows`, and hands on what is
    /// none; false at the end of the block.
    pub fn next(
        &mut self,
        rows: &mut TabRows<'b>,
        most: usize,
        mut odd: impl FnMut(OddRow),
    ) -> bool {
        rows.clear();
        rows.width = self.width;
        let bytes = &self.bytes[self.at..];
        let mut row = 0;
        let mut has_backslash = false;
        let mut at = 0;
        'rows: while at < bytes.len() {
            let (mut ends, mut backslashes) = marks_from(&bytes[at..]);
            while ends != 0 {
                let end = at + ends.trailing_zeros() as usize;
                let before = (ends & ends.wrapping_neg()) - 1;
                ends &= ends - 1;
                let is_line_end = bytes[end] == b'\n';
                if !is_line_end && self.is_data(bytes, end) {
                    continue;
                }
                has_backslash |= backslashes & before != 0;
                backslashes &= !before;
                let text_end = if is_line_end { self.line_end(bytes, row, end) } else { end };
                rows.end_field(text_end, has_backslash);
                has_backslash = false;
                if is_line_end {
                    self.end_row(row, text_end, rows, &mut odd);
                    row = end + 1;
                    if rows.len() >= most || row >= CHUNK_BYTES {
                        break 'rows;
                    }
                }
            }
            has_backslash |= backslashes != 0;
            at += MARKS_BYTES;
        }
        if at >= bytes.len() && row < bytes.len() {
            // The last row of a file may lack its LF.
            let text_end = self.line_end(bytes, row, bytes.len());
            rows.end_field(text_end, has_backslash);
            self.end_row(row, text_end, rows, &mut odd);
            row = bytes.len();
        }
        rows.bytes = &bytes[..row];
        self.at += row;
        row > 0
    }

    fn end_row(
        &mut self,
        start: usize,
        end: usize,
        rows: &mut TabRows<'_>,
        odd: &mut impl FnMut(OddRow),
    ) {
        let whole = rows.starts.len() * self.width;
        let is_blank = start == end;
        if !is_blank && rows.ends.len() == whole + self.width {
            rows.starts.push(start as u32);
            rows.lines.push(self.line);
        } else {
            rows.ends.truncate(whole);
            let (start, end) = (self.at + start, self.at + end);
            odd(if is_blank { OddRow::Blank } else { OddRow::Fields(start, end, self.line) });
        }
        self.line += 1;
    }

    /// Where the text of a row ends whose line ends there.
    fn line_end(&mut self, bytes: &[u8], row: usize, end: usize) -> usize {
        let has_cr = self.crlf && bytes[row..end].last() == Some(&b'\r');
        self.crlf_rows += u64::from(has_cr);
        end - usize::from(has_cr)
    }

    /// Whether the tab there is of a value: in courseware_studentmodule, one that follows an odd
    /// number of backslashes.
    fn is_data(&self, bytes: &[u8], tab: usize) -> bool {
        let before = &bytes[..tab];
        if self.dialect != Dialect::Module || before.last() != Some(&b'\\') {
            return false;
        }
        let backslashes = before.iter().rev().take_while(|&&byte| byte == b'\\').count();
        !backslashes.is_multiple_of(2)
    }
}

/// The marks of the first 64 bytes, or of what there is.
fn marks_from(bytes: &[u8]) -> (u64, u64) {
    if let Some(whole) = bytes.first_chunk() {
        return marks(whole);
    }
    let mut last = [0; MARKS_BYTES];
    last[..bytes.len()].copy_from_slice(bytes);
    marks(&last)
}

/// The bytes that are a tab or a line end, and those that are a backslash, the first lowest.
fn marks(bytes: &[u8; MARKS_BYTES]) -> (u64, u64) {
    let ends = |part: &_| lanes::equal(part, b'\t') | lanes::equal(part, b'\n');
    (lanes::each(bytes, ends), lanes::each(bytes, |part| lanes::equal(part, b'\\')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Rows as lists of fields, blank lines, and odd rows, each with its line.
    type Found = Vec<(u64, Option<Vec<String>>)>;

    fn found(text: &str, dialect: Dialect, width: usize, most: usize) -> Found {
        let mut splitter = Splitter::new(text.as_bytes(), dialect, width, false);
        let mut found = Found::new();
        let (mut rows, mut blank) = (TabRows::default(), 0);
        loop {
            let mut odd_rows = Found::new();
            let more = splitter.next(&mut rows, most, |odd| match odd {
                OddRow::Blank => blank += 1,
                OddRow::Fields(start, end, line) => {
                    odd_rows.push((line, Some(vec![text[start..end].to_owned()])));
                }
            });
            found.append(&mut odd_rows);
            let columns: Vec<Vec<TabField>> =
                (0..width).map(|at| rows.column(at).collect()).collect();
            for (row, &line) in rows.lines.iter().enumerate() {
                let fields = columns.iter().map(|column| {
                    let TabField { start, end, has_backslash } = column[row];
                    let field = str::from_utf8(&rows.bytes[start..end]).expect("UTF-8");
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
    }
}
