"""What sets of chunks are worth: rules that selectors maximise."""
