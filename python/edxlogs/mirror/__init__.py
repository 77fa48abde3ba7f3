"""Local copies of buckets: what exists, what is new, and how it is fetched."""
