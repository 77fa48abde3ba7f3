//! The exporter's `.sql` files, which are no SQL: fields between tabs, rows that end at LF, a
//! header, and no quoting of any kind.
//!
//! Escapes are undone in one pass from left to right, so `\\n` is a backslash and an `n`. The word
//! `NULL` is null, and cannot be told from the text `NULL`; `\N` is null too. NUL characters are
//! left out, as the exporter does since 2023. In courseware_studentmodule, which another program
//! writes, only a backslash and a tab are escaped, the tab as a backslash before a real tab.
//!
//! Source: EdX Research Guide, "Student Info and Progress Data"; the exporter's writers from 2013
//! to 2023, one of which (November 2022) wrote every value as a Python bytes literal.

use std::borrow::Cow;

use self::escapes::{
    are_literals, is_null, literal, unescape_literal, unescape_module, unescape_tab,
};
use self::split::{CHUNK_ROWS, OddRow, Splitter, TabField, TabRows};
use crate::database::builder::{TableBuilder, without_nul};
use crate::database::layout::{HeaderField, Layout, Taken};
use crate::database::{Derived, Dialect, Gather, Table};
use crate::error::Result;
use crate::frame::builder::{ColumnBuilder, Push};
use crate::frame::counts::{Reason, TableStats};
use crate::frame::types::{ColumnType, Value};
use crate::frame::value::{self, NoValue};
use crate::input::lines::LineBatch;
use crate::json::plain::is_container;
use crate::json::quotes::Quotes;
use crate::json::scanner::{Kind, Span};
use crate::json::text::decode;

mod escapes;
mod split;

/// Reads the header at the start of a file's first block, and looks at the rows after it.
///
/// # Errors
/// `Format`, when the header names a column twice, or none of the table.
pub fn layout<'t>(table: &'t Table, first: &[u8]) -> Result<Layout<'t>> {
    let end = memchr::memchr(b'\n', first);
    let header = String::from_utf8_lossy(&first[..end.unwrap_or(first.len())]);
    let plain = header.strip_suffix('\r');
    let names: Vec<&str> = plain.unwrap_or(&header).split('\t').collect();
    let mut layout = Layout::of(table, &names)?;
    layout.crlf = plain.is_some();
    layout.header_bytes = end.map_or(first.len(), |end| end + 1);
    layout.literals = are_literals(&first[layout.header_bytes..]);
    Ok(layout)
}

/// Reads the rows of one block, a column after the other.
pub struct TabReader<'t, 'b> {
    layout: &'t Layout<'t>,
    builder: &'t mut TableBuilder<'b>,
    misfits: Misfits,
}

impl<'t, 'b> TabReader<'t, 'b> {
    /// A reader of rows of that layout.
    pub fn new(layout: &'t Layout<'t>, builder: &'t mut TableBuilder<'b>) -> Self {
        let misfits = Misfits { counts: vec![0; layout.table.columns.len()], ..Misfits::default() };
        Self { layout, builder, misfits }
    }

    /// Reads a block.
    ///
    /// # Errors
    /// Those of `consume`; `Internal`.
    pub fn read(mut self, block: &LineBatch, consume: Gather<'_>) -> Result<()> {
        let skipped = if block.line == 1 { self.layout.header_bytes } else { 0 };
        let bytes = &block.bytes()[skipped..];
        let first_line = block.line + u64::from(skipped > 0);
        self.builder.stats.bytes_expanded += block.expanded_bytes();
        let mut texts = TabTexts::new(self.layout);
        let width = self.layout.fields.len();
        let mut splitter = Splitter::new(bytes, self.layout.table.dialect, width, self.layout.crlf);
        let mut rows = TabRows::default();
        while splitter.next(&mut rows, self.builder.room().min(CHUNK_ROWS), |odd| match odd {
            OddRow::Blank => self.builder.stats.blank += 1,
            OddRow::Fields(start, end, line) => {
                let place = block.offset + (skipped + start) as u64;
                self.builder.reject(&bytes[start..end], first_line + line, place, Reason::Fields);
            }
        }) {
            texts.bytes(rows.bytes);
            self.rows(&rows, first_line, &mut texts)?;
            self.builder.hand_on(consume)?;
        }
        self.builder.stats.crlf += splitter.crlf_rows;
        self.builder.stats.utf8 += texts.odd.utf8;
        self.builder.stats.nul += texts.odd.nul;
        self.builder.stats.zero_dates += self.misfits.zero_dates;
        self.builder.stats.misfits.clone_from(&self.misfits.counts);
        if let Some(long) = &block.long {
            self.builder.reject(&long.head, block.line, block.offset, Reason::TooLong);
        }
        Ok(())
    }

