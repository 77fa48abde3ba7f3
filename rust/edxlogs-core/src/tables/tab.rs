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

use arrow_schema::SchemaRef;

use crate::error::{Error, ErrorKind, Result};
use crate::path::{Step, find};
use crate::rejects::COMMENT;
use crate::scanner::Kind;
use crate::tables::blocks::Block;
use crate::tables::builder::TableBuilder;
use crate::tables::stats::{Reason, Stats};
use crate::tables::value::{self, Value};
use crate::tables::{ColumnType, Derived, Dialect, Origin, Table};
use crate::text::{decode, push_json_string, whole_value};

use arrow_array::RecordBatch;

#[cfg(test)]
mod tests;

/// Rows that are looked at to tell whether values are bytes literals.
const SAMPLE_ROWS: usize = 1000;

/// What a field of a row is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The table's column at that place.
    Column(usize, ColumnType),
    /// Of no column of the table: its header.
    Extra(String),
}

/// What a header says: which field is which column.
#[derive(Debug)]
pub struct Layout<'t> {
    table: &'t Table,
    fields: Vec<Target>,
    /// Columns of the table that no field is.
    missing: Vec<usize>,
    /// Where the course id stands.
    course: Option<usize>,
    /// Whether values are written as Python's bytes literals.
    literals: bool,
    /// Bytes of the header, its LF included.
    pub header_bytes: usize,
}

impl<'t> Layout<'t> {
    /// Reads the header at the start of a file's first block, and looks at the rows after it.
    ///
    /// # Errors
    /// `Format`, when the header names a column twice.
    pub fn new(table: &'t Table, first: &[u8]) -> Result<Self> {
        let end = memchr::memchr(b'\n', first);
        let header = String::from_utf8_lossy(&first[..end.unwrap_or(first.len())]);
        let names: Vec<&str> = header.split('\t').collect();
        let mut layout = Self::of(table, &names)?;
        layout.header_bytes = end.map_or(first.len(), |end| end + 1);
        layout.literals = are_literals(&first[layout.header_bytes..]);
        Ok(layout)
    }

    /// Takes the names of a header.
    ///
    /// # Errors
    /// `Format`, when it names a column twice.
    pub fn of<S: AsRef<str>>(table: &'t Table, names: &[S]) -> Result<Self> {
        let mut fields = Vec::new();
        let mut course = None;
        for (at, name) in names.iter().enumerate() {
            // A byte order mark may stand before the first.
            let name = name.as_ref().trim_start_matches('\u{feff}');
            let target = match table.position(name) {
                Some(column) => Target::Column(column, table.columns[column].column_type),
                None => Target::Extra(name.to_owned()),
            };
            if fields.contains(&target) {
                let why = "its header names a column twice; it is no table of a package";
                return Err(Error::new(ErrorKind::Format(why.to_owned())));
            }
            if let Target::Column(column, _) = target
                && table.columns[column].name == "course_id"
            {
                course = Some(at);
            }
            fields.push(target);
        }
        let is_known = |field: &Target| matches!(field, Target::Column(..));
        let is_empty = matches!(&fields[..], [Target::Extra(name)] if name.is_empty());
        if !is_empty && !fields.iter().any(is_known) {
            let why = "its header names no column of the table; it is another file";
            return Err(Error::new(ErrorKind::Format(why.to_owned())));
        }
        let has = |column| {
            fields.iter().any(|field| matches!(field, Target::Column(at, _) if *at == column))
        };
        let is_missing = |&column: &usize| {
            // What is derived is there where its source is.
            !has(table.derived.iter().find(|d| d.column == column).map_or(column, |d| d.source))
        };
        let missing = (0..table.columns.len()).filter(is_missing).collect();
        Ok(Self { table, fields, missing, course, literals: false, header_bytes: 0 })
    }

    /// What each field is, in their order.
    pub fn fields(&self) -> &[Target] {
        &self.fields
    }

    /// Columns of the table that no field is.
    pub fn missing(&self) -> &[usize] {
        &self.missing
    }

    /// What the header says for the account.
    pub fn stats(&self) -> Stats {
        let unknown = self.fields.iter().filter_map(|field| match field {
            Target::Extra(name) => Some(name.clone()),
            Target::Column(..) => None,
        });
        let name = |&column: &usize| self.table.columns[column].name.clone();
        Stats {
            unknown_columns: unknown.collect(),
            missing_columns: self.missing.iter().map(name).collect(),
            literals: self.literals,
            ..Stats::default()
        }
    }
}

