"""Groups of sources, read into files together and committed to datasets."""
