"""Adapters for other packages. None is imported unless a setting names it."""
