"""Offline evaluation of ctxeng: datasets, metrics, suites."""
