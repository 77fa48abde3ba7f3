"""Decryption by the user's own GnuPG, and what its verdict permits."""
