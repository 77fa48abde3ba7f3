//! Bytes of a file to whole lines: what the source is, unpacked, and cut at its line ends.

pub mod deflate;
pub mod inflate;
pub mod lines;
pub mod relay;
mod tar;
pub mod text_sum;
pub mod unwrap;
