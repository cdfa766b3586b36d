"""Attention over compressed caches: one op, one stem; the torch reference is the specification.

Usable alone with torch: nothing here knows of ctxeng.
"""
