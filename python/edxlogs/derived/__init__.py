"""Derived tables: what learners did and achieved, by SQL over event tables and packages."""
