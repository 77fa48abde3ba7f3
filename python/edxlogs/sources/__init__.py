"""What a source is, how sources are found and chosen, and how one is read to its verdict."""
