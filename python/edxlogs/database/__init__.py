"""Database packages: what one holds, and its tables as files or streams."""
