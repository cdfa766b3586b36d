"""Search over states that somebody else can extend and score."""
