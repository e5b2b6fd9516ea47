"""The inputs of a step: what earlier steps have passed on, put into its arguments."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

from taskq.exceptions import TaskFailed
from taskq.limits import ADDED_PLACES
from taskq.task import call_notes, payload
from taskq.task.ids import TaskId
from taskq.task.payload import PayloadError
from taskq.task.placeholders import FailureInput, Input, InputList

#: How the stored details of a failed part begin. No encoded value begins so.
_FAILURE = "{"


def filled(
    args: Sequence[Any], kwargs: Mapping[str, Any], inputs: str | None
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments with the inputs in place of their placeholders.

    inputs: as the release of the step has stored them: a JSON list of places and encoded values.

    Raises PayloadError when an input is missing or cannot be read.
    """
    fill = _Filling(inputs)
    return [fill.put_into(each) for each in args], {
        name: fill.put_into(value) for name, value in kwargs.items()
    }


class StepRun(NamedTuple):
    """What a step of a workflow is run with.

    workflow: the id of the workflow. passes: a later step gets its value. inputs: what earlier
        steps have passed on, encoded.
    """

    workflow: int
    passes: bool
    inputs: str | None

    @classmethod
    def read(cls, text: str) -> StepRun:
        """It, from the claim's text."""
        workflow, passes, inputs = json.loads(text)
        return cls(workflow, bool(passes), inputs)


class _Filling:
    def __init__(self, inputs: str | None) -> None:
        try:
            found = json.loads(inputs) if inputs else []
            self._texts: dict[int, str | None] = {int(place): text for place, text in found}
        except (ValueError, TypeError) as error:
            text = f"the step's inputs are not what a release has stored: {error}"
            raise PayloadError(text) from error
        #: Of parts that were added while the others ran, in order of their ids.
        self._added = sorted(place for place in self._texts if place >= ADDED_PLACES)

    def put_into(self, value: Any) -> Any:
        """The value, with its placeholders filled, however deep they are."""
        match value:
            case Input(place):
                return self._value(place)
            case InputList(first, count):
                places = [*range(first, first + count), *self._added]
                return [self._value(place) for place in places]
            case FailureInput(place, what):
                return self._failure(place, what)
            case list() | tuple():
                return type(value)(self.put_into(each) for each in value)
            case dict():
                return {name: self.put_into(each) for name, each in value.items()}
        return value

    def _text(self, place: int) -> str | None:
        try:
            return self._texts[place]
        except KeyError:
            raise PayloadError(
                f"the step has no input {place}: it was not released by the end of its parts"
            ) from None

    def _value(self, place: int) -> Any:
        text = self._text(place)
        if text is None or text.startswith(_FAILURE):
            return None
        return payload.decode_result(text)

    def _failure(self, place: int, what: str) -> Any:
        found = json.loads(self._text(place) or "{}")
        if what == "error":
            return TaskFailed(found["error"], found["traceback"])
        if what == "traceback":
            return found["traceback"]
        if what == "id":
            return _id_of(found)
        args, kwargs, headers = payload.decode_call(found["payload"], found["name"])
        return failed_request(
            id=_id_of(found),
            name=found["name"],
            queue=found["queue"],
            args=args,
            kwargs=kwargs,
            headers=call_notes.without(headers),
            retries=found["retries"],
        )


def failed_request(*, name: str, **known: Any) -> SimpleNamespace:
    """The request of a failed part, as an errback gets it.

    known: ``id``, ``queue``, ``args``, ``kwargs``, ``headers`` and ``retries``.
    """
    return SimpleNamespace(task=name, name=name, **known)


def _id_of(found: Mapping[str, Any]) -> TaskId:
    """The id of a failed part: the one that its caller gave, or that of its row."""
    try:
        _, _, headers = payload.decode_call(found["payload"], found["name"])
    except Exception:  # then this is why it failed: un-pickling may raise anything
        headers = None
    given = call_notes.of(headers).get("id")
    return TaskId.of(found["id"]) if given is None else TaskId(given)
