"""Seeded logs and packages in the form of edX's. Every person and course is invented."""
