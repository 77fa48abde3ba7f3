"""What a user can ask for: settings in, an account out."""
