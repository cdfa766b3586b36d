"""The ops in Triton: the same stems, over blocks that lie by rows in a GPU's memory.

Numbers are multiplied in two parts of half precision each, so that matrix units serve and next to nothing is
lost. Nothing of ours needs a GPU; without one these run in Triton's interpreter, for tests.
"""
