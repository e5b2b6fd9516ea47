"""Adapters for other packages. None is imported unless a setting or your code names it."""
