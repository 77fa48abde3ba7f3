//! What events and tables share: columns and their values, what is known of a source, counts that add
//! up, and lines that are rejected with their place.

pub mod builder;
pub mod counts;
pub(crate) mod names;
pub(crate) mod nulls;
pub mod rejects;
pub mod source;
pub mod types;
pub mod value;
