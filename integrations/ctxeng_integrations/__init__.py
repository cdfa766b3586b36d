"""Adapters to other people's frameworks: one module each, none loaded unless it is asked for."""
