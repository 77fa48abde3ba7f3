//! The tables of a database package: bytes of a file to typed columns.
//!
//! One stream in one direction: the text is cut into stretches of whole rows, [`tab`] and
//! its neighbours read a stretch in their dialect, [`builder`] gathers typed columns, and [`convert`]
//! joins the stages: several threads each take a stretch all the way, and what they make is put
//! together in order.
//!
//! Columns are found by the header, never by their place. A value that does not fit the type of
//! its column is null there and kept as text in the column `misfits`; a column that the table does
//! not have is kept in `extra`; a row that cannot be read is rejected with its place. So no row is
//! lost: rows read are rows written and rows rejected.

pub mod builder;
pub mod convert;
pub mod csv;
pub mod documents;
pub mod forum;
pub mod layout;
pub mod ora;
pub mod structure;
pub mod tab;

use std::sync::Arc;

use arrow_array::RecordBatch;

use crate::error::Result;
use crate::frame::names::names;
use crate::frame::types::{Column, ColumnType, Hint, Role, Schema};
use crate::query::pattern::{Pattern, PatternSet};

/// Bytes of a stretch, about; what one thread holds at a time.
pub const STRETCH_BYTES: usize = 16 * 1024 * 1024;

/// Longest row that is read, in bytes. The exporter leaves out values above 4 MiB.
pub const MAX_ROW_BYTES: usize = 64 * 1024 * 1024;

/// Takes batches.
pub type Gather<'g> = &'g mut dyn FnMut(RecordBatch) -> Result<()>;

names! {
    /// How the text of a table is written.
    Dialect {
        /// Fields between tabs, rows that end at LF, a header; `\\`, `\t`, `\n`, `\r` and `\0` escaped.
        Tab = "tab",
        /// The same, but only a backslash and a real tab are escaped, by a backslash.
        Module = "module",
        /// Comma-separated, with a header.
        Csv = "csv",
        /// One JSON object of blocks.
        Structure = "structure",
        /// A MongoDB document a line.
        Forum = "forum",
    }
}

/// A column that is taken out of another's JSON.
#[derive(Clone, Debug)]
pub struct Derived {
    /// Its place among the columns.
    pub column: usize,
    /// Its type.
    pub column_type: ColumnType,
    /// The place of the column that it is taken from.
    pub source: usize,
    /// Keys that lead to it.
    pub path: Vec<String>,
}

/// A table: how its files are written, and what columns come of them.
#[derive(Clone, Debug)]
pub struct Table {
    /// How its files are written.
    pub dialect: Dialect,
    /// Its columns, in the order of the output.
    pub columns: Vec<Column>,
    /// Those of the columns, the last ones, that are no files' own.
    pub derived: Vec<Derived>,
    /// Whether a column says the course of the file, where it is known, in place of the table's own
    /// `course_id` if it has one. Files in a folder of their course need none.
    pub has_course: bool,
    /// Whether files are in folders of the days of their snapshots, `snapshot_date=…`: the column
    /// that says the day has another name then, as readers of folders take that one for the folder's.
    pub day_in_folder: bool,
    /// Other headers that stand for a column, with that column's name.
    pub renamed: Vec<(String, String)>,
    /// Whose rows are wanted of a file that holds several courses; `None`: all.
    pub courses: Option<WantedCourses>,
}

/// Courses, by their ids or as names of files spell them.
#[derive(Clone, Debug)]
pub struct WantedCourses {
    ids: PatternSet,
    stems: PatternSet,
}

impl WantedCourses {
    /// Those of exact texts and globs.
    pub fn new(texts: &[String]) -> Self {
        Self {
            ids: texts.iter().map(|text| Pattern::new(text)).collect(),
            stems: texts.iter().map(|text| Pattern::ignore_case(text)).collect(),
        }
    }

    /// Whether a course is one of them.
    pub fn hold(&self, course: &str) -> bool {
        self.ids.matches(course) || self.stems.matches(&stem_of(course))
    }
}

/// A course as the exporter writes it into names of files.
fn stem_of(course: &str) -> String {
    let body = course.strip_prefix("course-v1:").or_else(|| course.strip_prefix("ccx-v1:"));
    let body = body.unwrap_or(course).replace("+ccx@", "+ccx+");
    let spelled = |c| match c {
        '/' | '+' => '-',
        c if c.is_ascii() => c,
        _ => '_',
    };
    body.chars().map(spelled).collect()
}

/// The column of a course, as in events.
const COURSE_COLUMN: &str = "course_id";

/// The column of the day of the snapshot, and its name in folders of days.
const DAY_COLUMNS: [&str; 2] = ["snapshot_date", "package_date"];

/// Columns that follow those of the table: where a row came from, and what found no place. Those
/// of the course is left out where the folder says it, or the table has it.
fn place_columns(day_column: &str) -> [Column; 8] {
    let never_null = |column: Column| Column { nullable: false, ..column };
    let text = |name| Column::new(name, ColumnType::Text);
    let row = Column { hint: Hint::Grows, ..Column::new("row", ColumnType::Int64) };
    let aside = |name| {
        let role = Some(Role::FreeText);
        Column { role, ..Column::new(name, ColumnType::Json) }
    };
    [
        text(COURSE_COLUMN),
        text("site"),
        never_null(text("package")),
        Column::new(day_column, ColumnType::Date),
        never_null(text("member")),
        never_null(row),
        aside("extra"),
        aside("misfits"),
    ]
}

impl Table {
    /// The columns of the output.
    pub fn schema(&self) -> Arc<Schema> {
        let is_told = !self.has_course || self.own_course().is_some();
        let day_column = DAY_COLUMNS[usize::from(self.day_in_folder)];
        let place = place_columns(day_column).into_iter().skip(usize::from(is_told));
        Schema::new(self.columns.iter().cloned().chain(place).collect())
    }

    /// The place of the table's own column of the course.
    pub fn own_course(&self) -> Option<usize> {
        self.columns.iter().position(|column| column.name == COURSE_COLUMN)
    }

    /// The place of the column that a header names.
    pub fn position(&self, header: &str) -> Option<usize> {
        let own = &self.columns[..self.columns.len() - self.derived.len()];
        let at = |name: &str| own.iter().position(|column| column.name == name);
        at(header).or_else(|| {
            let renamed = self.renamed.iter().find(|(other, _)| other == header);
            renamed.and_then(|(_, name)| at(name))
        })
    }
}
