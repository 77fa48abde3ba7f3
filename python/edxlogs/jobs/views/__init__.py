"""Verbs that show what there is, and write no rows."""
