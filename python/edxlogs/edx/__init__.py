"""What edX writes: names of files, buckets, packages; tables, categories of events. No I/O."""
