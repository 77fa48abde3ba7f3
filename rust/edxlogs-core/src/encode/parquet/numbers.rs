//! Columns of numbers, moments and truth values: the crate encodes them, into pages that are
//! compressed here, since it would make a compressor for each column of each row group.

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Date32Type, Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use parquet::basic::Compression;
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::column::writer::{
    ColumnCloseResult, ColumnWriter, ColumnWriterImpl, get_column_writer,
};
use parquet::data_type;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::schema::types::ColumnDescPtr;

use super::chunk::{COMPRESSOR, Chunk};
use super::level;
use super::text::Result;

/// The column's chunk of the file, and what the footer says of it.
pub(super) fn encode(
    arrays: &[ArrayRef],
    descr: &ColumnDescPtr,
    properties: &WriterPropertiesPtr,
) -> Result<(Chunk, ColumnCloseResult)> {
    let mut chunk = Chunk::default();
    let pages = Box::new(Pages(&mut chunk));
    let mut writer = get_column_writer(descr.clone(), properties.clone(), pages);
    for array in arrays {
        write(&mut writer, array, descr.max_def_level() > 0)?;
    }
    let mut close = writer.close()?;
    let metadata = close.metadata.into_builder().set_compression(Compression::ZSTD(level()));
    close.metadata = metadata.build()?;
    Ok((chunk, close))
}

fn write(writer: &mut ColumnWriter<'_>, array: &ArrayRef, is_nullable: bool) -> Result<()> {
    let levels = levels(array, is_nullable);
    let levels = levels.as_deref();
    match (writer, array.data_type()) {
        (ColumnWriter::Int64ColumnWriter(writer), DataType::Int64) => {
            primitive::<Int64Type, data_type::Int64Type>(writer, array, levels)
        }
        (
            ColumnWriter::Int64ColumnWriter(writer),
            DataType::Timestamp(TimeUnit::Microsecond, _),
        ) => {
            use arrow_array::types::TimestampMicrosecondType as Micros;
            primitive::<Micros, data_type::Int64Type>(writer, array, levels)
        }
        (ColumnWriter::DoubleColumnWriter(writer), DataType::Float64) => {
            primitive::<Float64Type, data_type::DoubleType>(writer, array, levels)
        }
        (ColumnWriter::Int32ColumnWriter(writer), DataType::Date32) => {
            primitive::<Date32Type, data_type::Int32Type>(writer, array, levels)
        }
        (ColumnWriter::BoolColumnWriter(writer), DataType::Boolean) => {
            let values: Vec<bool> = array.as_boolean().iter().flatten().collect();
            writer.write_batch(&values, levels, None).map(drop)
        }
        (_, other) => Err(ParquetError::General(format!("no column of numbers holds {other}"))),
    }
}

fn primitive<A, P>(
    writer: &mut ColumnWriterImpl<'_, P>,
    array: &ArrayRef,
    levels: Option<&[i16]>,
) -> Result<()>
where
    A: ArrowPrimitiveType,
    P: data_type::DataType<T = A::Native>,
{
    let array = array.as_primitive::<A>();
    if array.null_count() == 0 {
        return writer.write_batch(array.values(), levels, None).map(drop);
    }
    let values: Vec<A::Native> = array.iter().flatten().collect();
    writer.write_batch(&values, levels, None).map(drop)
}

/// Of each value of a column that may hold nulls, 0 for null.
fn levels(array: &ArrayRef, is_nullable: bool) -> Option<Vec<i16>> {
    is_nullable.then(|| match array.logical_nulls() {
        Some(nulls) => nulls.iter().map(i16::from).collect(),
        None => vec![1; array.len()],
    })
}

/// Takes pages, and compresses them.
struct Pages<'c>(&'c mut Chunk);

impl PageWriter for Pages<'_> {
    fn write_page(&mut self, page: CompressedPage) -> Result<PageWriteSpec> {
        let size = page.uncompressed_size();
        let mut inner = page.compressed_page().clone();
        match &mut inner {
            Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => {
                *buf = COMPRESSOR.with_borrow_mut(|compressor| compressor.compress(buf))?;
            }
            Page::DataPageV2 { .. } => {
                return Err(ParquetError::General("a page of the second version".to_owned()));
            }
        }
        let offset = self.0.bytes as u64;
        let mut written = self.0.push(CompressedPage::new(inner, size))?;
        written.offset = offset;
        Ok(written)
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
