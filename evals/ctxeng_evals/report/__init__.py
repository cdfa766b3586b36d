"""The report of a run: one page to look at, a table for pull requests, JUnit XML for machines."""
