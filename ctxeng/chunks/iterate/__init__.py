"""Retrieval that asks a model: steps before assembly that find chunks for a question."""
