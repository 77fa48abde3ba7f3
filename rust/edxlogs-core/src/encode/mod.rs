//! Arrow batches to the bytes of an output, a module for each format.

pub(crate) mod csv;
pub(crate) mod jsonl;
pub(crate) mod parquet;
