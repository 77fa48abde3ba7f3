"""Written data: files that appear whole, the manifest that names them, and its commit."""
