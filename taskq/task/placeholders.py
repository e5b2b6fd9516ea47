"""What stands in the arguments of a step for a value that is not known yet.

``taskq.task.inputs`` puts the values in their place when the step runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: What an errback may be told of a failed part.
FailureDetail = Literal["id", "error", "traceback", "request"]


@dataclass(frozen=True, slots=True)
class Input:
    """The value at one place of a step's inputs. None where its part has failed."""

    place: int


@dataclass(frozen=True, slots=True)
class InputList:
    """The list of the values at so many places, from the first on."""

    first: int
    count: int


@dataclass(frozen=True, slots=True)
class FailureInput:
    """What is known of the failed part at a place."""

    place: int
    what: FailureDetail
