"""Files as documents: what is read, and how each format becomes text."""
