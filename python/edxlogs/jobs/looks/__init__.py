"""Functions that only look: at logs, at one file, at datasets, at this machine."""
