"""Roles of the database that may do no more than a test says."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

import pytest
from django.db import connection


@pytest.fixture
def role(transactional_db: None) -> Iterator[Callable[[Mapping[str, tuple[str, ...]]], str]]:
    """Makes a role that may do this and nothing else; its name."""
    made: list[str] = []

    def make(allowed: Mapping[str, tuple[str, ...]]) -> str:
        name = f"taskq_role_{len(made)}_{os.getpid()}"
        made.append(name)
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE ROLE {name} LOGIN")
            for row, privileges in allowed.items():
                cursor.execute(f"GRANT {', '.join(privileges)} ON {row} TO {name}")
        return name

    yield make
    with connection.cursor() as cursor:
        for name in made:
            cursor.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def as_role(url: str, name: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{name}@{parts.netloc.rpartition('@')[2]}").geturl()
