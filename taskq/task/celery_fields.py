"""The fields of Celery's ``task.request`` that follow from others, or that say nothing here."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from taskq.task import call_notes
from taskq.task.states import On


class _Run(Protocol):
    """What the fields follow from."""

    name: str
    queue: str
    losses: int
    is_eager: bool
    args: list[Any] | None
    kwargs: dict[str, Any] | None
    sent_headers: Mapping[str, Any] | None
    hide: Callable[[str], str] | None
    drops: int

    @property
    def id(self) -> str | None: ...
    @property
    def priority(self) -> int | None: ...
    def lineage(self) -> tuple[str, str | None] | None: ...
    @property
    def worker(self) -> str | None: ...


class _WhatFollows:
    """A field of what follows the task. It is None: that is rows, and not in the task's message.

    Code for Celery sets such a field to None, to end the chain. Then what waits for the task in
    this way is dropped with the end of the run. A run that is retried decides anew.
    """

    def __init__(self, on: On) -> None:
        self._bit = 1 << on
        self._name = ""

    def __set_name__(self, kind: type, name: str) -> None:
        self._name = name

    def __get__(self, run: _Run | None, kind: type) -> None:
        return None

    def __set__(self, run: _Run, value: object) -> None:
        if value:
            raise AttributeError(
                f"request.{self._name} of {run.name} is to be {value!r}: only None can be set, "
                "which drops what follows. To put something else behind the task, use "
                "return self.replace(a | b)"
            )
        run.drops |= self._bit


class _DeliveryInfo(dict[str, Any]):
    def __init__(self, run: _Run, known: Mapping[str, Any]) -> None:
        super().__init__(known)
        self._run = run

    def __missing__(self, name: str) -> Any:
        if name != "priority":
            raise KeyError(name)
        return self._run.priority

    def get(self, name: str, default: Any = None) -> Any:
        """A value by its name, or the default."""
        try:
            return self[name]
        except KeyError:
            return default


class CeleryFields:
    """A part of :class:`taskq.task.request.Request`. Each field is computed when it is asked for,
    so a run that asks for none pays for none."""

    __slots__ = ()

    #: There is no broker, no event and no reply queue.
    reply_to = origin = logfile = loglevel = shadow = None
    stamps = stamped_headers = properties = None
    #: What comes before a step of a workflow is in the tables of workflows.
    group = group_index = None
    utc = True
    chain = _WhatFollows(On.CHAIN)
    callbacks = _WhatFollows(On.LINK)
    errbacks = _WhatFollows(On.FAILED)
    chord = _WhatFollows(On.DONE)

    @property
    def task(self: _Run) -> str:
        """The name of the task."""
        return self.name

    @property
    def correlation_id(self: _Run) -> str | None:
        """The id of the task, as in Celery."""
        return self.id

    @property
    def root_id(self: _Run) -> str | None:
        """The id of the task that began it all: what the call says, or of a step of a workflow the
        first one, which is looked up by a query; else its own."""
        said: str | None = call_notes.of(self.sent_headers).get("root")
        if said is None and (found := self.lineage()) is not None:
            said, _ = found
        return self.id if said is None else said

    @property
    def parent_id(self: _Run) -> str | None:
        """The id of the task that this one comes from: what the call says, or of a step of a
        workflow the one before, which is looked up by a query."""
        said: str | None = call_notes.of(self.sent_headers).get("parent")
        if said is None and (found := self.lineage()) is not None:
            _, said = found
        return said

    @property
    def hostname(self: _Run) -> str:
        """The worker and its host, such as ``worker 3@web-1``."""
        name = self.worker
        return f"{name}@{socket.gethostname()}" if name else socket.gethostname()

    @property
    def delivery_info(self: _Run) -> dict[str, Any]:
        """The queue, under the names that a broker has for it, and whether a worker was lost. The
        ``priority`` is looked up when it is asked for, by a query."""
        return _DeliveryInfo(
            self,
            {
                "exchange": "",
                "routing_key": self.queue,
                "redelivered": self.losses > 0,
                "is_eager": self.is_eager,
            },
        )

    @property
    def argsrepr(self: _Run) -> str:
        """The positional arguments as a text, masked where they are sensitive."""
        return _shown(self.args or [], self.hide)

    @property
    def kwargsrepr(self: _Run) -> str:
        """The keyword arguments as a text, masked where they are sensitive."""
        return _shown(self.kwargs or {}, self.hide)

    def get(self, name: str, default: Any = None) -> Any:
        """A field by its name, or the default."""
        return getattr(self, name, default)


def _shown(value: object, hide: Callable[[str], str] | None) -> str:
    text = repr(value)
    return text if hide is None else hide(text)
