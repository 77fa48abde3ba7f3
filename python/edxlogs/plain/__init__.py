"""Reads plain lines in plain ways: Python's `json`, a loop, and the documented rules.

It imports nothing else of edxlogs and is never optimised, because `edxlogs selftest` and the tests
judge the compiled core by it.
"""
