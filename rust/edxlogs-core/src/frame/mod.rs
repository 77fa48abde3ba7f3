//! What events and tables share: counts that add up, and lines that are rejected with their place.

pub mod counts;
pub mod rejects;
