"""What a run says of its state, by Celery's ``update_state()``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from taskq.task import payload

#: Characters that the name of a state may have.
LENGTH = 50


@dataclass(frozen=True)
class OwnState:
    """A state of the run's own, such as PROGRESS, and what it says of it. ``meta`` is encoded."""

    state: str
    encoded: str | None
    task: str

    @classmethod
    def checked(cls, state: object, meta: object, task: str) -> OwnState:
        """The state that a run of this task says. Raises TypeError or ValueError for a wrong one,
        as for a result that cannot be kept."""
        if not isinstance(state, str):
            raise TypeError(f'state is {state!r}: give a text, such as "PROGRESS"')
        if not state or len(state) > LENGTH or "\0" in state:
            raise ValueError(f"state is {state!r}: give 1 to {LENGTH} characters")
        encoded = None if meta is None else payload.encode_result(meta, task)
        return cls(state, encoded, task)

    @property
    def meta(self) -> Any:
        """Raises PayloadError when it cannot be read."""
        return None if self.encoded is None else payload.decode_result(self.encoded, self.task)

    def stored(self, attempt: int) -> str:
        """The text for the row. It names the attempt, so that no later run shows it."""
        return json.dumps({"attempt": attempt, "state": self.state, "meta": self.encoded})

    @classmethod
    def read(cls, stored: str | None, attempt: int, task: str) -> OwnState | None:
        """What this attempt said, from a row's text; None when it is an earlier one's."""
        if stored is None:
            return None
        try:
            found = json.loads(stored)
            state, meta = found["state"], found["meta"]
            mine = found["attempt"] == attempt and isinstance(state, str)
        except (ValueError, TypeError, LookupError, RecursionError):
            return None  # the column was written by hand
        return cls(state, meta if isinstance(meta, str) else None, task) if mine else None
