"""Derived tables: what learners did and came to, by SQL over tables of events and of packages."""