/// Whether nearly all values are written like `b'…'`.
fn are_literals(rows: &[u8]) -> bool {
    let fields = rows
        .split(|&byte| byte == b'\n')
        .take(SAMPLE_ROWS)
        .flat_map(|row| row.split(|&byte| byte == b'\t'))
        .filter(|field| !field.is_empty() && !is_null(field));
    let (mut all, mut literals) = (0, 0);
    for field in fields {
        all += 1;
        literals += usize::from(literal(field).is_some());
    }
    literals > 0 && literals * 10 >= all * 9
}

/// What is between the quotes of a bytes literal.
fn literal(field: &[u8]) -> Option<&[u8]> {
    let field = match field.strip_prefix(b"bytearray(") {
        Some(inner) => inner.strip_suffix(b")")?,
        None => field,
    };
    let field = field.strip_prefix(b"b")?;
    let quote = |byte: u8| field.strip_prefix(&[byte])?.strip_suffix(&[byte]);
    quote(b'\'').or_else(|| quote(b'"'))
}

fn is_null(field: &[u8]) -> bool {
    matches!(field, b"NULL" | b"\\N")
}

/// Reads the rows of one block.
pub struct TabReader<'t> {
    layout: &'t Layout<'t>,
    origin: &'t Origin,
    builder: TableBuilder<'t>,
    /// Where the row under way has its tabs.
    tabs: Vec<usize>,
    /// The text of one field.
    scratch: String,
    /// Whether the block has a NUL.
    has_nul: bool,
    /// What became of the rows.
    pub stats: Stats,
    /// Rejected rows, each after a comment line with its place and the reason.
    pub rejects: Vec<u8>,
}

impl<'t> TabReader<'t> {
    /// A reader of rows of that layout.
    pub fn new(layout: &'t Layout<'t>, schema: SchemaRef, origin: &'t Origin) -> Self {
        Self {
            layout,
            origin,
            builder: TableBuilder::new(layout.table, schema, origin),
            tabs: Vec::new(),
            scratch: String::new(),
            has_nul: false,
            stats: Stats { misfits: vec![0; layout.table.columns.len()], ..Stats::default() },
            rejects: Vec::new(),
        }
    }

    /// Reads a block, and hands on all its rows.
    ///
    /// # Errors
    /// Those of `consume`; `Internal`.
    pub fn read(
        &mut self,
        block: &Block,
        consume: &mut dyn FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let skipped = if block.line == 1 { self.layout.header_bytes } else { 0 };
        let bytes = &block.bytes[skipped..];
        self.stats.bytes_expanded += block.bytes.len() as u64 + block.long_bytes;
        self.has_nul = memchr::memchr(b'\0', bytes).is_some();
        let text = simdutf8::basic::from_utf8(bytes).ok();
        let mut line = block.line + u64::from(skipped > 0);
        let mut start = 0;
        let mut ends = memchr::memchr_iter(b'\n', bytes);
        while start < bytes.len() {
            let end = ends.next().unwrap_or(bytes.len());
            let row = &bytes[start..end];
            if row.is_empty() {
                self.stats.blank += 1;
            } else if self.split(row) {
                self.row(row, text.map(|text| &text[start..end]), line)?;
                for batch in self.builder.take_full() {
                    consume(batch)?;
                }
            } else {
                let place = block.offset + (skipped + start) as u64;
                self.reject(row, line, place, Reason::Fields);
            }
            line += 1;
            start = end + 1;
        }
        if let Some(head) = &block.long {
            self.reject(head, block.line, block.offset, Reason::TooLong);
        }
        for batch in self.builder.finish()? {
            consume(batch)?;
        }
        Ok(())
    }

    /// Finds the tabs between the fields of a row; whether there are as many as in the header.
    fn split(&mut self, row: &[u8]) -> bool {
        self.tabs.clear();
        if self.layout.table.dialect == Dialect::Module {
            // A tab after an odd number of backslashes is data.
            let is_data = |&at: &usize| {
                let before = row[..at].iter().rev().take_while(|&&byte| byte == b'\\').count();
                !before.is_multiple_of(2)
            };
            self.tabs.extend(memchr::memchr_iter(b'\t', row).filter(|at| !is_data(at)));
        } else {
            self.tabs.extend(memchr::memchr_iter(b'\t', row));
        }
        self.tabs.len() + 1 == self.layout.fields.len()
    }

