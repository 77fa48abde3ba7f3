//! Arrow batches to the bytes of an output, a module for each format.

mod compress;
pub(crate) mod csv;
mod jsonl;
pub(crate) mod parquet;
mod stretch;

pub use self::compress::Encoder;
pub use self::stretch::StretchEncoder;

/// How JSON Lines are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not.
    None,
    /// As gzip, a member for each stretch.
    Gzip,
    /// As zstd, a frame for each stretch.
    Zstd,
}

/// The format of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// CSV with a header.
    Csv {
        /// Whether cells that a spreadsheet would run are made harmless.
        excel_safe: bool,
    },
    /// The lines themselves.
    JsonLines(Compression),
    /// An Arrow IPC file.
    ArrowIpc,
}
