//! Streams, parses and filters edX tracking logs into Arrow columns.
//!
//! One stream in one direction, a folder for each stretch of it:
//!
//! ```text
//! input         bytes of a file -> text -> whole lines
//! query         which lines may match                    (prefilter)
//! event         where the fields of a line stand         (on json)
//! event_tables  what an event becomes in its table
//! query         which events are kept, their columns     (predicate, projection)
//! summary       kept events counted by day, course and the like
//! scan          joins those stages, for one source
//! part          the rows of a source, in order, into outputs and datasets   (on encode)
//! database      the tables of a database package: text -> columns -> outputs
//! ```
//!
//! A folder uses those before it, never one after it: `error`, `file`, `time`; [`json`]; [`frame`];
//! [`encode`], [`event`] and [`input`]; [`event_tables`]; [`query`]; [`summary`]; [`scan`]; [`part`]; [`database`].

pub mod database;
pub mod encode;
pub mod error;
pub mod event;
pub mod event_tables;
pub mod file;
pub mod frame;
pub mod input;
pub mod json;
pub mod part;
pub mod query;
pub mod scan;
pub mod summary;
pub mod time;
