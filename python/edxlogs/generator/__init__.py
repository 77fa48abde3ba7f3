"""Seeded logs and packages that are shaped like edX's; every person and course is invented."""
