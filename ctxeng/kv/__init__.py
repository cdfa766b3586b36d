"""The key-value cache: blocks in pools, pieces that share them, and the published methods that thin them."""
