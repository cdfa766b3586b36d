"""Loaders of the real evaluation data: from the files of a folder to a Dataset."""
