//! Tables of events: what an event becomes in the table that is its home.

pub mod decode;
