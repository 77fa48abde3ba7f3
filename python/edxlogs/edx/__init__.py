"""What edX writes: names of files, buckets and packages; tables; categories of events. No I/O."""