    fn row(&mut self, row: &[u8], text: Option<&str>, line: u64) -> Result<()> {
        self.stats.rows += 1;
        let first = memchr::memchr(b'\\', row).unwrap_or(row.len());
        let end = memchr::memrchr(b'\\', &row[first..]).map_or(first, |last| first + last + 1);
        let escapes = first..end;
        let layout = self.layout;
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut start = 0;
        for (at, target) in layout.fields.iter().enumerate() {
            let end = self.tabs.get(at).copied().unwrap_or(row.len());
            let field = &row[start..end];
            let text = text.map(|text| &text[start..end]);
            let may_have_escapes = start < escapes.end && end > escapes.start;
            start = end + 1;
            let value = self.field(field, text, may_have_escapes, &mut scratch);
            if layout.course == Some(at)
                && let Some(course) = &value
            {
                self.stats.note_course(course, 1);
            }
            match (target, value) {
                (Target::Column(column, _), None) => {
                    for derived in layout.table.derived_from(*column) {
                        self.builder.push(derived.column, Value::Null);
                    }
                    self.builder.push(*column, Value::Null);
                }
                (Target::Column(column, column_type), Some(text)) => {
                    for derived in layout.table.derived_from(*column) {
                        self.derive(derived, &text);
                    }
                    push_text(&mut self.builder, &mut self.stats, *column, *column_type, text);
                }
                (Target::Extra(name), Some(text)) => {
                    self.builder.push_extra(name, &text);
                }
                (Target::Extra(_), None) => {}
            }
        }
        self.scratch = scratch;
        for &column in &layout.missing {
            self.builder.push(column, Value::Null);
        }
        self.stats.rows_written += 1;
        self.builder.end_row(line - 1)
    }

    /// The text of a field, its escapes undone, in `scratch` if need be; `None` is null.
    fn field<'f>(
        &mut self,
        field: &'f [u8],
        text: Option<&'f str>,
        may_have_escapes: bool,
        scratch: &'f mut String,
    ) -> Option<Cow<'f, str>> {
        if is_null(field) {
            return None;
        }
        let mut may_hold_nul = self.has_nul || self.layout.literals;
        let mut value = match text {
            Some(text) => Cow::Borrowed(text),
            None => {
                let text = String::from_utf8_lossy(field);
                self.stats.utf8 += u64::from(matches!(text, Cow::Owned(_)));
                text
            }
        };
        if may_have_escapes && memchr::memchr(b'\\', field).is_some() {
            scratch.clear();
            if self.layout.table.dialect == Dialect::Module {
                unescape_module(&value, scratch);
            } else {
                unescape_tab(&value, scratch);
                may_hold_nul = true;
            }
            value = Cow::Borrowed(scratch);
        }
        if self.layout.literals
            && let Some(inner) = literal(value.as_bytes())
        {
            let bytes = unescape_literal(inner);
            if bytes == b"NULL" {
                return None;
            }
            let text = String::from_utf8_lossy(&bytes);
            self.stats.utf8 += u64::from(matches!(text, Cow::Owned(_)));
            value = Cow::Owned(text.into_owned());
        }
        if may_hold_nul {
            value = without_nul(value, &mut self.stats);
        }
        Some(value)
    }

    /// Sets a column to what stands at a path in the JSON of another.
    fn derive(&mut self, derived: &Derived, json: &str) {
        let steps = derived.path.iter().map(|step| Step::Key(step));
        let whole = whole_value(json.as_bytes()).ok().map(|(span, _)| span);
        let found = whole.and_then(|whole| find(json.as_bytes(), whole, steps));
        let text = match found {
            None => None,
            Some(span) if span.kind == Kind::Null => None,
            Some(span) if span.kind == Kind::String && derived.column_type != ColumnType::Json => {
                Some(decode(json, span))
            }
            Some(span) if span.kind == Kind::String => {
                Some(Cow::Borrowed(&json[span.start - 1..=span.end]))
            }
            Some(span) => Some(Cow::Borrowed(&json[span.start..span.end])),
        };
        match text {
            None => self.builder.push(derived.column, Value::Null),
            Some(text) => {
                let (column, column_type) = (derived.column, derived.column_type);
                push_text(&mut self.builder, &mut self.stats, column, column_type, text);
            }
        }
    }

    fn reject(&mut self, row: &[u8], line: u64, byte: u64, reason: Reason) {
        self.stats.rows += 1;
        self.stats.rejected[reason as usize] += 1;
        push_reject(&mut self.rejects, self.origin, row, line, byte, reason);
    }
}

