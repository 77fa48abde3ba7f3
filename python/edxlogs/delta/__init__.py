"""A dataset as a Delta table over its files, for engines that know nothing of its manifest."""
