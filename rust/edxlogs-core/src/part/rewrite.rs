//! Files of a dataset made anew of others: several small ones as one, or one without some of its
//! rows.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};
use parquet::file::metadata::ParquetMetaDataReader;

use super::Output;
use super::dataset::digest;
use crate::encode::parquet::schema_of;
use crate::encode::{Compression, Format};
use crate::error::{Error, ErrorKind, Result};
use crate::file::create_private;
use crate::frame::types::Schema;
use crate::input::inflate::GzipReader;
use crate::scan::BATCH_ROWS;

/// A file whose row groups hold fewer rows on average is encoded again with its neighbours.
const SMALL_GROUP_ROWS: i64 = 16 * 1024;

const BUFFER_BYTES: usize = 256 * 1024;

/// A file to take rows from.
#[derive(Clone, Debug)]
pub struct Excerpt {
    /// Where it is.
    pub path: PathBuf,
    /// Which of its rows: first, and how many; in order, none twice.
    pub rows: Vec<(u64, u64)>,
}

impl Excerpt {
    fn count(&self) -> u64 {
        self.rows.iter().map(|(_, count)| count).sum()
    }
}

/// A file that was made.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// Its rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// Of all its bytes, in hex.
    pub sha256: String,
}

/// What stands above the rows of a file: the line of names of CSV, the schema of Parquet, nothing of
/// JSON Lines. Only files in which it is equal can be joined.
///
/// # Errors
/// Those of reading.
pub fn header(path: &Path, format: Format) -> Result<Vec<u8>> {
    Ok(match format {
        Format::Parquet => {
            let reader = ParquetMetaDataReader::new();
            let footer = reader.parse_and_finish(&open(path)?).map_err(Error::encode)?;
            format!("{:?}", footer.file_metadata().schema_descr().root_schema()).into_bytes()
        }
        Format::Csv(..) => {
            let mut record = Vec::new();
            read_record(&mut read_text(path, format)?, true, &mut record)?;
            record
        }
        Format::JsonLines(_) | Format::ArrowIpc => Vec::new(),
    })
}

/// Writes the rows of `pieces`, in order, to a new file at `path`.
///
/// # Errors
/// Those of reading and of writing; `Internal`, where a file has fewer rows than it should, or other
/// columns than the first.
pub fn rewrite(pieces: &[Excerpt], format: Format, path: &Path) -> Result<Rewritten> {
    if let [first, others @ ..] = pieces
        && !others.is_empty()
    {
        let columns = header(&first.path, format)?;
        for other in others {
            if header(&other.path, format)? != columns {
                return Err(Error::internal("files of a dataset with other columns are joined"));
            }
        }
    }
    let mut file = create_private(path).map_err(Error::encode)?;
    let output = file.try_clone().map_err(Error::encode)?;
    match format {
        Format::Parquet => rewrite_parquet(pieces, output)?,
        Format::Csv(..) | Format::JsonLines(_) => rewrite_text(pieces, format, output)?,
        Format::ArrowIpc => return Err(Error::internal("datasets have no Arrow IPC")),
    }
    let (bytes, sha256) = digest(&mut file).map_err(Error::encode)?;
    Ok(Rewritten { rows: pieces.iter().map(Excerpt::count).sum(), bytes, sha256 })
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| {
        let why = format!("{}: {error}", path.file_name().unwrap_or_default().display());
        Error::new(ErrorKind::Encode { why, errno: error.raw_os_error() })
    })
}

