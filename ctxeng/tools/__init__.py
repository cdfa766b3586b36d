"""Tools as a source, and what runs their calls."""
