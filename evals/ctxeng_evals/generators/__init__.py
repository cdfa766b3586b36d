"""Families of evaluation cases made from a seed: no download, exact answers, a reference solver each."""
