"""Implementers of the Model seam."""
