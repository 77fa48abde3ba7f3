"""What is looked at without writing anything: one file, or how two readers read the same lines."""
