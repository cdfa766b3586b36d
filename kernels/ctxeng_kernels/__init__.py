"""Attention over compressed caches: one op, one stem; the torch reference is the specification.

`attend`: attention of some queries over dense, int8 and int4 blocks, merged by log-sum-exp. `segment`: where
blocks lie and how queries meet them. `pack`, `layout`: codes of a block and their order. `score`: what each
row was given. `pages`: which pages or clusters matter. `gather`: single rows. `gemv`: vectors times packed
matrices. `library`: the compiled kernels, built once a machine (`backend()` says which serve).
`python -m ctxeng_kernels bench` times them.

Usable alone with torch: nothing here knows of ctxeng. Inputs are never changed.
"""
