"""Each op on each backend, in turns, against the best torch call and against what memory can give."""
