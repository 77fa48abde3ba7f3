"""Buckets of S3 as places to write to."""
