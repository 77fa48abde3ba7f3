"""What is in logs, counted and shown."""
