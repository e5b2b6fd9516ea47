"""One value or many: as an option of a signature, or a setting, has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def listed(value: Any) -> Sequence[Any]:
    """The values of what holds one, many or None."""
    if value is None:
        return ()
    return value if isinstance(value, (list, tuple)) else [value]