/// Sets a column to what a text is, and keeps aside what does not fit.
pub fn push_text(
    builder: &mut TableBuilder<'_>,
    stats: &mut Stats,
    column: usize,
    column_type: ColumnType,
    text: Cow<'_, str>,
) {
    if column_type == ColumnType::Text {
        builder.push(column, Value::Text(text));
        return;
    }
    match value::parse(&text, column_type) {
        Value::Misfit => {
            stats.misfits[column] += 1;
            builder.push_misfit(column, &text);
        }
        Value::ZeroDate => {
            stats.zero_dates += 1;
            builder.push(column, Value::Null);
        }
        value => builder.push(column, value),
    }
}

/// A text without its NUL characters, which are counted.
pub fn without_nul<'a>(text: Cow<'a, str>, stats: &mut Stats) -> Cow<'a, str> {
    if memchr::memchr(b'\0', text.as_bytes()).is_none() {
        return text;
    }
    stats.nul += text.matches('\0').count() as u64;
    Cow::Owned(text.replace('\0', ""))
}

/// Appends a rejected row as a rejects file holds it.
pub fn push_reject(
    out: &mut Vec<u8>,
    origin: &Origin,
    row: &[u8],
    line: u64,
    byte: u64,
    reason: Reason,
) {
    out.extend_from_slice(COMMENT);
    out.extend_from_slice(b"{\"package\": ");
    push_json_string(&origin.package, out);
    out.extend_from_slice(b", \"member\": ");
    push_json_string(&origin.member, out);
    let place =
        format!(", \"line\": {line}, \"byte\": {byte}, \"reason\": \"{}\"}}\n", reason.as_str());
    out.extend_from_slice(place.as_bytes());
    out.extend_from_slice(row);
    out.push(b'\n');
}

/// Undoes the escapes of most files, from left to right. What is no escape stays as it is.
fn unescape_tab(text: &str, out: &mut String) {
    unescape(text, out, |byte| match byte {
        b'\\' => Some('\\'),
        b'n' => Some('\n'),
        b'r' => Some('\r'),
        b't' => Some('\t'),
        b'0' => Some('\0'),
        _ => None,
    });
}

/// Undoes the escapes of courseware_studentmodule, from left to right.
fn unescape_module(text: &str, out: &mut String) {
    unescape(text, out, |byte| match byte {
        b'\\' => Some('\\'),
        b'\t' => Some('\t'),
        _ => None,
    });
}

fn unescape(text: &str, out: &mut String, of: impl Fn(u8) -> Option<char>) {
    let mut rest = text;
    while let Some(at) = next_backslash(rest.as_bytes()) {
        match rest.as_bytes().get(at + 1).and_then(|&byte| of(byte)) {
            // What is escaped is one byte of ASCII.
            Some(character) => {
                out.push_str(&rest[..at]);
                out.push(character);
                rest = &rest[at + 2..];
            }
            None => {
                out.push_str(&rest[..=at]);
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
}

/// Where the next backslash is. JSON in JSON has them close to each other.
fn next_backslash(bytes: &[u8]) -> Option<usize> {
    const NEAR: usize = 16;
    let near = &bytes[..bytes.len().min(NEAR)];
    near.iter()
        .position(|&byte| byte == b'\\')
        .or_else(|| memchr::memchr(b'\\', &bytes[near.len()..]).map(|at| near.len() + at))
}

/// Undoes the escapes of a Python bytes literal.
fn unescape_literal(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let escaped = if text[at] == b'\\' { text.get(at + 1) } else { None };
        let (byte, used) = match escaped {
            Some(b'n') => (b'\n', 2),
            Some(b'r') => (b'\r', 2),
            Some(b't') => (b'\t', 2),
            Some(byte @ (b'\\' | b'\'' | b'"')) => (*byte, 2),
            Some(b'x') => match hex(text.get(at + 2), text.get(at + 3)) {
                Some(byte) => (byte, 4),
                None => (b'\\', 1),
            },
            _ => (text[at], 1),
        };
        out.push(byte);
        at += used;
    }
    out
}

fn hex(high: Option<&u8>, low: Option<&u8>) -> Option<u8> {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}
