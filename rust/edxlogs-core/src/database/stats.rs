//! Counts that add up: what became of every row of a file.

use crate::frame::counts::Reason;

/// Counts of a file, or of a stretch of one. `rows` are `rows_written` and `rejected`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of text.
    pub bytes_expanded: u64,
    /// Physical lines that hold nothing at all.
    pub blank: u64,
    /// Rows read, the header aside.
    pub rows: u64,
    /// Rows handed on.
    pub rows_written: u64,
    /// Rows that cannot be read, by reason.
    pub rejected: [u64; Reason::ALL.len()],
    /// Values that do not fit the type of their column, by column.
    pub misfits: Vec<u64>,
    /// Zero dates, which are null.
    pub zero_dates: u64,
    /// Values that are not UTF-8: U+FFFD stands for what is not.
    pub utf8: u64,
    /// NUL characters that were left out.
    pub nul: u64,
    /// Whether values were written as Python's bytes literals.
    pub literals: bool,
    /// Columns of the file that the table does not have, kept in `extra`.
    pub unknown_columns: Vec<String>,
    /// Columns of the table that the file does not have, null.
    pub missing_columns: Vec<String>,
    /// Course ids of the rows with how many are of each, the first ones met.
    pub courses: Vec<(String, u64)>,
}

/// Course ids that are counted; a file of one course holds one, unless it is odd.
const MOST_COURSES: usize = 16;

impl Stats {
    /// Adds what comes after.
    pub fn add(&mut self, after: &Self) {
        self.bytes_expanded += after.bytes_expanded;
        self.blank += after.blank;
        self.rows += after.rows;
        self.rows_written += after.rows_written;
        for (mine, more) in self.rejected.iter_mut().zip(after.rejected) {
            *mine += more;
        }
        self.misfits.resize(self.misfits.len().max(after.misfits.len()), 0);
        for (mine, more) in self.misfits.iter_mut().zip(&after.misfits) {
            *mine += more;
        }
        self.zero_dates += after.zero_dates;
        self.utf8 += after.utf8;
        self.nul += after.nul;
        for (course, rows) in &after.courses {
            self.note_course(course, *rows);
        }
    }

    /// Takes what a header says.
    pub fn add_header(&mut self, header: &Self) {
        self.unknown_columns.clone_from(&header.unknown_columns);
        self.missing_columns.clone_from(&header.missing_columns);
        self.literals = header.literals;
    }

    /// Counts rows of a course.
    pub fn note_course(&mut self, course: &str, rows: u64) {
        if let Some((_, count)) = self.courses.iter_mut().find(|(known, _)| known == course) {
            *count += rows;
        } else if self.courses.len() < MOST_COURSES && !course.is_empty() {
            self.courses.push((course.to_owned(), rows));
        }
    }
}
