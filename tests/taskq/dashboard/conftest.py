from __future__ import annotations

import pytest

from taskq.dashboard.remembered import remembered


@pytest.fixture(autouse=True)
def _nothing_remembered():
    """Each look asks anew: what another test has seen is not remembered."""
    remembered.forget()
