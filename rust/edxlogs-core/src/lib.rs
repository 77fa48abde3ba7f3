//! Streams, parses and filters edX tracking logs into Arrow columns.
//!
//! One stream in one direction: [`unwrap`] and [`inflate`] make text of a file, [`lines`] whole
//! lines of the text, [`prefilter`] passes those that may match, [`event`] locates their fields,
//! [`predicate`] decides, [`columns`] gathers; [`pipeline::scan`] joins them.

pub mod account;
mod attribution;
pub mod columns;
pub mod course;
pub mod deflate;
pub mod error;
pub mod event;
pub mod expression;
pub mod fields;
pub mod inflate;
mod lanes;
pub mod line_hashes;
pub mod lines;
pub mod mend;
pub mod part;
pub mod partition;
pub mod path;
pub mod pattern;
mod payload;
pub mod pipeline;
mod plain;
pub mod predicate;
pub mod prefilter;
pub mod quotes;
pub mod rejects;
pub mod scan;
pub mod scanner;
pub mod schema;
pub mod tables;
mod tar;
pub mod text;
pub mod time;
pub mod unwrap;
