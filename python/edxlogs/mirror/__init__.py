"""Local copies of buckets: what is there, what is new, and its way here."""
