//! What is known of a source before it is read.

/// What is known of a source: it stands in the rows that come of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceInfo {
    /// Base name, as in the `source` column; of a file of a package, its name there.
    pub name: String,
    /// `prod`, `edge`, …: user ids of different sites are different people.
    pub site: Option<String>,
    /// Day in the file's name, in days since 1970-01-01: the day of receipt, or of the snapshot.
    pub day: Option<i64>,
    /// Base name of the database package that it is of, if it is of one.
    pub package: Option<String>,
    /// Course of the whole file, where a column says it.
    pub course: Option<String>,
}