    fn rows(
        &mut self,
        rows: &TabRows<'_>,
        first_line: u64,
        texts: &mut TabTexts<'_>,
    ) -> Result<()> {
        let layout = self.layout;
        for (at, target) in layout.fields.iter().enumerate() {
            if let HeaderField::Column(column, column_type) = *target {
                for taken in layout.taken.iter().filter(|taken| taken.source == column) {
                    self.taken(rows.column(at), taken, texts);
                }
                self.column(rows.column(at), column, column_type, texts);
            }
        }
        for &column in &layout.missing {
            for _ in 0..rows.len() {
                self.builder.push(column, Value::Null);
            }
        }
        self.keep_aside(rows, texts);
        // The header is a line, but no row.
        self.builder.end_rows(rows.lines.iter().map(|line| first_line + line - 1))
    }

    /// Reads the fields of a column.
    fn column(
        &mut self,
        fields: impl Iterator<Item = TabField>,
        column: usize,
        column_type: ColumnType,
        texts: &mut TabTexts<'_>,
    ) {
        use ColumnType::{Bool, Date, Float64, Int64, Json, Text, Timestamp};
        let is_course = self.layout.course == Some(column);
        let values = TabColumn { fields, column, texts, misfits: &mut self.misfits, is_course };
        // Each type has a loop of its own, made for it.
        self.builder.push_rows(column, |builder, stats| match builder {
            ColumnBuilder::Text(builder) if column_type == Json => {
                values.push(Json, builder, stats)
            }
            ColumnBuilder::Text(builder) => values.push(Text, builder, stats),
            ColumnBuilder::Int64(builder) => values.push(Int64, builder, stats),
            ColumnBuilder::Float64(builder) => values.push(Float64, builder, stats),
            ColumnBuilder::Bool(builder) => values.push(Bool, builder, stats),
            ColumnBuilder::Timestamp(builder) => values.push(Timestamp, builder, stats),
            ColumnBuilder::Date(builder) => values.push(Date, builder, stats),
        });
    }

    /// Reads what is taken out of the fields of a column.
    fn taken(
        &mut self,
        fields: impl Iterator<Item = TabField>,
        taken: &Taken<'_>,
        texts: &mut TabTexts<'_>,
    ) {
        // What is odd in them is counted with their own column.
        let odd = texts.odd;
        let mut found = Vec::new();
        for (row, field) in fields.enumerate() {
            let text = texts.of(field).unwrap_or_default();
            taken.paths.find_in_whole(text.as_bytes(), &mut found);
            for &(derived, number) in &taken.columns {
                let Derived { column, column_type, .. } = *derived;
                let text = written(&text, found[number], column_type);
                let value = self.misfits.value(text.as_deref(), row, column, column_type);
                self.builder.push(column, value);
            }
        }
        texts.odd = odd;
    }

    /// Keeps, row after row, what the table has no columns for, and what does not fit them.
    fn keep_aside(&mut self, rows: &TabRows<'_>, texts: &mut TabTexts<'_>) {
        let extra = self.layout.fields.iter().enumerate().filter_map(|(at, target)| match target {
            HeaderField::Extra(name) => Some((name, rows.column(at))),
            HeaderField::Column(..) => None,
        });
        let mut extra: Vec<_> = extra.collect();
        if extra.is_empty() && self.misfits.values.is_empty() {
            return;
        }
        // Those of a row stay in the order of its fields.
        self.misfits.values.sort_by_key(|misfit| misfit.row);
        let mut misfits = self.misfits.values.drain(..).peekable();
        for row in 0..rows.len() {
            for (name, fields) in &mut extra {
                if let Some(text) = fields.next().and_then(|field| texts.of(field)) {
                    self.builder.push_extra(name, &text);
                }
            }
            while let Some(misfit) = misfits.next_if(|misfit| misfit.row == row) {
                self.builder.keep_misfit(misfit.column, &misfit.text);
            }
            self.builder.end_aside(row);
        }
    }
}

/// The values of a column.
struct TabColumn<'v, 'b, F> {
    fields: F,
    column: usize,
    texts: &'v mut TabTexts<'b>,
    misfits: &'v mut Misfits,
    is_course: bool,
}

impl<F: Iterator<Item = TabField>> TabColumn<'_, '_, F> {
    /// Adds all of them; about how many bytes they took.
    #[inline(always)]
    fn push(
        self,
        column_type: ColumnType,
        builder: &mut impl Push,
        stats: &mut TableStats,
    ) -> usize {
        let mut bytes = 0;
        for (row, field) in self.fields.enumerate() {
            let text = self.texts.of(field);
            if self.is_course
                && let Some(course) = &text
            {
                stats.note_course(course, 1);
            }
            let value = self.misfits.value(text.as_deref(), row, self.column, column_type);
            bytes += builder.push(value);
        }
        bytes
    }
}

