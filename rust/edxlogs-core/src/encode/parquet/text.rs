//! One column of text in a row group, encoded to pages.
//!
//! The crate's own encoder hashes every value of every column. Logs repeat themselves within a few
//! lines, so here a value is first held against one that was met lately; and texts that have no
//! dictionary go to their page with one copy. Pages, their headers and the file are the crate's.

use std::iter::repeat_n;
use std::ops::Range;

use arrow_array::{Array, StringArray};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer};
use parquet::basic::{Compression, Encoding, PageType};
use parquet::column::page::{CompressedPage, Page};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, PageEncodingStats};
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::schema::types::ColumnDescPtr;

use super::chunk::{COMPRESSOR, Chunk, Compressor};
use super::dictionary::{Dictionary, push_plain};
use super::{hybrid, level};

/// Most rows of a page.
const PAGE_ROWS: usize = 20_000;

/// A dictionary that grows beyond this many bytes is given up for plain text.
const DICTIONARY_BYTES: usize = 1024 * 1024;

/// Room before plain values for the levels of a page: their length, a header, and a bit a row.
const LEVELS_ROOM: usize = 4 + 4 + PAGE_ROWS.div_ceil(8);

/// Longest text in the statistics, in bytes.
const STATISTICS_BYTES: usize = 64;

pub(super) type Result<T> = std::result::Result<T, ParquetError>;

/// How a column is encoded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TextOptions {
    pub dictionary: bool,
    pub statistics: bool,
    /// Where a page of plain text ends.
    pub page_bytes: usize,
}

/// The least and the greatest value.
#[derive(Default)]
struct Extremes(Option<(Vec<u8>, Vec<u8>)>);

impl Extremes {
    fn take(&mut self, value: &[u8]) {
        match &mut self.0 {
            None => self.0 = Some((value.to_vec(), value.to_vec())),
            Some((least, _)) if value < least.as_slice() => {
                least.clear();
                least.extend_from_slice(value);
            }
            Some((_, greatest)) if value > greatest.as_slice() => {
                greatest.clear();
                greatest.extend_from_slice(value);
            }
            Some(_) => {}
        }
    }

    /// For the footer. The beginning of a long least value is a bound as well; a long greatest one
    /// is left out.
    fn statistics(self, nulls: u64) -> Statistics {
        let (least, greatest) = self.0.map_or((None, None), |(least, greatest)| {
            let short = (greatest.len() <= STATISTICS_BYTES).then_some(greatest);
            (Some(least), short)
        });
        let cut = least.as_ref().is_some_and(|least| least.len() > STATISTICS_BYTES);
        let least = least.map(|least| match std::str::from_utf8(&least) {
            Ok(text) => text.as_bytes()[..text.floor_char_boundary(STATISTICS_BYTES)].to_vec(),
            Err(_) => least,
        });
        let values = ValueStatistics::new(
            least.map(Into::into),
            greatest.map(Into::into),
            None,
            Some(nulls),
            false,
        );
        Statistics::ByteArray(values.with_min_is_exact(!cut))
    }
}

/// Encodes the values of one column of a row group.
pub(super) struct TextColumn {
    descr: ColumnDescPtr,
    options: TextOptions,
    dictionary: Dictionary,
    /// Whether values still go by the dictionary.
    interns: bool,
    extremes: Extremes,
    /// Of the page under way: which rows are not null, a bit each, where some are; how many there
    /// are; and their values, as indices, or plain behind [`LEVELS_ROOM`].
    present: BooleanBufferBuilder,
    page_rows: usize,
    page_nulls: usize,
    indices: Vec<u32>,
    plain: Vec<u8>,
    /// The pages that are full, and what is in them.
    chunk: Chunk,
    rows: u64,
    nulls: u64,
    by_index: i32,
    by_value: i32,
    /// Values that were last found to be all the same. Batches share those of some columns.
    only: Option<StringArray>,
}

impl TextColumn {
    pub(super) fn new(descr: ColumnDescPtr, options: TextOptions) -> Self {
        Self {
            descr,
            options,
            dictionary: Dictionary::default(),
            interns: options.dictionary,
            extremes: Extremes::default(),
            present: BooleanBufferBuilder::new(0),
            page_rows: 0,
            page_nulls: 0,
            indices: Vec::new(),
            plain: Vec::new(),
            chunk: Chunk::default(),
            rows: 0,
            nulls: 0,
            by_index: 0,
            by_value: 0,
            only: None,
        }
    }

    /// Bytes of plain values in the page under way.
    fn plain_bytes(&self) -> usize {
        self.plain.len().saturating_sub(LEVELS_ROOM)
    }

    /// Bytes that are encoded, about.
    pub(super) fn encoded_bytes(&self) -> usize {
        self.chunk.bytes + self.dictionary.page.len() + self.plain_bytes()
    }

    /// Bytes of memory that it takes, about.
    pub(super) fn memory_bytes(&self) -> usize {
        let values = self.dictionary.values.len() * size_of::<(Range<usize>, u64)>();
        self.encoded_bytes() + values + self.indices.len() * size_of::<u32>()
    }

