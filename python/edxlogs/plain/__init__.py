"""Plain lines, read plainly: Python's `json`, a loop, and the rules of the documentation.

It imports nothing of the rest of edxlogs and is never made fast: `edxlogs selftest` and the tests
judge the compiled core by it.
"""
