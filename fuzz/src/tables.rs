//! The tables of a database package, on any bytes, against a reading byte by byte.
//!
//! - Every row is handed on or rejected, whatever the dialect, and the counts say so.
//! - In the dialects between tabs, rows are what stands between line ends, a text is what is left
//!   when its escapes are undone, and JSON is kept where serde_json takes it, and strict.

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use edxlogs_core::database::convert::{Aside, TableTarget, convert};
use edxlogs_core::database::{Dialect, Table};
use edxlogs_core::frame::counts::TableStats;
use edxlogs_core::frame::source::SourceInfo;
use edxlogs_core::frame::types::{Column, ColumnType};
use edxlogs_core::json::scanner::MAX_DEPTH;
use edxlogs_core::scan::Control;
use serde::de::IgnoredAny;

const COLUMNS: [(&str, ColumnType); 4] = [
    ("id", ColumnType::Int64),
    ("state", ColumnType::Json),
    ("created", ColumnType::Timestamp),
    ("note", ColumnType::Text),
];

const DIALECTS: [Dialect; 5] =
    [Dialect::Tab, Dialect::Module, Dialect::Csv, Dialect::Structure, Dialect::Forum];

/// Panics where the two disagree. The first byte says which dialect, the others are rows.
pub fn check(data: &[u8]) {
    let Some((&first, data)) = data.split_first() else {
        return;
    };
    let dialect = DIALECTS[usize::from(first) % DIALECTS.len()];
    let header = |separator| COLUMNS.map(|(name, _)| name).join(separator) + "\n";
    let header = match dialect {
        Dialect::Tab | Dialect::Module => header("\t"),
        Dialect::Csv => header(","),
        Dialect::Structure | Dialect::Forum => String::new(),
    };
    let text = [header.as_bytes(), data].concat();
    let (stats, batches, ended) = read(&text, dialect);
    let handed_on: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let rejected: u64 = stats.rejected.iter().sum();
    assert_eq!(stats.rows, stats.rows_written + rejected);
    if ended {
        assert_eq!(stats.rows_written, handed_on as u64);
        assert_eq!(stats.bytes_expanded, text.len() as u64);
    }
    if matches!(dialect, Dialect::Tab | Dialect::Module) && !stats.literals {
        assert!(ended);
        between_tabs(data, dialect, &stats, &batches);
    }
}

fn read(text: &[u8], dialect: Dialect) -> (TableStats, Vec<RecordBatch>, bool) {
    let column = |(name, column_type): (&str, _)| Column::new(name, column_type);
    let columns = COLUMNS.map(column).to_vec();
    let (derived, renamed) = (Vec::new(), Vec::new());
    let (has_course, day_in_folder, courses) = (false, false, None);
    let table = Table { dialect, columns, derived, has_course, day_in_folder, renamed, courses };
    let mut batches = Vec::new();
    let mut take = |batch| {
        batches.push(batch);
        Ok(())
    };
    let source = SourceInfo { package: Some(String::new()), ..SourceInfo::default() };
    let (stats, result) = convert(
        Box::new(std::io::Cursor::new(text.to_vec())),
        &table,
        &source,
        TableTarget::Batches(&mut take),
        1,
        &Control::default(),
        Aside::default(),
    );
    (stats, batches, result.is_ok())
}

/// Holds what was read against the same text, read once more.
fn between_tabs(data: &[u8], dialect: Dialect, stats: &TableStats, batches: &[RecordBatch]) {
    let lines = data.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let rows: Vec<_> = lines.map(|line| fields(line, dialect)).collect();
    assert_eq!(stats.rows, rows.len() as u64);
    let mut whole = rows.iter().filter(|fields| fields.len() == COLUMNS.len());
    let mut misfits = 0;
    for batch in batches {
        let column = |at: usize| batch.column(at).as_string::<i32>();
        let value = |at, row| column(at).is_valid(row).then(|| column(at).value(row));
        for row in 0..batch.num_rows() {
            let fields = whole.next().expect("as many rows");
            assert_eq!(value(3, row), text(&fields[3], dialect).as_deref());
            let state = text(&fields[1], dialect).filter(|state| !state.is_empty());
            match (value(1, row), state) {
                (Some(kept), state) => assert!(state.is_some() && is_json(kept)),
                (None, Some(state)) => {
                    assert!(!is_json(&state) || depth(&state) > MAX_DEPTH);
                    misfits += 1;
                }
                (None, None) => {}
            }
        }
    }
    assert!(whole.next().is_none());
    assert_eq!(stats.misfits[1], misfits);
}

/// What stands between the tabs of a line; in one dialect a tab may be escaped.
fn fields(line: &[u8], dialect: Dialect) -> Vec<Vec<u8>> {
    let (mut fields, mut escaped) = (vec![Vec::new()], false);
    for &byte in line {
        if byte == b'\t' && !(escaped && dialect == Dialect::Module) {
            fields.push(Vec::new());
        } else if let Some(field) = fields.last_mut() {
            field.push(byte);
        }
        escaped = byte == b'\\' && !escaped;
    }
    fields
}

/// The text of a field; none for null.
fn text(field: &[u8], dialect: Dialect) -> Option<String> {
    if matches!(field, b"NULL" | b"\\N") {
        return None;
    }
    let lossy = String::from_utf8_lossy(field);
    let (mut text, mut characters) = (String::new(), lossy.chars().peekable());
    while let Some(character) = characters.next() {
        let following = characters.peek().filter(|_| character == '\\');
        let meant = match (dialect, following) {
            (_, Some('\\')) => Some('\\'),
            (Dialect::Module, Some('\t')) | (Dialect::Tab, Some('t')) => Some('\t'),
            (Dialect::Tab, Some('n')) => Some('\n'),
            (Dialect::Tab, Some('r')) => Some('\r'),
            (Dialect::Tab, Some('0')) => Some('\0'),
            _ => None,
        };
        if meant.is_some() {
            characters.next();
        }
        text.push(meant.unwrap_or(character));
    }
    Some(text.replace('\0', ""))
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// How deep brackets are nested at most, those in strings counted as well.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}
