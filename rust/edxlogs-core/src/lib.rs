//! Streams, parses and filters edX tracking logs into Arrow columns.
