"""Documents as a source."""
