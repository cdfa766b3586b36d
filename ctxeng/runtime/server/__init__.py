"""An OpenAI-compatible server over the local runtime."""
