"""A dataset as a Delta table over its files, for engines that do not know its manifest."""
