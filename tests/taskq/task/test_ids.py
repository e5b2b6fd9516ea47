"""A task's id as people and programs write it."""

import copy
import json
import pickle
import uuid

import pytest

from taskq.task import ids
from taskq.task.ids import TaskId


@pytest.mark.parametrize(
    "text",
    ["16", "#16", str(uuid.UUID(int=16)), uuid.UUID(int=16).hex, 16, uuid.UUID(int=16)],
)
def test_a_number_and_a_uuid_are_the_same_key(text):
    """Its hex is all digits, and yet no decimal number."""
    assert ids.parse(text) == 16


def test_what_is_neither_is_refused():
    for text in ("", "#", "sixteen", "1.5", "-1", "9" * 25):
        with pytest.raises(ValueError, match="is no task id: give its number, or the UUID"):
            ids.parse(text)
    for other in (None, True, -1, 1.0, b"16", ["16"]):
        with pytest.raises(ValueError, match="is no task id: give its number, or the UUID"):
            ids.parse(other)


def test_an_id_is_a_str_that_knows_its_number():
    id = TaskId.of(16)
    assert isinstance(id, str)
    assert id == str(id) == "00000000-0000-0000-0000-000000000010"
    assert type(str(id)) is str
    assert int(id) == 16
    assert (id.int, id.hex, id[:8]) == (16, uuid.UUID(int=16).hex, "00000000")
    assert json.loads(json.dumps({"id": id, id: 1})) == {"id": id, id: 1}
    assert {str(id): "here"}[id] == "here"
    for again in (pickle.loads(pickle.dumps(id)), copy.deepcopy(id)):
        assert (type(again), again.int) == (TaskId, 16)
    with pytest.raises(ValueError, match="badly formed"):
        TaskId("abc").int  # noqa: B018
    assert TaskId.of(-5) == "-5"
