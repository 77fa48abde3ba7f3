"""Verbs over a dataset that exists: read, compact, merge, tell its runs."""
