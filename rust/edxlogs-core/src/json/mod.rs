//! JSON text: walked, checked, decoded and written. It knows nothing of events.

pub(crate) mod lanes;
pub(crate) mod node;
pub mod path;
pub(crate) mod plain;
pub mod quotes;
pub mod scanner;
pub mod text;
