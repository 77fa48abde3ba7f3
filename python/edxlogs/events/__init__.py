"""Events of logs: which are wanted, their run from sources to parts, and where parts go."""
