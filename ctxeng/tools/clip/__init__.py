"""Results of tools cut to a token allowance, by what they are: JSON, a table, a log, text or code."""
