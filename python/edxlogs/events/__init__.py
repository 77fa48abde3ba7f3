"""Events of logs: which ones to keep, how they get from sources to parts, and where parts go."""
