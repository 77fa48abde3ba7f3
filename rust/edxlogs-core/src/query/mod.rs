//! What is asked of events: which are kept, what is known of them before they are parsed, their
//! columns and their partition.

pub mod columns;
pub mod expression;
pub mod partition;
pub mod pattern;
pub mod predicate;
pub mod prefilter;
pub mod projection;
