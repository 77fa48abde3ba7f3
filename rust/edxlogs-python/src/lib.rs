//! The compiled module `edxlogs._core`.
