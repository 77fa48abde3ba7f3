"""Database packages: what they contain, and their tables as files or streams."""