fn rewrite_parquet(pieces: &[Excerpt], file: File) -> Result<()> {
    let Some(first) = pieces.first() else {
        return Err(Error::internal("nothing to rewrite"));
    };
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(open(&first.path)?).map_err(Error::encode)?;
    let footers = pieces.iter().map(|piece| {
        let reader = ParquetMetaDataReader::new();
        reader.parse_and_finish(&open(&piece.path)?).map_err(Error::encode)
    });
    let footers = footers.collect::<Result<Vec<_>>>()?;
    let schema = schema_of(builder.schema(), &footers.iter().collect::<Vec<_>>())?;
    let metadata: Vec<(String, String)> = builder
        .metadata()
        .file_metadata()
        .key_value_metadata()
        .into_iter()
        .flatten()
        .filter(|pair| pair.key.starts_with("edxlogs."))
        .filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?)))
        .collect();
    drop(builder);
    let mut output = Output::new(file, Format::Parquet, schema, &metadata)?;
    for piece in pieces {
        let builder =
            ParquetRecordBatchReaderBuilder::try_new(open(&piece.path)?).map_err(Error::encode)?;
        let all = builder.metadata().file_metadata().num_rows();
        let groups = builder.metadata().num_row_groups() as i64;
        let is_whole = piece.count() == all as u64;
        if is_whole && groups > 0 && all / groups >= SMALL_GROUP_ROWS {
            output.row_groups(&open(&piece.path)?)?;
            continue;
        }
        let reader = builder
            .with_row_selection(selection(&piece.rows))
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(Error::encode)?;
        let mut rows = 0;
        for batch in reader {
            let batch = batch.map_err(Error::encode)?;
            rows += batch.num_rows() as u64;
            output.batch(batch)?;
        }
        check_rows(piece, rows)?;
    }
    output.finish()?;
    Ok(())
}

fn selection(rows: &[(u64, u64)]) -> RowSelection {
    let mut end = 0;
    let mut selectors = Vec::new();
    for &(first, count) in rows {
        if first > end {
            selectors.push(RowSelector::skip((first - end) as usize));
        }
        selectors.push(RowSelector::select(count as usize));
        end = first + count;
    }
    RowSelection::from(selectors)
}

fn check_rows(piece: &Excerpt, rows: u64) -> Result<()> {
    if rows != piece.count() {
        return Err(Error::internal(
            "a file of the dataset does not have the rows that its manifest says",
        ));
    }
    Ok(())
}

fn rewrite_text(pieces: &[Excerpt], format: Format, file: File) -> Result<()> {
    let is_csv = matches!(format, Format::Csv(..));
    // The header comes from the first file, as it stands there.
    let as_text = Format::JsonLines(format.compression());
    let mut output = Output::new(file, as_text, Schema::new(vec![]), &[])?;
    for (at, piece) in pieces.iter().enumerate() {
        let mut reader = read_text(&piece.path, format)?;
        let mut record = Vec::new();
        if is_csv && read_record(&mut reader, true, &mut record)? && at == 0 {
            output.lines(&record)?;
        }
        let mut row = 0;
        let mut taken = 0;
        for &(first, count) in &piece.rows {
            while row < first + count && read_record(&mut reader, is_csv, &mut record)? {
                if row >= first {
                    output.lines(&record)?;
                    taken += 1;
                }
                row += 1;
            }
        }
        check_rows(piece, taken)?;
    }
    output.finish()?;
    Ok(())
}

/// Copies the lines of a file, as they are when they are not compressed.
///
/// # Errors
/// Those of reading and of writing.
pub fn copy_lines(path: &Path, format: Format, out: &mut dyn Write) -> Result<()> {
    std::io::copy(&mut read_text(path, format)?, out).map_err(Error::encode)?;
    Ok(())
}

fn read_text(path: &Path, format: Format) -> Result<Box<dyn BufRead>> {
    let file = open(path)?;
    Ok(match format.compression() {
        Compression::Zstd => {
            let decoder = zstd::Decoder::new(file).map_err(Error::encode)?;
            Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder))
        }
        Compression::Gzip => {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, GzipReader::new(file)))
        }
        Compression::None => Box::new(BufReader::with_capacity(BUFFER_BYTES, file)),
    })
}

/// Reads a line, or a record of CSV, which goes on while a quote is open, with its LF.
fn read_record(reader: &mut dyn BufRead, is_csv: bool, record: &mut Vec<u8>) -> Result<bool> {
    record.clear();
    let mut quotes = 0;
    loop {
        let start = record.len();
        if reader.read_until(b'\n', record).map_err(Error::encode)? == 0 {
            return Ok(!record.is_empty());
        }
        quotes += memchr::memchr_iter(b'"', &record[start..]).count();
        if !is_csv || quotes % 2 == 0 {
            return Ok(true);
        }
    }
}
