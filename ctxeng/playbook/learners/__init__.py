"""Learning methods, one a file: judged turns in, proposed deltas out."""
