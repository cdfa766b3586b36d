"""Shortening and splitting text; knows nothing of models."""
