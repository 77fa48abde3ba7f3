//! What is known of a source before it is read.

/// What is known of a source: it stands in the rows of its events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceInfo {
    /// Base name, as in the `source` column.
    pub name: String,
    /// `prod`, `edge`, …: user ids of different sites are different people.
    pub site: Option<String>,
    /// Day in the file's name, in days since 1970-01-01: the day of receipt.
    pub day: Option<i64>,
}
