"""Benchmarks: ratios against a peer's way, a naive baseline or a bound, measured in the same run."""
