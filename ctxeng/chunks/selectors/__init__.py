"""Ways of choosing chunks under a token budget."""
