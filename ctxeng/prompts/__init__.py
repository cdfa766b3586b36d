"""Prompts as text files, read by ctxeng.text.prompts."""
