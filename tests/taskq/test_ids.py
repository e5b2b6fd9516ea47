"""A task's id as people write it."""

import uuid

import pytest

from taskq import ids


@pytest.mark.parametrize("text", ["16", "#16", str(uuid.UUID(int=16)), uuid.UUID(int=16).hex])
def test_a_number_and_a_uuid_are_the_same_key(text):
    """The last is all digits, and yet no decimal number."""
    assert ids.parse(text) == 16


def test_what_is_neither_is_refused():
    for text in ("", "#", "sixteen", "1.5", "-1", "9" * 25):
        with pytest.raises(ValueError, match="badly formed"):
            ids.parse(text)
