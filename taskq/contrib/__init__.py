"""Adapters for other packages; none is imported unless a setting names it."""
