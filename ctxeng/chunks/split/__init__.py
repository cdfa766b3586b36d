"""Documents cut into chunks, each of which is a slice of its document and can be cited by its offsets."""
