"""A small retrieval model of our own: an instrument that judges cache methods by accuracy. No chat model."""
