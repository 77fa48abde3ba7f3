"""Buckets of S3 as places that are written to."""
