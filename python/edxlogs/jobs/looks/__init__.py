"""Functions that only look: at one file, or at how two readers read the same lines."""
