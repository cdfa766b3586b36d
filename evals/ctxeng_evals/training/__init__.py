"""Training of the small models that ctxeng ships."""
