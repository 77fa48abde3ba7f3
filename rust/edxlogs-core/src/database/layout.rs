//! The header of a table's file: which field is which column.

use crate::database::{Derived, Table};
use crate::error::{Error, ErrorKind, Result};
use crate::frame::counts::TableStats;
use crate::frame::types::ColumnType;
use crate::json::path::{Paths, Step};

/// What a field of a row is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderField {
    /// The table's column at that place.
    Column(usize, ColumnType),
    /// Of no column of the table: its header.
    Extra(String),
}

/// What a header says: which field is which column.
#[derive(Debug)]
pub struct Layout<'t> {
    pub(super) table: &'t Table,
    pub(super) fields: Vec<HeaderField>,
    /// Columns of the table that no field is.
    pub(super) missing: Vec<usize>,
    /// Columns that are taken out of others.
    pub(super) taken: Vec<Taken<'t>>,
    /// The column of the course id, if there is one.
    pub(super) course: Option<usize>,
    /// Whether values are written as Python's bytes literals.
    pub(super) literals: bool,
    /// Whether rows end at CR and LF, as the header does: the CR is none of the last value.
    pub(super) crlf: bool,
    /// Bytes of the header, its LF included.
    pub header_bytes: usize,
}

/// What is taken out of one column, each time in one walk.
#[derive(Debug)]
pub(super) struct Taken<'t> {
    pub source: usize,
    /// The columns, and the numbers of their paths.
    pub columns: Vec<(&'t Derived, usize)>,
    pub paths: Paths,
}

impl<'t> Taken<'t> {
    fn of(table: &'t Table) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for derived in &table.derived {
            let source = derived.source;
            let at = all.iter().position(|taken| taken.source == source).unwrap_or_else(|| {
                all.push(Self { source, columns: Vec::new(), paths: Paths::default() });
                all.len() - 1
            });
            let number = all[at].paths.add(derived.path.iter().map(|key| Step::Key(key)));
            all[at].columns.push((derived, number));
        }
        all
    }
}

impl<'t> Layout<'t> {
    /// Takes the names of a header.
    ///
    /// # Errors
    /// `Format`, when it names a column twice.
    pub fn of<S: AsRef<str>>(table: &'t Table, names: &[S]) -> Result<Self> {
        let mut fields = Vec::new();
        let mut course = None;
        for name in names {
            // A byte order mark may stand before the first.
            let name = name.as_ref().trim_start_matches('\u{feff}');
            let target = match table.position(name) {
                Some(column) => HeaderField::Column(column, table.columns[column].column_type),
                None => HeaderField::Extra(name.to_owned()),
            };
            if fields.contains(&target) {
                let why = "its header names a column twice; it is not a table of a package";
                return Err(Error::new(ErrorKind::Format(why.to_owned())));
            }
            if let HeaderField::Column(column, _) = target
                && table.columns[column].name == "course_id"
            {
                course = Some(column);
            }
            fields.push(target);
        }
        let is_known = |field: &HeaderField| matches!(field, HeaderField::Column(..));
        let is_empty = matches!(&fields[..], [HeaderField::Extra(name)] if name.is_empty());
        if !is_empty && !fields.iter().any(is_known) {
            let why = "its header names no column of the table; it is another file";
            return Err(Error::new(ErrorKind::Format(why.to_owned())));
        }
        let has = |column| {
            fields.iter().any(|field| matches!(field, HeaderField::Column(at, _) if *at == column))
        };
        let is_missing = |&column: &usize| {
            // What is derived is there where its source is.
            !has(table.derived.iter().find(|d| d.column == column).map_or(column, |d| d.source))
        };
        let missing = (0..table.columns.len()).filter(is_missing).collect();
        let taken = Taken::of(table);
        Ok(Self {
            table,
            fields,
            missing,
            taken,
            course,
            literals: false,
            crlf: false,
            header_bytes: 0,
        })
    }

    /// What the header says for the account.
    pub fn stats(&self) -> TableStats {
        let unknown = self.fields.iter().filter_map(|field| match field {
            HeaderField::Extra(name) => Some(name.clone()),
            HeaderField::Column(..) => None,
        });
        let name = |&column: &usize| self.table.columns[column].name.clone();
        TableStats {
            unknown_columns: unknown.collect(),
            missing_columns: self.missing.iter().map(name).collect(),
            literals: self.literals,
            ..TableStats::default()
        }
    }
}