/// Values that do not fit their columns.
#[derive(Default)]
struct Misfits {
    /// How many, by column.
    counts: Vec<u64>,
    zero_dates: u64,
    /// Those of the rows that are read.
    values: Vec<Misfit>,
    /// Of the JSON that is looked at.
    quotes: Quotes,
}

struct Misfit {
    row: usize,
    column: usize,
    text: String,
}

impl Misfits {
    /// What a text is, or null.
    #[inline(always)]
    fn value<'v>(
        &mut self,
        text: Option<&'v str>,
        row: usize,
        column: usize,
        column_type: ColumnType,
    ) -> Value<'v> {
        let Some(text) = text else {
            return Value::Null;
        };
        if column_type == ColumnType::Json && is_container(text.as_bytes(), &mut self.quotes) {
            return Value::Text(Cow::Borrowed(text));
        }
        match value::parse(text, column_type) {
            Ok(value) => value,
            Err(NoValue::Misfit) => {
                self.counts[column] += 1;
                self.values.push(Misfit { row, column, text: text.to_owned() });
                Value::Null
            }
            Err(NoValue::ZeroDate) => {
                self.zero_dates += 1;
                Value::Null
            }
        }
    }
}

/// The text of fields.
#[derive(Default)]
struct TabTexts<'b> {
    bytes: &'b [u8],
    /// The same, if all of it is UTF-8, …
    text: Option<&'b str>,
    /// … and if there is nothing to undo but escapes.
    plain: Option<&'b str>,
    is_module: bool,
    literals: bool,
    has_nul: bool,
    scratch: Vec<u8>,
    odd: OddTexts,
}

/// What is odd in texts.
#[derive(Clone, Copy, Default)]
struct OddTexts {
    /// Values that are not UTF-8.
    utf8: u64,
    /// NUL characters that were left out.
    nul: u64,
}

impl<'b> TabTexts<'b> {
    fn new(layout: &Layout<'_>) -> Self {
        let is_module = layout.table.dialect == Dialect::Module;
        Self { is_module, literals: layout.literals, ..Self::default() }
    }

    /// Goes on to the fields in other bytes.
    fn bytes(&mut self, bytes: &'b [u8]) {
        self.bytes = bytes;
        self.text = simdutf8::basic::from_utf8(bytes).ok();
        self.has_nul = memchr::memchr(b'\0', bytes).is_some();
        self.plain = self.text.filter(|_| !self.has_nul && !self.literals);
    }

    /// The text of a field, its escapes undone; `None` is null.
    #[inline(always)]
    fn of(&mut self, field: TabField) -> Option<Cow<'_, str>> {
        if is_null(&self.bytes[field.start..field.end]) {
            return None;
        }
        match self.plain {
            Some(plain) if !field.has_backslash => {
                Some(Cow::Borrowed(&plain[field.start..field.end]))
            }
            _ => self.undone(field),
        }
    }

    #[inline(never)]
    fn undone(&mut self, field: TabField) -> Option<Cow<'_, str>> {
        let TabField { start, end, has_backslash } = field;
        let mut may_hold_nul = self.has_nul || self.literals;
        let mut value = match self.text {
            Some(text) => Cow::Borrowed(&text[start..end]),
            None => {
                let text = String::from_utf8_lossy(&self.bytes[start..end]);
                self.odd.utf8 += u64::from(matches!(text, Cow::Owned(_)));
                text
            }
        };
        if has_backslash {
            may_hold_nul |= !self.is_module;
            let undo = if self.is_module { unescape_module } else { unescape_tab };
            value = Cow::Borrowed(undo(&value, &mut self.scratch));
        }
        if self.literals
            && let Some(inner) = literal(value.as_bytes())
        {
            let bytes = unescape_literal(inner);
            if bytes == b"NULL" {
                return None;
            }
            let text = String::from_utf8_lossy(&bytes);
            self.odd.utf8 += u64::from(matches!(text, Cow::Owned(_)));
            value = Cow::Owned(text.into_owned());
        }
        if may_hold_nul {
            value = without_nul(value, &mut self.odd.nul);
        }
        Some(value)
    }
}

/// A value of JSON as a column of that type reads it; `None` for null.
fn written(json: &str, span: Span, column_type: ColumnType) -> Option<Cow<'_, str>> {
    match span.kind {
        Kind::Absent | Kind::Null => None,
        Kind::String if column_type != ColumnType::Json => Some(decode(json, span)),
        Kind::String => Some(Cow::Borrowed(&json[span.start - 1..=span.end])),
        _ => Some(Cow::Borrowed(&json[span.start..span.end])),
    }
}
