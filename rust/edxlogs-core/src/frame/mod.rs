//! What events and tables share: what is known of a source, counts that add up,
//! and lines that are rejected with their place.

pub mod counts;
pub mod rejects;
pub mod source;
