//! One source against a query: the stages joined, in one thread or in several, line by line in order.

pub mod line_hashes;
pub mod line_scanner;
pub mod pipeline;
