"""The name of a task whose decorator gives none."""

from __future__ import annotations


def task_name(name: str, module: str, main: str | None = None) -> str:
    """The module and the name of the function. ``main`` stands for a module that was started as a
    program."""
    if module == "__main__" and main:
        module = main
    return ".".join(part for part in (module, name) if part)
