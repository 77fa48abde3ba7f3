//! Comma-separated files, as Python's `csv` writes them: fields quoted where they must be, quotes
//! in them doubled, rows ended by CR LF or LF; a quoted field may hold line ends.
//!
//! Source: EdX Research Guide, "Institution-Wide Data".

use std::borrow::Cow;

use crate::database::builder::{TableBuilder, without_nul};
use crate::database::layout::{HeaderField, Layout};
use crate::database::{Gather, MAX_ROW_BYTES, Table};
use crate::error::Result;
use crate::frame::counts::Reason;
use crate::frame::types::Value;
use crate::input::lines::LineBatch;

/// The fields of one row, their quotes undone.
#[derive(Debug, Default)]
struct CsvFields {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl CsvFields {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn end_field(&mut self) {
        self.ends.push(self.bytes.len());
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }
}

/// Splits the first row of a text; the bytes it takes with its end, or `None` if it has no end.
fn split(text: &[u8], fields: &mut CsvFields) -> Option<usize> {
    fields.clear();
    let mut at = 0;
    loop {
        let mut quoted = text.get(at) == Some(&b'"');
        at += usize::from(quoted);
        loop {
            if quoted {
                let end = at + memchr::memchr(b'"', &text[at..])?;
                fields.bytes.extend_from_slice(&text[at..end]);
                at = end + 1;
                if text.get(at) == Some(&b'"') {
                    fields.bytes.push(b'"');
                    at += 1;
                } else {
                    quoted = false;
                }
            } else {
                let end = at + memchr::memchr2(b',', b'\n', &text[at..])?;
                let is_last = text[end] == b'\n';
                let field = &text[at..end];
                let field =
                    if is_last { field.strip_suffix(b"\r").unwrap_or(field) } else { field };
                fields.bytes.extend_from_slice(field);
                fields.end_field();
                at = end + 1;
                if is_last {
                    return Some(at);
                }
                break;
            }
        }
    }
}

/// Reads rows in their order, from one block after the other.
pub struct CsvReader<'t> {
    table: &'t Table,
    layout: Option<Layout<'t>>,
    fields: CsvFields,
    /// The beginning of a row that goes on in the next block.
    rest: Vec<u8>,
    line: u64,
    offset: u64,
    row: u64,
}

impl<'t> CsvReader<'t> {
    /// A reader of a file from its beginning.
    pub fn new(table: &'t Table) -> Self {
        Self {
            table,
            layout: None,
            fields: CsvFields::default(),
            rest: Vec::new(),
            line: 1,
            offset: 0,
            row: 0,
        }
    }

    /// Reads the next block, or what is left after the last, to its last whole row.
    ///
    /// # Errors
    /// Those of `consume`; `Format` when the header names a column twice; `Internal`.
    pub fn read(
        &mut self,
        block: Option<&LineBatch>,
        builder: &mut TableBuilder<'_>,
        consume: Gather<'_>,
    ) -> Result<()> {
        let mut text = std::mem::take(&mut self.rest);
        match block {
            Some(block) => {
                builder.stats.bytes_expanded += block.expanded_bytes();
                text.extend_from_slice(block.bytes());
            }
            // The last row may lack its end.
            None if !text.is_empty() && !text.ends_with(b"\n") => text.push(b'\n'),
            None => {}
        }
        let mut fields = std::mem::take(&mut self.fields);
        let mut start = 0;
        while start < text.len() {
            let Some(taken) = split(&text[start..], &mut fields) else {
                break;
            };
            let row = &text[start..start + taken];
            self.record(row, &fields, builder)?;
            builder.hand_on(consume)?;
            self.pass(row);
            start += taken;
        }
        self.fields = fields;
        text.drain(..start);
        if let Some(long) = block.and_then(|block| block.long.as_ref()) {
            self.reject(builder, &text, Reason::Quote);
            self.reject(builder, &long.head, Reason::TooLong);
            self.pass(&text);
            text.clear();
            self.line += 1;
            self.offset += long.bytes();
        } else if block.is_none() || text.len() > MAX_ROW_BYTES {
            self.reject(builder, &text, Reason::Quote);
            self.pass(&text);
            text.clear();
        }
        self.rest = text;
        Ok(())
    }

    /// Goes on behind a row.
    fn pass(&mut self, row: &[u8]) {
        self.line += memchr::memchr_iter(b'\n', row).count() as u64;
        self.offset += row.len() as u64;
    }

    fn record(
        &mut self,
        row: &[u8],
        fields: &CsvFields,
        builder: &mut TableBuilder<'_>,
    ) -> Result<()> {
        let Some(layout) = &self.layout else {
            let names = fields.iter().map(|name| String::from_utf8_lossy(name).into_owned());
            let layout = Layout::of(self.table, &names.collect::<Vec<_>>())?;
            builder.stats.add(&layout.stats());
            self.layout = Some(layout);
            return Ok(());
        };
        if row.trim_ascii().is_empty() {
            builder.stats.blank += 1;
            return Ok(());
        }
        self.row += 1;
        if fields.ends.len() != layout.fields.len() {
            self.reject(builder, row, Reason::Fields);
            return Ok(());
        }
        if let Some(wanted) = &self.table.courses {
            let course = layout.course.and_then(|column| {
                let mut its = fields.iter().zip(&layout.fields);
                its.find(
                    |(_, target)| matches!(target, HeaderField::Column(at, _) if *at == column),
                )
            });
            let course = course.map(|(course, _)| String::from_utf8_lossy(course));
            if !course.is_some_and(|course| wanted.hold(&course)) {
                builder.stats.left += 1;
                builder.stats.rows += 1;
                return Ok(());
            }
        }
        for (field, target) in fields.iter().zip(&layout.fields) {
            let text = String::from_utf8_lossy(field);
            builder.stats.utf8 += u64::from(matches!(text, Cow::Owned(_)));
            match target {
                HeaderField::Column(column, _) if field == b"NULL" => {
                    builder.push(*column, Value::Null);
                }
                HeaderField::Column(column, _) => {
                    if self.table.columns[*column].name == "course_id" {
                        builder.stats.note_course(&text, 1);
                    }
                    builder.push_text(*column, text);
                }
                HeaderField::Extra(name) => {
                    let text = without_nul(text, &mut builder.stats.nul);
                    builder.push_extra(name, &text);
                }
            }
        }
        for &column in &layout.missing {
            builder.push(column, Value::Null);
        }
        builder.end_row(self.row)
    }

    fn reject(&self, builder: &mut TableBuilder<'_>, row: &[u8], reason: Reason) {
        if row.is_empty() {
            return;
        }
        let row = row.strip_suffix(b"\n").unwrap_or(row);
        builder.reject(row, self.line, self.offset, reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_split_as_python_splits_them() {
        let rows = |text: &[u8]| {
            let (mut rows, mut at, mut fields) = (Vec::new(), 0, CsvFields::default());
            while let Some(taken) = split(&text[at..], &mut fields) {
                let row = fields.iter().map(|field| String::from_utf8_lossy(field).into_owned());
                rows.push(row.collect::<Vec<_>>().join("|"));
                at += taken;
            }
            (rows, at)
        };
        let whole = b"a,\"b,\"\"c\"\"\r\n\",d\r\n,,\n\"x\"y,z\"\r\n";
        let (found, taken) = rows(&[&whole[..], b"\"open,\n"].concat());
        assert_eq!(found, ["a|b,\"c\"\r\n|d", "||", "xy|z\""]);
        assert_eq!(taken, whole.len());
    }
}
