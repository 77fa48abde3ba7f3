//! Arrow batches to the bytes of an output, a module for each format.

mod compress;
pub(crate) mod csv;
pub(crate) mod jsonl;
pub(crate) mod parquet;
mod stretch;

pub use self::compress::Encoder;
pub use self::stretch::StretchEncoder;

/// How text is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not.
    None,
    /// As gzip, a member for each stretch.
    Gzip,
    /// As zstd, a frame for each stretch.
    Zstd,
}

/// How cells are put into text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsvStyle {
    /// Stands between two cells: a comma, or the tab of TSV.
    pub separator: u8,
    /// Whether cells that a spreadsheet would run are made harmless.
    pub excel_safe: bool,
}

/// The format of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// CSV or TSV with a header.
    Csv(CsvStyle, Compression),
    /// The lines themselves.
    JsonLines(Compression),
    /// An Arrow IPC file.
    ArrowIpc,
}

impl Format {
    /// How the text of this format is compressed; that of Parquet and Arrow is their own business.
    pub fn compression(self) -> Compression {
        match self {
            Self::Csv(_, compression) | Self::JsonLines(compression) => compression,
            Self::Parquet | Self::ArrowIpc => Compression::None,
        }
    }
}
