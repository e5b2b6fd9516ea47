"""What the tests of the statements share."""

from __future__ import annotations

import pytest
from django.db import connection


@pytest.fixture
def new_connection(transactional_db):
    connection.close()
    yield
    connection.close()
