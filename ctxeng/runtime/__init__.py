"""On-box inference: a decoder of our own, whose cache knows what the context is made of."""