    /// Adds values.
    pub(super) fn write(&mut self, values: &StringArray) -> Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        let known = self.only.take().filter(|known| is_start_of(values, known));
        if known.is_some() || is_one_value(values) {
            let value = values.is_valid(0).then(|| values.value(0).as_bytes());
            if self.write_only(value, values.len())? {
                self.only = Some(known.unwrap_or_else(|| values.clone()));
                return Ok(());
            }
        }
        self.write_each(values)
    }

    /// Adds values, one after another.
    fn write_each(&mut self, values: &StringArray) -> Result<()> {
        let (nulls, offsets, data) = (values.nulls(), values.value_offsets(), values.value_data());
        // The first row that is not in `present` yet.
        let mut from = 0;
        for (row, ends) in offsets.windows(2).enumerate() {
            let is_valid = nulls.is_none_or(|nulls| nulls.is_valid(row));
            let goes_on = !is_valid || self.push(&data[ends[0] as usize..ends[1] as usize]);
            let page_rows = self.page_rows + row + 1 - from;
            if !goes_on || page_rows == PAGE_ROWS {
                self.push_present(nulls, from..row + 1);
                self.end_page()?;
                from = row + 1;
            }
        }
        self.push_present(nulls, from..values.len());
        Ok(())
    }

    /// Adds a value, or null, that many times, if that can be done at once; whether it was.
    fn write_only(&mut self, value: Option<&[u8]>, count: usize) -> Result<bool> {
        let room = DICTIONARY_BYTES.saturating_sub(self.dictionary.page.len());
        let index = match value {
            Some(value) if self.interns && value.len() + 4 <= room => {
                Some(self.dictionary.intern(value))
            }
            Some(_) => return Ok(false),
            None => None,
        };
        let mut left = count;
        while left > 0 {
            let rows = left.min(PAGE_ROWS - self.page_rows);
            self.push_levels(rows, index.is_some());
            self.indices.extend(index.into_iter().flat_map(|index| repeat_n(index, rows)));
            if self.page_rows == PAGE_ROWS {
                self.end_page()?;
            }
            left -= rows;
        }
        Ok(true)
    }

    /// Adds some values of some arrays: (number of the array, row).
    pub(super) fn write_rows(
        &mut self,
        arrays: &[&StringArray],
        places: &[(usize, usize)],
    ) -> Result<()> {
        for &(at, row) in places {
            let (values, is_valid) = (arrays[at], arrays[at].is_valid(row));
            if !is_valid || self.page_nulls > 0 {
                self.begin_levels();
                self.present.append(is_valid);
            }
            self.page_rows += 1;
            self.page_nulls += usize::from(!is_valid);
            let goes_on = !is_valid || self.push(values.value(row).as_bytes());
            if !goes_on || self.page_rows == PAGE_ROWS {
                self.end_page()?;
            }
        }
        Ok(())
    }

    /// Adds rows to the page, whose values were pushed.
    fn push_present(&mut self, nulls: Option<&NullBuffer>, rows: Range<usize>) {
        match nulls.map(|nulls| nulls.slice(rows.start, rows.len())) {
            Some(nulls) if nulls.null_count() > 0 => {
                self.begin_levels();
                self.present.append_buffer(nulls.inner());
                self.page_rows += nulls.len();
                self.page_nulls += nulls.null_count();
            }
            _ => self.push_levels(rows.len(), true),
        }
    }

    /// Adds rows to the page that are all null, or none of them.
    fn push_levels(&mut self, rows: usize, are_valid: bool) {
        if !are_valid || self.page_nulls > 0 {
            self.begin_levels();
            self.present.append_n(rows, are_valid);
        }
        self.page_rows += rows;
        self.page_nulls += if are_valid { 0 } else { rows };
    }

    /// Before the first null, no row has a bit.
    fn begin_levels(&mut self) {
        if self.page_nulls == 0 {
            self.present.append_n(self.page_rows, true);
        }
    }

    /// Adds a value to the page; whether the page goes on after it.
    #[inline(always)]
    fn push(&mut self, value: &[u8]) -> bool {
        if self.interns {
            self.indices.push(self.dictionary.intern(value));
            // What is in the page stays as it is; the next one is plain.
            self.interns = self.dictionary.page.len() <= DICTIONARY_BYTES;
            return self.interns;
        }
        if self.plain.is_empty() {
            self.plain.resize(LEVELS_ROOM, 0);
        }
        push_plain(&mut self.plain, value);
        if self.options.statistics {
            self.extremes.take(value);
        }
        self.plain_bytes() < self.options.page_bytes
    }

    /// Encodes and compresses the page under way, if there is one.
    fn end_page(&mut self) -> Result<()> {
        if self.page_rows == 0 {
            return Ok(());
        }
        COMPRESSOR.with_borrow_mut(|compressor| self.encode_page(compressor))
    }

    fn encode_page(&mut self, compressor: &mut Compressor) -> Result<()> {
        let mut levels = Vec::new();
        if self.descr.max_def_level() > 0 {
            // Their length stands before them.
            levels.extend_from_slice(&[0; 4]);
            let present = self.present.as_slice();
            hybrid::push_bits(present, self.page_rows, self.page_nulls, &mut levels);
            let length = levels.len() as u32 - 4;
            levels[..4].copy_from_slice(&length.to_le_bytes());
        }
        let mut whole = std::mem::take(&mut compressor.page);
        whole.clear();
        // Where all was null so far, there is no dictionary to refer to.
        let by_index = self.interns && !self.dictionary.values.is_empty();
        let (page, encoding) = if by_index || !self.indices.is_empty() {
            let bits = self.dictionary.index_bits();
            whole.extend_from_slice(&levels);
            whole.push(bits as u8);
            hybrid::push_indices(&self.indices, bits, &mut whole);
            self.by_index += 1;
            (whole.as_slice(), Encoding::RLE_DICTIONARY)
        } else {
            self.by_value += 1;
            self.plain.resize(self.plain.len().max(LEVELS_ROOM), 0);
            let start = LEVELS_ROOM - levels.len();
            self.plain[start..LEVELS_ROOM].copy_from_slice(&levels);
            (&self.plain[start..], Encoding::PLAIN)
        };
        let data = Page::DataPage {
            buf: compressor.compress(page)?,
            num_values: self.page_rows as u32,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        self.chunk.push(CompressedPage::new(data, page.len()))?;
        compressor.page = whole;
        self.rows += self.page_rows as u64;
        self.nulls += self.page_nulls as u64;
        (self.page_rows, self.page_nulls) = (0, 0);
        self.present.truncate(0);
        self.indices.clear();
        self.plain.truncate(LEVELS_ROOM);
        Ok(())
    }

    /// The column's chunk of the file, and what the footer says of it. The column is empty then, and
    /// takes the next row group.
    pub(super) fn close(&mut self) -> Result<(Chunk, ColumnCloseResult)> {
        self.end_page()?;
        let mut chunk = std::mem::take(&mut self.chunk);
        let mut extremes = std::mem::take(&mut self.extremes);
        let has_dictionary = !self.dictionary.values.is_empty();
        if has_dictionary {
            let page = &self.dictionary.page;
            let dictionary = Page::DictionaryPage {
                buf: COMPRESSOR.with_borrow_mut(|compressor| compressor.compress(page))?,
                num_values: self.dictionary.values.len() as u32,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            };
            chunk.insert(0, CompressedPage::new(dictionary, self.dictionary.page.len()))?;
            if self.options.statistics {
                for value in &self.dictionary.values {
                    extremes.take(&self.dictionary.page[value.clone()]);
                }
            }
        }
        let pages = [
            (PageType::DICTIONARY_PAGE, Encoding::PLAIN, i32::from(has_dictionary)),
            (PageType::DATA_PAGE, Encoding::RLE_DICTIONARY, self.by_index),
            (PageType::DATA_PAGE, Encoding::PLAIN, self.by_value),
        ];
        let pages = pages.into_iter().filter(|&(.., count)| count > 0);
        let encodings = std::iter::once(Encoding::RLE).chain(pages.clone().map(|page| page.1));
        let stats = pages.map(|(page_type, encoding, count)| PageEncodingStats {
            page_type,
            encoding,
            count,
        });
        let data_offset = if has_dictionary { chunk.pages[0].len() } else { 0 };
        let mut metadata = ColumnChunkMetaData::builder(self.descr.clone())
            .set_compression(Compression::ZSTD(level()))
            .set_encodings(encodings.clone().collect())
            .set_page_encoding_stats(stats.collect())
            .set_num_values(self.rows as i64)
            .set_total_compressed_size(chunk.bytes as i64)
            .set_total_uncompressed_size(chunk.uncompressed as i64)
            .set_data_page_offset(data_offset as i64)
            .set_dictionary_page_offset(has_dictionary.then_some(0));
        if self.options.statistics {
            metadata = metadata.set_statistics(extremes.statistics(self.nulls));
        }
        let close = ColumnCloseResult {
            bytes_written: chunk.bytes as u64,
            rows_written: self.rows,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        self.dictionary.clear();
        self.interns = self.options.dictionary;
        (self.rows, self.nulls, self.by_index, self.by_value) = (0, 0, 0, 0);
        Ok((chunk, close))
    }
}

/// Whether all of several values are the same, or null. Such are the columns that say where rows
/// come from.
fn is_one_value(values: &StringArray) -> bool {
    let count = values.len();
    if values.null_count() > 0 || count < 2 {
        return values.null_count() == count && count > 0;
    }
    let offsets = values.value_offsets();
    let length = values.value_length(0);
    if offsets.windows(2).any(|ends| ends[1] - ends[0] != length) {
        return false;
    }
    let all = &values.value_data()[offsets[0] as usize..offsets[count] as usize];
    all[length as usize..] == all[..all.len() - length as usize]
}

/// Whether values are the first ones of others, by their place in memory.
fn is_start_of(values: &StringArray, others: &StringArray) -> bool {
    let start = |array: &StringArray| (array.value_offsets().as_ptr(), array.value_data().as_ptr());
    let have_nulls = values.null_count() > 0 || others.null_count() > 0;
    start(values) == start(others) && values.len() <= others.len() && !have_nulls
}
