"""Dialogue history as a source."""
