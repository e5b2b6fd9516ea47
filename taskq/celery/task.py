"""``Task``: what ``shared_task`` makes of a function, with the methods of Celery's tasks."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextvars import Token
from typing import Any, ClassVar, ParamSpec, TypeVar

from taskq import limits
from taskq.celery import apps, pushed_request, states
from taskq.celery import options as celery_options
from taskq.celery.async_result import AsyncResult
from taskq.celery.canvas.methods import CanvasMethods
from taskq.celery.options_in_force import settle
from taskq.celery.retrying import Retries
from taskq.celery.sending import Sends
from taskq.celery.shown_options import NAMES, ShownOptions, declared, shown
from taskq.celery.task_hooks import TaskHooks
from taskq.task import pickling
from taskq.task.request import Request, current

P = ParamSpec("P")
R = TypeVar("R")


class Task(Sends[P, R], Retries, CanvasMethods, TaskHooks, ShownOptions):
    """A function that can be sent to the queue. A plain call of it just calls the function.

    ``shared_task`` and ``app.task`` make it. It is pickled and copied as the task that is
    registered by its name. A subclass is a base for tasks (``base=``): its class attributes are
    options, its methods are hooks. One with a method ``run`` is a task by itself, once
    ``app.register_task()`` knows it.
    """

    #: A subclass without ``run`` is a base only. Celery marks it so, and here it means nothing.
    abstract = True
    name = ""
    #: The function, and whether it gets the task as its first argument.
    _function: Callable[..., Any]
    _bind = False
    #: The options that the decorator gave, or that code has set; those of the class are in
    #: ``_declared``.
    _given: Mapping[str, Any] = {}
    #: What the decorator gave that is no option.
    _own_attributes: frozenset[str] = frozenset()
    _app: Any = None
    #: What ``push_request()`` has replaced, of all tasks.
    _pushed: ClassVar[list[Token[Request | None]]] = []
    #: The options that a subclass itself has as class attributes.
    _own: ClassVar[dict[type, Mapping[str, Any]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        known = NAMES | celery_options.INSTEAD_ON_DECORATOR.keys() - {"options"} | {"expires"}
        cls._own[cls] = {name: each for name, each in vars(cls).items() if name in known}
        cls._declared = declared(cls, cls._own, known)
        for name in cls._declared:
            setattr(cls, name, shown(name))  # so that it shows what is in force

    def run(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The task's own function. A subclass that is a task by itself has its code here."""
        raise NotImplementedError(f"{type(self).__name__} has no method run()")

    def __reduce__(self) -> tuple[Callable[[str, str], object], tuple[str, str]]:
        return pickling.registered, (self.name, self.__module__)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.run(*args, **kwargs)

    _plain_call = __call__

    @property
    def app(self) -> Any:
        """The app of the task, or the current one."""
        return apps.current() if self._app is None else self._app

    def _change(self, changes: Mapping[str, Any]) -> None:
        """Change options, as code does that sets them as attributes."""
        self._given = {**self._given, **changes}
        if "options" in vars(self):
            settle(self)

    def AsyncResult(self, task_id: str | uuid.UUID | int) -> AsyncResult:
        """A handle on the task with this id, as in Celery."""
        return AsyncResult(task_id)

    @property
    def request(self) -> Request:
        """The run of this task that is in progress. Outside of one it is empty, as in Celery."""
        request = current.get()
        # Another task may be running that just calls this one. That is no run of this task.
        if request is not None and request.name == self.name:
            return request
        queue = self.options.queue or limits.DEFAULT_QUEUE
        return Request(pk=None, name=self.name, queue=queue, called_directly=True)

    def push_request(self, **fields: Any) -> None:
        """Make :attr:`request` one with these fields, until ``pop_request()``: for tests of a
        function that asks for its run.

        Args:
            **fields: Of Celery's request: id, args, kwargs, retries, headers, is_eager, root_id,
                parent_id, queue, and called_directly, which is True by default.

        Raises:
            TypeError: There is no such field, or it follows from others.
        """
        self._pushed.append(current.set(pushed_request.made(self.name, self.options, fields)))

    def pop_request(self) -> None:
        """Undo the last ``push_request()``."""
        current.reset(self._pushed.pop())

    def update_state(
        self,
        task_id: str | None = None,
        state: str | None = None,
        meta: Any = None,
        **ignored: Any,
    ) -> None:
        """Say which state this run is in. ``AsyncResult.state`` shows it while the run lasts, and
        ``AsyncResult.info`` shows ``meta``. It is written at once, whatever transaction is open.
        Outside of a worker it does nothing.

        Args:
            task_id: The id of this run, if any.
            state: A word of your own, such as PROGRESS. By default STARTED.
            meta: What JSON can carry.

        Raises:
            TypeError: The state is no text, or JSON cannot carry the ``meta``.
            ValueError: The id is not this run's, or the state or the ``meta`` is too long.
        """
        request = self.request
        if task_id is not None and str(task_id) != request.id:
            raise ValueError(
                f"task_id is {task_id!r}: a run can say its own state only, and it is {request.id}"
            )
        request.say_state(states.STARTED if state is None else state, meta)

    def is_stopping(self) -> bool:
        """Whether this run should end soon: see ``Request.is_stopping``."""
        return self.request.is_stopping()

    def set_progress(self, done: int, total: int | None = None) -> None:
        """Say how far this run is: see ``Request.set_progress``."""
        self.request.set_progress(done, total)

    def __repr__(self) -> str:
        return f"<task {self.name}>"
